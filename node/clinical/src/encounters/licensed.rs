//! Whether the clinician of a visit may practise where the patient is, on the day of the act there.
//!
//! It is asked when an encounter is opened, given another clinician or place, signed and added to, as it is asked when a
//! visit is booked. The policies are told that it was asked and is there; where it is not, the act is refused whatever
//! they say. The day is that of the act and not of the visit: whoever has lost a licence signs nothing any more.

use jiff::Timestamp;
use node_access::{Act, Disclosable as _, Here, LicenceState, PatientCall};
use node_console::calendars::booking::{self, NotDone};
use residency_control::calendar::{Minute, Slot};
use residency_policy::{OrgId, Problem, ProblemKind};

use super::model::Setting;

/// Why the clinician of a visit does not do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unlicensed {
    /// Nobody with this NPI works for the caller's organisation.
    Unknown,
    /// They may not practise there, or it is not known.
    Refused(NotDone),
}

impl Unlicensed {
    fn problem(self) -> Problem {
        match self {
            Self::Unknown => Problem::new(ProblemKind::Invalid).field(
                "/provider_npi",
                "unknown",
                "expected the NPI of a clinician who works for this organisation",
            ),
            Self::Refused(why) => why.problem(),
        }
    }
}

/// As far as this node knows.
pub(super) fn judged<A: Act>(call: &PatientCall<A>, setting: &Setting) -> Result<(), Problem> {
    licensed(&call.call.here, call.call.caller.org, setting).map_err(Unlicensed::problem)?;
    call.call.may_with(LicenceState::Held)
}

/// The same, and what is said no to is looked at again with everything that was acknowledged to anybody: a licence may
/// have been entered at another node a moment ago. Without a quorum the first answer stands.
pub(super) async fn asked<A: Act>(call: &PatientCall<A>, setting: &Setting) -> Result<(), Problem> {
    let first = judged(call, setting);
    if first.is_ok() || call.call.here.changes.barrier().await.is_err() {
        return first;
    }
    judged(call, setting)
}

fn licensed(here: &Here, org: OrgId, setting: &Setting) -> Result<(), Unlicensed> {
    let known = here.directory.provider_by_npi(setting.provider);
    let known = known.filter(|known| known.active && known.orgs.contains(org)).ok_or(Unlicensed::Unknown)?;
    let now = minute(here.clock.now());
    let slot = Slot { start: now, end: now.plus(1) };
    booking::may_practise(&known, setting.service, slot).map_err(Unlicensed::Refused)
}

/// The minute in which an instant lies.
fn minute(at: Timestamp) -> Minute {
    let next = Minute::from_instant(at);
    if next.timestamp() > at { next.minus(1) } else { next }
}
