//! What a booking needs of the control plane: to hold a slot, to book it, to move it, to free it.
//!
//! Everything that needs a time zone or a rule of law is looked at here, on this node's view, and the proposal names
//! the versions of calendar and provider that were seen. If they are not the ones in force where all changes have one
//! order, nothing is done and it is looked at again.

use std::sync::Arc;

use jiff::Timestamp;
use node_access::{Here, LogIndex};

use residency_control::calendar::slots::offered;
use residency_control::calendar::{
    Book, CalendarChange, Confirmation, EntryState, Hold, Minute, Move, NotBooked, NotOffered, OverrideReason,
    Slot, service_days,
};
use residency_control::{Command, Outcome, Provider, Refusal};
use residency_policy::licensure::{Compacts, authority};
use residency_policy::{BookingHandle, Jurisdiction, OrgId, ProviderId};

/// How long a slot is held for somebody who is still making up their mind, in seconds.
pub const HOLD_SECONDS: i64 = 300;

/// How often it is looked at again when calendar or provider were changed meanwhile.
const LOOKS: usize = 4;

pub use super::not_done::NotDone;

/// Which slot of a provider is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The one that begins there.
    At(Minute),
    /// The one that was held before.
    Held(BookingHandle),
}

/// A slot that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Whose.
    pub provider: ProviderId,
    /// When it begins.
    pub start: Minute,
    /// Where the patient will be.
    pub service: Jurisdiction,
    /// What it is to be known by.
    pub handle: BookingHandle,
    /// For which organisation.
    pub org: OrgId,
    /// For how long, in seconds.
    pub seconds: i64,
    /// Why it is wanted even if there is no room.
    pub over_capacity: Option<OverrideReason>,
}

/// A slot that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub slot: Slot,
    /// Until when.
    pub until: Timestamp,
    /// Whether this very hold was there before.
    pub before: bool,
    /// Where in the replicated log that stands.
    pub index: LogIndex,
}

/// What is to be booked.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Whose calendar.
    pub provider: ProviderId,
    /// Which hold.
    pub handle: BookingHandle,
    /// Where the patient will be.
    pub service: Jurisdiction,
    /// For which organisation.
    pub org: OrgId,
}

/// A provider who works for an organisation, with their calendar.
pub fn book_of(here: &Here, provider: ProviderId, org: OrgId) -> Result<(Arc<Provider>, Arc<Book>), NotDone> {
    let known = here.directory.provider(provider).ok_or(NotDone::NotFound)?;
    if !known.orgs.contains(org) {
        return Err(NotDone::OtherOrg);
    }
    let book = here.directory.ledger().1.book(provider).cloned().ok_or(NotDone::NotFound)?;
    Ok((known, book))
}

/// Whether a provider may practise for an organisation where the patient will be, on every date that the visit has there.
/// It rests on the licences that the organisation itself or the operator answers for.
pub fn may_practise(provider: &Provider, org: OrgId, service: Jurisdiction, slot: Slot) -> Result<(), NotDone> {
    let (licences, compacts) = (provider.licences.at(org), Compacts::shipped());
    service_days(service, slot).into_iter().try_for_each(|day| {
        authority(&licences, compacts, service, day.date()).map(|_| ()).map_err(NotDone::NoAuthority)
    })
}

/// Whether a slot can be booked now, before anything is written for it. What is said no to may not have come to this
/// node yet, so it is looked at again with everything that was acknowledged to anybody.
pub async fn look(
    here: &Here,
    (provider, org): (ProviderId, OrgId),
    service: Jurisdiction,
    when: When,
) -> Result<Slot, NotDone> {
    if let Ok(slot) = judged(here, (provider, org), service, when) {
        return Ok(slot);
    }
    here.changes.barrier().await.map_err(NotDone::Unproposed)?;
    judged(here, (provider, org), service, when)
}

fn judged(
    here: &Here,
    (id, org): (ProviderId, OrgId),
    service: Jurisdiction,
    when: When,
) -> Result<Slot, NotDone> {
    let (provider, book) = book_of(here, id, org)?;
    let now = here.clock.now();
    if !provider.active {
        return Err(NotDone::Inactive);
    }
    let slot = match when {
        When::At(start) => {
            let slot = offer(&book, start, now)?;
            if !book.has_room(slot.start, slot.end, now.as_second()) {
                return Err(NotDone::Taken(id, start));
            }
            slot
        }
        When::Held(handle) => {
            // One whose time is over is taken away by whoever comes next: it is over all the same.
            let (start, entry) =
                book.find(handle).filter(|(_, entry)| entry.org == org).ok_or(NotDone::Expired)?;
            match entry.state {
                EntryState::Booked => return Err(NotDone::Used),
                EntryState::Held { .. } if !entry.is_live(now.as_second()) => return Err(NotDone::Expired),
                EntryState::Held { .. } if start.timestamp() <= now => {
                    return Err(NotDone::NotOffered(NotOffered::Past));
                }
                EntryState::Held { .. } => Slot { start, end: entry.end },
            }
        }
    };
    may_practise(&provider, org, service, slot).map(|()| slot)
}

fn offer(book: &Book, start: Minute, now: Timestamp) -> Result<Slot, NotDone> {
    let calendar = book.calendar();
    let zone = calendar.zone.find().map_err(|_| NotDone::NotOffered(NotOffered::NoSlot))?;
    offered(calendar, &zone, start, now).map_err(NotDone::NotOffered)
}

/// Holds a slot. The same wish again finds its own hold.
pub async fn hold(here: &Here, wish: &Wish) -> Result<Held, NotDone> {
    let mut caught_up = false;
    for _ in 0..LOOKS {
        let wanted = match seen(here, wish) {
            Ok(wanted) => wanted,
            // What is not there may not have come here yet: another node may have said a moment ago that it is.
            Err(_) if !caught_up => {
                here.changes.barrier().await.map_err(NotDone::Unproposed)?;
                caught_up = true;
                continue;
            }
            Err(why) => return Err(why),
        };
        match propose(here, CalendarChange::Hold(wanted)).await {
            Err(NotDone::Changing) => {}
            Err(why) => return Err(why),
            Ok(index) => return held(here, &wanted, index),
        }
    }
    Err(NotDone::Changing)
}

/// The hold, if this node's view of calendar and provider allows it.
fn seen(here: &Here, wish: &Wish) -> Result<Hold, NotDone> {
    let (provider, book) = book_of(here, wish.provider, wish.org)?;
    let now = here.clock.now();
    let calendar = book.calendar();
    let slot = match book.find(wish.handle) {
        // It is asked for again: what it was then is not judged by another minute's rules.
        Some((start, entry)) if start == wish.start => Slot { start, end: entry.end },
        _ => offer(&book, wish.start, now)?,
    };
    if !provider.active {
        return Err(NotDone::Inactive);
    }
    may_practise(&provider, wish.org, wish.service, slot)?;
    Ok(Hold {
        provider: wish.provider,
        handle: wish.handle,
        start: slot.start,
        end: slot.end,
        at: now.as_second(),
        until: now.as_second() + wish.seconds,
        calendar_version: calendar.version,
        provider_version: provider.version,
        org: wish.org,
        region: here.region,
        over_capacity: wish.over_capacity,
    })
}

fn held(here: &Here, wanted: &Hold, index: LogIndex) -> Result<Held, NotDone> {
    let there = here.directory.ledger().1.book(wanted.provider).and_then(|book| book.find(wanted.handle));
    let until = match there.map(|(_, entry)| entry.state) {
        Some(EntryState::Booked) => return Err(NotDone::Used),
        Some(EntryState::Held { until }) => until,
        None => wanted.until,
    };
    Ok(Held {
        slot: Slot { start: wanted.start, end: wanted.end },
        until: Timestamp::from_second(until).unwrap_or(Timestamp::MAX),
        before: until != wanted.until,
        index,
    })
}

/// Makes a hold a booking of this region's. The same again changes nothing.
pub async fn confirm(here: &Here, claim: &Claim) -> Result<LogIndex, NotDone> {
    settle(here, claim, CalendarChange::Confirm).await
}

/// Frees one booking of this region's and makes a hold one, both or neither.
pub async fn relocate(
    here: &Here,
    (from_provider, from): (ProviderId, BookingHandle),
    claim: &Claim,
) -> Result<LogIndex, NotDone> {
    settle(here, claim, |to| CalendarChange::Relocate(Move { from_provider, from, to })).await
}

async fn settle(
    here: &Here,
    claim: &Claim,
    change: impl Fn(Confirmation) -> CalendarChange,
) -> Result<LogIndex, NotDone> {
    let mut caught_up = false;
    for _ in 0..LOOKS {
        let confirmation = match claimed(here, claim) {
            Ok(confirmation) => confirmation,
            Err(_) if !caught_up => {
                here.changes.barrier().await.map_err(NotDone::Unproposed)?;
                caught_up = true;
                continue;
            }
            Err(why) => return Err(why),
        };
        match propose(here, change(confirmation)).await {
            Err(NotDone::Changing) => {}
            done => return done,
        }
    }
    Err(NotDone::Changing)
}

/// The confirmation, if the provider may practise where this very patient will be. The hold may have been taken for
/// another place.
fn claimed(here: &Here, claim: &Claim) -> Result<Confirmation, NotDone> {
    let (provider, book) = book_of(here, claim.provider, claim.org)?;
    let (start, entry) = book.find(claim.handle).ok_or(NotDone::NoHold)?;
    if entry.state != EntryState::Booked && !provider.active {
        return Err(NotDone::Inactive);
    }
    may_practise(&provider, claim.org, claim.service, Slot { start, end: entry.end })?;
    let until = match entry.state {
        EntryState::Held { until } => until,
        // It is done, whenever it was held.
        EntryState::Booked => 0,
    };
    Ok(Confirmation {
        provider: claim.provider,
        handle: claim.handle,
        until,
        at: here.clock.now().as_second(),
        provider_version: provider.version,
        org: claim.org,
        region: here.region,
    })
}

/// Frees a held time.
pub async fn release(
    here: &Here,
    provider: ProviderId,
    handle: BookingHandle,
    org: OrgId,
) -> Result<LogIndex, NotDone> {
    propose(here, CalendarChange::Release { provider, handle, org }).await
}

/// Frees a time, held or booked, that this region answers for.
pub async fn cancel(here: &Here, provider: ProviderId, handle: BookingHandle) -> Result<LogIndex, NotDone> {
    propose(here, CalendarChange::Cancel { provider, handle, region: here.region }).await
}

/// Proposes a change of the calendars.
pub async fn propose(here: &Here, change: CalendarChange) -> Result<LogIndex, NotDone> {
    let wanted = match &change {
        CalendarChange::Hold(hold) => Some((hold.provider, hold.start)),
        _ => None,
    };
    let proposed = here.changes.propose(Command::Calendar(change)).await.map_err(NotDone::Unproposed)?;
    let refusal = match proposed.outcome {
        Outcome::Done => return Ok(LogIndex(proposed.index)),
        Outcome::Refused(refusal) => refusal,
    };
    Err(match (refusal, wanted) {
        (Refusal::Calendar(NotBooked::SlotTaken), Some((provider, start))) => NotDone::Taken(provider, start),
        (refusal, _) => NotDone::of(refusal),
    })
}
