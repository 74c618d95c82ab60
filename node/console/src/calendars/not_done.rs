//! Why a slot is not held, booked or freed, and what a caller is told of it.

use node_access::Disclosable;
use residency_control::calendar::{Minute, NotBooked, NotOffered};
use residency_control::{ProposeError, Refusal};
use residency_policy::licensure::NoAuthority;
use residency_policy::{Problem, ProblemKind, ProviderId};

/// Why a slot is not held, booked or freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDone {
    /// No such provider of this organisation, or no calendar.
    NotFound,
    /// The provider works for others.
    OtherOrg,
    /// The provider sees nobody now.
    Inactive,
    /// The calendar does not offer it.
    NotOffered(NotOffered),
    /// Somebody else has it.
    Taken(ProviderId, Minute),
    /// The provider may not practise there.
    NoAuthority(NoAuthority),
    /// The hold is not there.
    NoHold,
    /// The hold's time is over.
    Expired,
    /// The hold is booked already, by somebody else.
    Used,
    /// The handle stands for something else.
    Reused,
    /// The organisation holds as much as it may.
    TooMany,
    /// No more fits into the calendar's list.
    Full,
    /// Calendar or provider are changed faster than they can be looked at.
    Changing,
    /// The control plane did not say. Whether it was done is not known unless the error says so.
    Unproposed(ProposeError),
    /// A state that should not be reachable.
    Other(Refusal),
}

impl Disclosable for NotDone {
    fn problem(&self) -> Problem {
        use ProblemKind as Kind;
        match *self {
            Self::NotFound | Self::NoHold => Problem::new(Kind::NotFound),
            Self::OtherOrg => Problem::new(Kind::Forbidden),
            Self::Inactive => Problem::new(Kind::SlotNotOffered).field(
                "/provider",
                "inactive",
                "nobody can be booked with this provider now",
            ),
            Self::NotOffered(NotOffered::Past) => {
                Problem::new(Kind::SlotInPast).field("/start", "in-the-past", "expected a time to come")
            }
            Self::NotOffered(why) => {
                let (code, detail) = match why {
                    NotOffered::TooSoon => ("too-soon", "this is sooner than the calendar's notice allows"),
                    NotOffered::TooFar => ("too-far", "this is beyond the calendar's horizon"),
                    NotOffered::NoSlot | NotOffered::Past => {
                        ("no-slot", "no slot of the calendar begins there")
                    }
                };
                Problem::new(Kind::SlotNotOffered).field("/start", code, detail)
            }
            Self::Taken(provider, start) => Problem::new(Kind::SlotTaken).slot(provider, start.timestamp()),
            Self::NoAuthority(missing) => Problem::new(Kind::NoAuthority).authority(missing),
            Self::Expired => Problem::new(Kind::HoldExpired),
            Self::Used => Problem::new(Kind::HoldUsed),
            Self::Reused => Problem::new(Kind::IdempotencyReused),
            Self::TooMany => Problem::new(Kind::TooManyRequests)
                .detail("this organisation holds as many slots as it may; book or release some")
                .retry_after(60),
            Self::Full => Problem::new(Kind::CalendarFull),
            Self::Changing => Problem::new(Kind::Overloaded).retry_after(1),
            Self::Unproposed(ProposeError::TooLarge | ProposeError::NotAllowed) | Self::Other(_) => {
                Problem::new(Kind::Internal)
            }
            Self::Unproposed(_) => Problem::new(Kind::ControlUnavailable).retry_after(2),
        }
    }

    fn cause(&self) -> Option<String> {
        match self {
            Self::Unproposed(error) => Some(error.to_string()),
            Self::Other(refusal) => Some(refusal.to_string()),
            _ => None,
        }
    }
}

impl NotDone {
    /// What a refusal of the control plane says.
    pub(super) fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::StaleVersion => NotDone::Changing,
            Refusal::AlreadyKnown => NotDone::Reused,
            Refusal::UnknownProvider | Refusal::Calendar(NotBooked::UnknownCalendar) => NotDone::NotFound,
            Refusal::Calendar(NotBooked::UnknownHold) => NotDone::NoHold,
            Refusal::Calendar(NotBooked::HoldExpired) => NotDone::Expired,
            Refusal::Calendar(NotBooked::AlreadyBooked) => NotDone::Used,
            Refusal::Calendar(NotBooked::TooManyHolds) => NotDone::TooMany,
            Refusal::Full => NotDone::Full,
            other => NotDone::Other(other),
        }
    }
}
