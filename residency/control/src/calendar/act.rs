//! What the commands about calendars do. Integers only: whoever proposes has done all that needs a time zone, and says
//! on which versions of calendar and provider it rests.
//!
//! A clock is never asked. A command carries what its proposer's clock showed, and clocks may differ by an hour: a hold
//! then ends early for some, but two visits never meet beyond a calendar's capacity, because whoever takes a time
//! removes the holds that no longer counted for them, and a hold that is gone cannot be confirmed.

use residency_policy::{BookingHandle, OrgId, ProviderId, Region};

use super::book::Book;
use super::change::NotBooked;
use super::entry::{Confirmation, Entry, EntryState, Hold, Move};
use super::ledger::Ledger;
use super::minute::Minute;
use super::rules::Calendar;
use super::waiting::Waiting;
use crate::command::Refusal;
use crate::machine::State;

/// How long something stays after it is over, in seconds: far more than clocks differ.
const KEPT: i64 = 2 * 86_400;

/// Puts a calendar that was read at this version; 0 is none.
pub(crate) fn put(state: &mut State, calendar: Calendar, expected: u64) -> Result<(), Refusal> {
    calendar.check().map_err(|_| Refusal::Calendar(NotBooked::NotACalendar))?;
    if state.providers.get(calendar.provider).is_none() {
        return Err(Refusal::UnknownProvider);
    }
    let calendar = Calendar { version: expected.checked_add(1).ok_or(Refusal::Full)?, ..calendar };
    let present = state.ledger.book(calendar.provider).map(|book| book.calendar());
    match present {
        // The same change again.
        Some(present) if *present == calendar => return Ok(()),
        _ if present.map_or(0, |present| present.version) != expected => return Err(Refusal::StaleVersion),
        _ => {}
    }
    state.ledger.put_book(calendar.provider, calendar);
    Ok(())
}

/// Holds a time.
pub(crate) fn hold(state: &mut State, hold: &Hold) -> Result<(), Refusal> {
    let Hold { provider, handle, start, end, at, until, .. } = *hold;
    let book = state.ledger.book(provider).ok_or(Refusal::Calendar(NotBooked::UnknownCalendar))?;
    if let Some((begun, entry)) = book.find(handle) {
        return if (begun, entry.end, entry.org) != (start, end, hold.org) {
            Err(Refusal::AlreadyKnown)
        } else if entry.is_live(at) {
            Ok(())
        } else {
            Err(Refusal::Calendar(NotBooked::HoldExpired))
        };
    }
    if state.ledger.was_given_up(hold.org, handle) {
        return Err(Refusal::Calendar(NotBooked::HoldExpired));
    }
    must_be(state, provider, hold.provider_version)?;
    if book.calendar().version != hold.calendar_version {
        return Err(Refusal::StaleVersion);
    }
    let minutes = end.0.saturating_sub(start.0);
    let seconds = until.saturating_sub(at);
    if !(1..=u32::from(Calendar::SLOT_MAX)).contains(&minutes) || !(1..=Hold::SECONDS_MAX).contains(&seconds) {
        return Err(Refusal::Calendar(NotBooked::NotAHold));
    }
    if hold.over_capacity.is_none() && !book.has_room(start, end, at) {
        return Err(Refusal::Calendar(NotBooked::SlotTaken));
    }
    if book.len() >= Book::LEN_MAX {
        return Err(Refusal::Full);
    }
    if state.ledger.holds_at(hold.org, at) >= Ledger::HOLDS_MAX {
        return Err(Refusal::Calendar(NotBooked::TooManyHolds));
    }
    take_over(state, hold);
    let entry = Entry {
        end,
        org: hold.org,
        region: hold.region,
        state: EntryState::Held { until },
        over_capacity: hold.over_capacity,
    };
    state.ledger.insert(provider, start, handle, entry);
    Ok(())
}

/// Removes what no longer counts for the proposer: every hold in the way, for good, or it could be confirmed by a
/// clock that is behind; and the organisation's own others, so that none stays for ever.
fn take_over(state: &mut State, hold: &Hold) {
    let mut gone = state.ledger.lapsed(hold.org, hold.at);
    if let Some(book) = state.ledger.book(hold.provider) {
        let (start, end) = book.with_buffers(hold.start, hold.end);
        let lapsed = book.meeting(start, end).filter(|(_, _, entry)| !entry.is_live(hold.at));
        gone.extend(lapsed.map(|(_, handle, _)| (hold.provider, handle)));
    }
    for (provider, handle) in gone {
        state.ledger.remove(provider, handle);
    }
}

/// Makes a hold a booking. The same again changes nothing.
pub(crate) fn confirm(state: &mut State, confirmation: &Confirmation) -> Result<(), Refusal> {
    if !may_confirm(state, confirmation)? {
        state.ledger.book_for(confirmation.provider, confirmation.handle, confirmation.region);
    }
    Ok(())
}

/// Whether the hold is booked already, by this same home; refused when it cannot be.
fn may_confirm(state: &State, confirmation: &Confirmation) -> Result<bool, Refusal> {
    let Confirmation { provider, handle, until: meant, at, provider_version, org, region } = *confirmation;
    let there = state.ledger.book(provider).and_then(|book| book.find(handle));
    let (_, entry) =
        there.filter(|(_, entry)| entry.org == org).ok_or(Refusal::Calendar(NotBooked::UnknownHold))?;
    match entry.state {
        EntryState::Booked if entry.region == region => Ok(true),
        EntryState::Booked => Err(Refusal::Calendar(NotBooked::AlreadyBooked)),
        EntryState::Held { until } if until != meant => Err(Refusal::Calendar(NotBooked::UnknownHold)),
        EntryState::Held { until } if at >= until => Err(Refusal::Calendar(NotBooked::HoldExpired)),
        EntryState::Held { .. } => must_be(state, provider, provider_version).map(|()| false),
    }
}

/// Frees one time and books another.
pub(crate) fn relocate(state: &mut State, change: &Move) -> Result<(), Refusal> {
    if change.from == change.to.handle {
        return Err(Refusal::Calendar(NotBooked::NotAHold));
    }
    let from = state.ledger.book(change.from_provider).and_then(|book| book.find(change.from));
    if from.is_some_and(|(_, entry)| entry.region != change.to.region || entry.org != change.to.org) {
        return Err(Refusal::Calendar(NotBooked::UnknownHold));
    }
    confirm(state, &change.to)?;
    state.ledger.remove(change.from_provider, change.from);
    Ok(())
}

/// Frees a held time. What is booked stays.
pub(crate) fn release(
    state: &mut State,
    provider: ProviderId,
    handle: BookingHandle,
    org: OrgId,
) -> Result<(), Refusal> {
    match state.ledger.book(provider).and_then(|book| book.find(handle)) {
        None => Ok(()),
        Some((_, entry)) if entry.org != org => Err(Refusal::Calendar(NotBooked::UnknownHold)),
        Some((_, Entry { state: EntryState::Booked, .. })) => Err(Refusal::Calendar(NotBooked::AlreadyBooked)),
        Some(_) => {
            state.ledger.remove(provider, handle);
            Ok(())
        }
    }
}

/// Frees a held time, and sees to it that nothing is held under the handle later: whoever still means to hold it was
/// given up for dead, and nobody would answer for what they then book.
pub(crate) fn give_up(
    state: &mut State,
    provider: ProviderId,
    handle: BookingHandle,
    org: OrgId,
    at: i64,
) -> Result<(), Refusal> {
    if !state.ledger.was_given_up(org, handle) && state.ledger.given_up_by(org) >= Ledger::GIVEN_UP_MAX {
        return Err(Refusal::Full);
    }
    release(state, provider, handle, org)?;
    // By the word of half of all regions, if there is one: a clock that is behind must not shorten it.
    let at = state.ledger.passed().unwrap_or(at);
    state.ledger.give_up(org, handle, at);
    Ok(())
}

/// Frees a time, booked or held, that this region answers for.
pub(crate) fn cancel(
    state: &mut State,
    provider: ProviderId,
    handle: BookingHandle,
    region: Region,
) -> Result<(), Refusal> {
    match state.ledger.book(provider).and_then(|book| book.find(handle)) {
        None => Ok(()),
        Some((_, entry)) if entry.region != region => Err(Refusal::Calendar(NotBooked::UnknownHold)),
        Some(_) => {
            state.ledger.remove(provider, handle);
            Ok(())
        }
    }
}

/// Puts somebody at the end of the waiting list.
pub(crate) fn wait(state: &mut State, waiting: Waiting) -> Result<(), Refusal> {
    match state.ledger.waits(waiting.handle) {
        Some(known) if *known == waiting => return Ok(()),
        Some(_) => return Err(Refusal::AlreadyKnown),
        None if waiting.from >= waiting.to => return Err(Refusal::Calendar(NotBooked::NotAHold)),
        None if state.ledger.waiters(waiting.org) >= Ledger::WAITING_MAX => return Err(Refusal::Full),
        None => {}
    }
    state.ledger.wait(waiting);
    Ok(())
}

/// Takes somebody off the waiting list.
pub(crate) fn leave(state: &mut State, handle: BookingHandle, region: Region) -> Result<(), Refusal> {
    if state.ledger.waits(handle).is_some_and(|waiting| waiting.region != region) {
        return Err(Refusal::Calendar(NotBooked::UnknownHold));
    }
    state.ledger.leave(handle);
    Ok(())
}

/// Notes what a region's clock shows, and forgets what is long over by the word of half of all regions.
pub(crate) fn tell_time(state: &mut State, region: Region, at: i64) -> Result<(), Refusal> {
    if !state.regions().contains_key(&region) {
        return Err(Refusal::UnknownRegion);
    }
    state.ledger.tell(region, at);
    if let Some(passed) = state.ledger.passed() {
        state.ledger.prune(Minute::from_seconds(passed.saturating_sub(KEPT)));
    }
    Ok(())
}

/// The authority to practise was seen in one version of a provider; in another one it may be gone.
fn must_be(state: &State, provider: ProviderId, version: u64) -> Result<(), Refusal> {
    match state.providers.get(provider) {
        None => Err(Refusal::UnknownProvider),
        Some(known) if known.version != version || !known.active => Err(Refusal::StaleVersion),
        Some(_) => Ok(()),
    }
}
