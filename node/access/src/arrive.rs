//! What becomes of each request before its act is looked at: the caller is recognised, counted and
//! held to what their organisation asks, the purpose is read, and the
//! request is let in.

use axum::extract::{FromRequestParts as _, RawPathParams};
use http::request::Parts;
use node_policy::{Facts, RefusalReason};
use rates::too_many;
use residency_policy::{Problem, ProblemKind, Purpose, wire};

use crate::admit::Class;
use crate::authorize::{Asker, decided, purposes};
use crate::caller::recognise;
use crate::facts::{assumed, facts, segregated};
use crate::finish::Known;
use crate::policies::taken;
use crate::settings::{CameFrom, kept};
use crate::{Act, Credential, Entity, Here, Refused, Via};

/// The caller; known to the log from here on. Two extractors of a request ask, and its headers are looked at once.
pub(crate) async fn recognised<A: Act>(parts: &Parts, here: &Here) -> Result<Credential, Refused> {
    // Whoever was looked at once and refused gets no second look: the first extractor has ended the request.
    let known = parts.extensions.get::<Known>();
    if let Some(caller) = known.and_then(|known| known.caller.get()) {
        return Ok(*caller);
    }
    let caller = recognise(here, &parts.method, &parts.headers, CameFrom::of(&parts.extensions)).await?;
    if let Some(known) = known {
        // Nobody else sets it: the extractors of a request come one after another.
        let _ = known.caller.set(caller);
    }
    // Of a patient no router knows the organisation.
    if parts.extensions.get::<Via>().is_none() || caller.role.patient().is_some() {
        count(known, here, &caller)?;
    }
    // What an organisation asks of its people it does not ask of its patients.
    if let Some(settings) = here.directory.settings(caller.org).filter(|_| caller.role.patient().is_none()) {
        kept(&settings, &caller, CameFrom::of(&parts.extensions), A::ENTITY)?;
    }
    Ok(caller)
}

/// Counts a request that came here directly. A router has counted those that it forwards.
fn count(known: Option<&Known>, here: &Here, caller: &Credential) -> Result<(), Problem> {
    let counted = match caller.user {
        Some(login) if caller.role.patient().is_some() => rates::Caller::Patient(caller.org, login),
        Some(_) => rates::Caller::Person(caller.org),
        None => rates::Caller::Service(caller.org),
    };
    let standing = here.rates.caller(counted);
    if let (Some(known), Ok(Some(now)) | Err(now)) = (known, standing) {
        let _ = known.standing.set(now);
    }
    standing.map(drop).map_err(|over| too_many(&over))
}

/// Lets the request in: from here on it takes the database's time, until it is answered.
pub(crate) fn admitted<A: Act>(parts: &Parts, here: &Here, caller: &Credential) -> Result<(), Problem> {
    let Some(known) = parts.extensions.get::<Known>() else { return Ok(()) };
    if known.admitted.get().is_none() {
        // Patients give way first: they are many, and who treats them is to go on.
        let class = if caller.role.patient().is_some() { Class::Bulk } else { Class::of(A::ACTION) };
        let admitted = here.admission.enter(class, caller.org)?;
        let _ = known.admitted.set(if asks_others::<A>() { admitted.untimed() } else { admitted });
    }
    Ok(())
}

/// Whether the answer waits for the control plane: how long that takes is the way to a quorum, and says nothing of how much
/// is at work here.
const fn asks_others<A: Act>() -> bool {
    let held_in_common = matches!(A::ENTITY, Entity::Appointment | Entity::Waitlist) || !A::ENTITY.is_phi();
    held_in_common && matches!(Class::of(A::ACTION), Class::Change)
}

/// What is said to whoever names no purpose.
const SAY_WHY: &str = "say why: send Purpose-Of-Use with a code of HL7 v3-ActReason that is listed here";

/// The purpose that the caller names. Asked after the caller is known, so that a stranger gets 401 and no more. `asked_again`
/// says whether the home decides once more, with what only it knows.
///
/// # Errors
/// None is named, or what is no code; both list the codes that would do.
pub(crate) async fn purpose<A: Act>(
    parts: &mut Parts,
    here: &Here,
    asked_again: bool,
) -> Result<Purpose, Refused> {
    let caller = recognised::<A>(parts, here).await?;
    let mut values = parts.headers.get_all(wire::PURPOSE_OF_USE).iter();
    let (first, second) = (values.next(), values.next());
    let missing = first.is_none();
    let one = first.filter(|_| second.is_none()).and_then(|value| value.to_str().ok());
    if let Some(purpose) = one.and_then(|text| text.parse().ok()) {
        return Ok(purpose);
    }
    let category = match RawPathParams::from_request_parts(parts, here).await {
        Ok(path) if A::SEGREGATED => segregated(&path),
        _ => None,
    };
    let (known, policies) = (facts::<A>(parts, here, &caller)?, taken(parts, here)?);
    let with = |purpose| assumed::<A>(Facts { purpose, ..known }, category, asked_again);
    let asker = Asker::from(&caller);
    let allowed = purposes(&policies.loaded, asker, A::ACTION, A::ENTITY, |purpose| with(Some(purpose)));
    if !missing {
        let not_a_code = "is not a code of HL7 v3-ActReason that is accepted here";
        let problem = Problem::new(ProblemKind::BadHeader);
        return Err(problem.field(wire::PURPOSE_OF_USE, "not-a-code", not_a_code).fields(allowed).into());
    }
    if allowed.is_empty() {
        // No purpose would do, so that it is not for want of one, and the reason is said.
        decided(here, &policies.loaded, asker, (A::ACTION, A::ENTITY), with(None))?;
    }
    let problem = Problem::new(ProblemKind::Forbidden).reason(RefusalReason::PurposeRequired.as_str());
    Err(problem.detail(SAY_WHY).fields(allowed).into())
}
