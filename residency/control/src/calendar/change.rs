//! The commands about calendars.

use std::fmt;

use residency_policy::{BookingHandle, OrgId, ProviderId, Region};
use serde::{Deserialize, Serialize};

use super::act;
use super::entry::{Confirmation, Hold, Move};
use super::rules::Calendar;
use super::waiting::Waiting;
use crate::command::{Refusal, commands, must_be_replicated};
use crate::machine::State;
use crate::peer::PeerKind;

commands! {
    /// One change of the calendars.
    pub enum CalendarChange {
        /// Adds or replaces a provider's calendar. What is booked stays.
        Put {
            /// What it shall be.
            calendar: Calendar,
            /// The version that the proposer knew; 0 for a new one.
            expected: u64,
        },
        /// Takes a time for a while.
        Hold(Hold),
        /// Makes a hold a booking.
        Confirm(Confirmation),
        /// Frees a time that is held. Refused when it is booked by now.
        Release {
            /// Whose calendar.
            provider: ProviderId,
            /// Which hold.
            handle: BookingHandle,
            /// Whose hold.
            org: OrgId,
        },
        /// Frees a time, held or booked, that the region answers for.
        Cancel {
            /// Whose calendar.
            provider: ProviderId,
            /// Which booking.
            handle: BookingHandle,
            /// The home that answers for it.
            region: Region,
        },
        /// Frees a booked time and books a held one, both or neither.
        Relocate(Move),
        /// Puts somebody at the end of the waiting list.
        Wait(Waiting),
        /// Takes somebody off the waiting list.
        Leave {
            /// Who.
            handle: BookingHandle,
            /// Their home.
            region: Region,
        },
        /// What a region's clock shows. What is over by the word of half of all regions is forgotten.
        TellTime {
            /// Whose clock.
            region: Region,
            /// The second after the epoch.
            at: i64,
        },
        /// Frees a time that is held, or may yet be held by a proposal that comes late, for good: nothing is held under
        /// this handle any more. Refused when it is booked by now.
        GiveUp {
            /// Whose calendar.
            provider: ProviderId,
            /// Which hold.
            handle: BookingHandle,
            /// Whose hold.
            org: OrgId,
            /// The second after the epoch, by the proposer's clock.
            at: i64,
        },
    }
}

impl CalendarChange {
    /// A bound for the encoded size.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Put { calendar, .. } => {
                128 + 20 * (calendar.rules.as_slice().len() + calendar.exceptions.as_slice().len())
            }
            _ => 160,
        }
    }

    /// Whether a member may propose this: of bookings, those that its own region takes or answers for.
    pub(crate) fn may_be_proposed_by(&self, who: PeerKind) -> bool {
        let PeerKind::Region(own) = who else { return false };
        match self {
            Self::Put { .. } | Self::Release { .. } | Self::GiveUp { .. } => true,
            Self::Hold(hold) => hold.region == own,
            Self::Confirm(confirmation) => confirmation.region == own,
            Self::Relocate(change) => change.to.region == own,
            Self::Wait(waiting) => waiting.region == own,
            Self::Cancel { region, .. } | Self::Leave { region, .. } | Self::TellTime { region, .. } => {
                *region == own
            }
        }
    }
}

/// Applies one change. One that is refused changes nothing at all.
pub(crate) fn apply(state: &mut State, change: CalendarChange) -> Result<(), Refusal> {
    match change {
        CalendarChange::Put { calendar, expected } => act::put(state, calendar, expected),
        CalendarChange::Hold(hold) => act::hold(state, &hold),
        CalendarChange::Confirm(confirmation) => act::confirm(state, &confirmation),
        CalendarChange::Release { provider, handle, org } => act::release(state, provider, handle, org),
        CalendarChange::Cancel { provider, handle, region } => act::cancel(state, provider, handle, region),
        CalendarChange::Relocate(change) => act::relocate(state, &change),
        CalendarChange::Wait(waiting) => act::wait(state, waiting),
        CalendarChange::Leave { handle, region } => act::leave(state, handle, region),
        CalendarChange::TellTime { region, at } => act::tell_time(state, region, at),
        CalendarChange::GiveUp { provider, handle, org, at } => act::give_up(state, provider, handle, org, at),
    }
}

/// Why a change of the calendars was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NotBooked {
    /// The provider has no calendar.
    UnknownCalendar,
    /// It is out of a calendar's bounds.
    NotACalendar,
    /// Its times are no hold's.
    NotAHold,
    /// Somebody else has the time.
    SlotTaken,
    /// No such hold or booking of this organisation or home.
    UnknownHold,
    /// The hold's time is over.
    HoldExpired,
    /// It is booked.
    AlreadyBooked,
    /// The organisation holds as much as it may.
    TooManyHolds,
}

impl fmt::Display for NotBooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownCalendar => "the provider has no calendar",
            Self::NotACalendar => "the calendar is out of its bounds",
            Self::NotAHold => "the times are no hold's",
            Self::SlotTaken => "somebody else has the time",
            Self::UnknownHold => "the hold is not known",
            Self::HoldExpired => "the hold's time is over",
            Self::AlreadyBooked => "it is booked",
            Self::TooManyHolds => "the organisation holds as much as it may",
        })
    }
}
