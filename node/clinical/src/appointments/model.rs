//! An appointment: who comes when, to whom and why. In the clear, why exists only here, and only within [`Phi`].

use jiff::Timestamp;
use node_console::calendars::booking::NotDone;
use residency_control::calendar::{Minute, Slot};
use residency_policy::{
    AppointmentId, BookingHandle, Jurisdiction, KeyId, PatientId, ProblemKind, ProviderId, Purpose,
};
use storage::Phi;

use crate::encounters::model::ClinicalText;
use crate::values::words;

words! {
    /// How they meet.
    Kind {
        /// By video.
        Video = "video",
        /// By telephone.
        Phone = "phone",
        /// In one room.
        InPerson = "in-person",
    }
}

words! {
    /// Why an appointment is cancelled.
    CancelCode {
        /// The patient asked for it.
        PatientRequest = "patient-request",
        /// The provider cannot be there.
        ProviderUnavailable = "provider-unavailable",
        /// There is nothing to come for any more.
        NoLongerNeeded = "no-longer-needed",
        /// It should not have been made.
        EnteredInError = "entered-in-error",
        /// The patient's record was removed from view. Not for callers to say.
        PatientRemoved = "patient-removed",
    }
}

words! {
    /// Why an appointment was not booked: the slug of the problem that was answered, or nobody was.
    Failure {
        /// Somebody else had the slot.
        SlotTaken = "slot-taken",
        /// The calendar does not offer it.
        SlotNotOffered = "slot-not-offered",
        /// The slot was over.
        SlotInPast = "slot-in-past",
        /// The provider may not practise there.
        NoAuthority = "no-authority",
        /// The hold's time was over, or it was not there.
        HoldExpired = "hold-expired",
        /// The hold was somebody else's appointment.
        HoldUsed = "hold-used",
        /// The organisation held as much as it may.
        TooManyRequests = "too-many-requests",
        /// The control plane took no changes.
        ControlUnavailable = "control-unavailable",
        /// Whoever carried it was gone, and it was undone.
        Interrupted = "interrupted",
        /// Anything else.
        Refused = "refused",
    }
}

impl Failure {
    /// What is kept of a refusal.
    pub fn of(why: &NotDone) -> Self {
        match why {
            NotDone::Taken(..) => Self::SlotTaken,
            NotDone::NotOffered(residency_control::calendar::NotOffered::Past) => Self::SlotInPast,
            NotDone::NotOffered(_) | NotDone::Inactive | NotDone::NotFound | NotDone::Full => {
                Self::SlotNotOffered
            }
            NotDone::NoAuthority(_) => Self::NoAuthority,
            NotDone::Expired | NotDone::NoHold => Self::HoldExpired,
            NotDone::Used => Self::HoldUsed,
            NotDone::Unproposed(_) | NotDone::Changing => Self::ControlUnavailable,
            NotDone::TooMany => Self::TooManyRequests,
            NotDone::OtherOrg | NotDone::Reused | NotDone::Other(_) => Self::Refused,
        }
    }

    /// What the same request is refused with for ever, made by a hold or not. `None`: it may be another time, so that the
    /// same request again is tried again.
    pub const fn lasts(self, by_hold: bool) -> Option<ProblemKind> {
        match self {
            Self::SlotNotOffered => Some(ProblemKind::SlotNotOffered),
            Self::SlotInPast => Some(ProblemKind::SlotInPast),
            Self::NoAuthority => Some(ProblemKind::NoAuthority),
            Self::HoldUsed => Some(ProblemKind::HoldUsed),
            Self::HoldExpired if by_hold => Some(ProblemKind::HoldExpired),
            Self::SlotTaken
            | Self::HoldExpired
            | Self::TooManyRequests
            | Self::ControlUnavailable
            | Self::Interrupted
            | Self::Refused => None,
        }
    }
}

/// A time with a provider, and what the control plane knows it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// With whom.
    pub provider: ProviderId,
    /// The handle.
    pub handle: BookingHandle,
    /// The first minute.
    pub start: Minute,
    /// The minute after the last one.
    pub end: Minute,
}

impl Place {
    /// A slot of a provider under a handle.
    pub const fn new(provider: ProviderId, handle: BookingHandle, slot: Slot) -> Self {
        Self { provider, handle, start: slot.start, end: slot.end }
    }
}

/// Where an appointment is in its life. What is on its way has a piece of work that finishes or undoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its time is asked for.
    Pending,
    /// Its time is booked.
    Booked,
    /// It is booked, and another time is asked for.
    Moving(Place),
    /// Its time is being freed.
    Cancelling(CancelCode),
    /// Its time is free again.
    Cancelled(CancelCode),
    /// Its time was not to be had.
    Failed(Failure),
}

impl State {
    /// The word in the database and on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Booked => "booked",
            Self::Moving(_) => "moving",
            Self::Cancelling(_) => "cancelling",
            Self::Cancelled(_) => "cancelled",
            Self::Failed(_) => "failed",
        }
    }
}

/// An appointment without why. What finishes or undoes it needs no more.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Keyed hash of the request that made it.
    pub id: AppointmentId,
    /// Who comes.
    pub patient: PatientId,
    /// Where it is in its life.
    pub state: State,
    /// When and with whom.
    pub place: Place,
    /// Where the patient will be.
    pub service: Jurisdiction,
    /// How they meet.
    pub kind: Kind,
    /// The credential that made it.
    pub made_by: KeyId,
    /// Keyed hash of the request that made it.
    pub made: [u8; 32],
    /// Keyed hash of the last request that changed it.
    pub request: [u8; 32],
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Raised by every change.
    pub version: i32,
    /// For what it was asked for: the consent to that counts. `None` of one that is older than this is kept.
    pub purpose: Option<Purpose>,
}

/// An appointment.
pub struct Appointment {
    /// All but why.
    pub facts: Facts,
    /// Why the patient comes.
    pub reason: Phi<Option<ClinicalText>>,
    /// Why it was cancelled, in words.
    pub note: Phi<Option<ClinicalText>>,
}

#[cfg(test)]
mod tests {
    use residency_control::calendar::NotOffered;

    use super::*;

    #[test]
    fn what_is_kept_of_a_refusal_says_the_same_again() {
        for why in [NotDone::Expired, NotDone::Used, NotDone::Inactive, NotDone::NotOffered(NotOffered::Past)] {
            let again = Failure::of(&why).lasts(true);
            assert_eq!(again, Some(node_access::Disclosable::problem(&why).kind()), "{why:?}");
        }
        assert_eq!(Failure::of(&NotDone::Expired).lasts(false), None, "a slot that is held anew may be had");
        for failure in [Failure::SlotTaken, Failure::TooManyRequests, Failure::Interrupted, Failure::Refused] {
            assert_eq!(failure.lasts(true), None, "{failure:?}");
            assert_eq!(Failure::read(failure.as_str()), Some(failure));
        }
    }
}
