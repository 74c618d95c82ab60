//! What stands in a calendar: a time that is held or booked, under a handle that says nothing of anybody.

use std::fmt;
use std::str::FromStr;

use residency_policy::{BookingHandle, OrgId, ProviderId, Region};
use serde::{Deserialize, Serialize};

use super::minute::Minute;
use crate::command::{must_be_replicated, record};

/// A time that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The minute after the visit's last one.
    pub end: Minute,
    /// For which organisation.
    pub org: OrgId,
    /// The region whose node answers for it: the home, once it is booked.
    pub region: Region,
    /// Held or booked.
    pub state: EntryState,
    /// Why it was taken although there was no room, if so.
    pub over_capacity: Option<OverrideReason>,
}

/// Whether a time is held for a while or booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryState {
    /// Until this second after the epoch. Whoever comes later by their own clock may take it over.
    Held {
        /// The first second at which it no longer counts.
        until: i64,
    },
    /// For good.
    Booked,
}

impl Entry {
    /// Whether it still counts for somebody whose clock shows this second.
    pub const fn is_live(&self, at: i64) -> bool {
        match self.state {
            EntryState::Held { until } => at < until,
            EntryState::Booked => true,
        }
    }
}

record! {
    /// Takes a time for a while.
    #[derive(Debug, Copy)]
    pub struct Hold {
        /// Whose calendar.
        pub provider: ProviderId,
        /// What it is known by from now on.
        pub handle: BookingHandle,
        /// The first minute.
        pub start: Minute,
        /// The minute after the last one.
        pub end: Minute,
        /// The second after the epoch, by the proposer's clock.
        pub at: i64,
        /// The second from which it no longer counts.
        pub until: i64,
        /// The calendar on which the proposer saw that this is a slot.
        pub calendar_version: u64,
        /// The provider in whom the proposer saw the authority to practise.
        pub provider_version: u64,
        /// For which organisation.
        pub org: OrgId,
        /// The proposer's region.
        pub region: Region,
        /// Why it is taken even if there is no room. `None`: only if there is.
        pub over_capacity: Option<OverrideReason>,
    }
}

impl Hold {
    /// The longest hold, in seconds.
    pub const SECONDS_MAX: i64 = 3_600;
}

record! {
    /// Makes a hold a booking.
    #[derive(Debug, Copy)]
    pub struct Confirmation {
        /// Whose calendar.
        pub provider: ProviderId,
        /// Which hold.
        pub handle: BookingHandle,
        /// Until when it was held: one that was given back and taken anew under the same handle is another.
        pub until: i64,
        /// The second after the epoch, by the proposer's clock.
        pub at: i64,
        /// The provider in whom the proposer saw the authority to practise.
        pub provider_version: u64,
        /// For which organisation.
        pub org: OrgId,
        /// The home that answers for it from now on.
        pub region: Region,
    }
}

record! {
    /// Frees one booked time and makes a hold a booking, both or neither.
    #[derive(Debug, Copy)]
    pub struct Move {
        /// The calendar that is left.
        pub from_provider: ProviderId,
        /// The booking that ends.
        pub from: BookingHandle,
        /// The hold that becomes a booking.
        pub to: Confirmation,
    }
}

/// Why a time was taken although there was no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OverrideReason {
    /// Waiting would harm.
    UrgentNeed,
    /// The visit belongs to a course of care that must not break off.
    ContinuityOfCare,
    /// The provider asked for it.
    ProviderRequest,
    /// A booking went wrong and is made good.
    BookingError,
}

impl OverrideReason {
    /// Every reason.
    pub const ALL: [Self; 4] =
        [Self::UrgentNeed, Self::ContinuityOfCare, Self::ProviderRequest, Self::BookingError];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UrgentNeed => "urgent-need",
            Self::ContinuityOfCare => "continuity-of-care",
            Self::ProviderRequest => "provider-request",
            Self::BookingError => "booking-error",
        }
    }
}

/// The text is not a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason: expected urgent-need, continuity-of-care, provider-request or booking-error")]
pub struct NotAReason;

impl FromStr for OverrideReason {
    type Err = NotAReason;

    fn from_str(text: &str) -> Result<Self, NotAReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(NotAReason)
    }
}

impl fmt::Display for OverrideReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
