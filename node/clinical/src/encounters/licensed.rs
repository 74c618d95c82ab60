//! Whether the clinician of a visit may practise where the patient is, on the day of the act there.
//!
//! It is asked when an encounter is opened, given another clinician or place, signed and added to, as it is asked when a
//! visit is booked. Whoever opens and signs is the clinician of the visit; whoever adds to it has a licence of their own. The policies are told where the patient is, and that it was asked and is there; where it is not, the act is refused whatever
//! they say. The day is that of the act and not of the visit: whoever has lost a licence signs nothing any more.

use std::sync::Arc;

use jiff::Timestamp;
use node_access::{Act, Credential, Disclosable as _, Here, LicenceState, PatientCall, RefusalReason};
use node_console::calendars::booking;
use residency_control::Provider;
use residency_control::calendar::{Minute, Slot};
use residency_policy::{Problem, ProblemKind, ServiceJurisdiction};

use super::model::Setting;

/// Who must be allowed to practise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Whoever acts, and the visit is theirs.
    OwnVisit,
    /// Whoever acts, whosever the visit is.
    Own,
    /// The clinician of the visit, whoever acts: it is handed over.
    Visit,
}

/// As far as this node knows.
pub(super) fn judged<A: Act>(call: &PatientCall<A>, setting: &Setting, whose: Whose) -> Result<(), Problem> {
    let here = &call.call.here;
    let clinician = clinician(&call.call.here, &call.call.caller, setting, whose)?;
    let now = minute(here.clock.now());
    let slot = Slot { start: now, end: now.plus(1) };
    let org = call.call.caller.org;
    booking::may_practise(&clinician, org, setting.service, slot).map_err(|why| why.problem())?;
    call.call.may_at(ServiceJurisdiction(setting.service), LicenceState::Held)
}

/// The same, and what is said no to is looked at again with everything that was acknowledged to anybody: a licence may
/// have been entered at another node a moment ago. Without a quorum the first answer stands.
pub(super) async fn asked<A: Act>(call: &PatientCall<A>, setting: &Setting) -> Result<(), Problem> {
    let first = judged(call, setting, Whose::OwnVisit);
    if first.is_ok() || call.call.here.changes.barrier().await.is_err() {
        return first;
    }
    judged(call, setting, Whose::OwnVisit)
}

fn clinician(
    here: &Here,
    caller: &Credential,
    setting: &Setting,
    whose: Whose,
) -> Result<Arc<Provider>, Problem> {
    let works_here = |one: &Arc<Provider>| one.active && one.orgs.contains(caller.org);
    let named = here.directory.provider_by_npi(setting.provider).filter(works_here);
    let own = caller.clinician.and_then(|id| here.directory.provider(id)).filter(works_here);
    match (whose, named, own) {
        (Whose::Visit, Some(named), _) => Ok(named),
        (Whose::Own, _, Some(own)) => Ok(own),
        (Whose::OwnVisit, Some(named), Some(own)) if named.id == own.id => Ok(own),
        (Whose::OwnVisit, Some(_), Some(_)) => {
            Err(wrong("not-yours", "expected the NPI of the clinician that the caller is"))
        }
        (Whose::OwnVisit | Whose::Visit, None, _) => {
            Err(wrong("unknown", "expected the NPI of a clinician who works for this organisation"))
        }
        // Nobody's licence is there to be asked for.
        (Whose::OwnVisit | Whose::Own, _, None) => {
            let detail = "an administrator says which clinician somebody is: PUT /v1/users/{id}/clinician";
            Err(Problem::new(ProblemKind::Forbidden)
                .reason(RefusalReason::LicenceLacking.as_str())
                .detail(detail))
        }
    }
}

fn wrong(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(ProblemKind::Invalid).field("/provider_npi", code, detail)
}

/// The minute in which an instant lies.
fn minute(at: Timestamp) -> Minute {
    let next = Minute::from_instant(at);
    if next.timestamp() > at { next.minus(1) } else { next }
}
