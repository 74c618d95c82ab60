//! What becomes of each request before its act is looked at: the caller is recognised, counted and
//! held to what their organisation asks, the purpose is read, and the
//! request is let in.

use http::request::Parts;
use rates::too_many;
use residency_policy::{Problem, ProblemKind, Purpose, wire};

use crate::admit::Class;
use crate::authorize::purposes;
use crate::call::via;
use crate::caller::recognise;
use crate::facts::facts;
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
    let caller = recognise(here, &parts.method, &parts.headers).await?;
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
        let admitted = here.admission.enter(Class::of(A::ACTION), caller.org)?;
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

/// The purpose that the caller names. Asked after the caller is known, so that a stranger gets 401 and no more.
pub(crate) async fn purpose<A: Act>(parts: &Parts, here: &Here) -> Result<Purpose, Refused> {
    let caller = recognised::<A>(parts, here).await?;
    let mut values = parts.headers.get_all(wire::PURPOSE_OF_USE).iter();
    let Some(value) = values.next() else {
        let facts = facts(via(parts), here, &caller);
        let policies = taken(parts, here)?;
        let allowed = purposes(&policies.loaded, (&caller).into(), A::ACTION, A::ENTITY, facts);
        let problem = Problem::new(ProblemKind::MissingHeader).field(
            wire::PURPOSE_OF_USE,
            "required",
            "say why: a code of HL7 v3-ActReason, such as TREAT",
        );
        return Err(problem.fields(allowed).into());
    };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    parsed.filter(|_| values.next().is_none()).ok_or_else(|| {
        Problem::new(ProblemKind::BadHeader)
            .field(
                wire::PURPOSE_OF_USE,
                "not-a-code",
                "is not a code of HL7 v3-ActReason that is accepted here",
            )
            .into()
    })
}
