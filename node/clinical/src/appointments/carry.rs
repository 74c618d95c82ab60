//! What the control plane is asked for an appointment, and what is made of its answer when nobody heard it.
//!
//! A row is durable here before anything is asked there, so whatever happens in between, somebody finds the row and asks
//! what became of its handle. What is booked there is booked here; a hold that the caller took before is gone on with; any
//! other that is held there or is not there is given up, and given up for good: the control plane holds nothing under
//! that handle any more, however late whoever was given up for dead may come with it.

use node_access::{Here, LogIndex};
use node_console::calendars::booking::{self, Claim, NotDone, Wish};
use residency_control::ProposeError;
use residency_control::calendar::{CalendarChange, EntryState};
use residency_policy::{Jurisdiction, OrgId};

use super::model::Place;

/// How long a slot is held while it is being booked, in seconds: longer than a request may take.
const HOLD_SECONDS: i64 = 120;

/// What became of a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    /// It is booked, and this home answers for it.
    Booked(LogIndex),
    /// It is not, and never will be.
    Nothing,
}

/// How asking ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    /// It is booked.
    Booked(LogIndex),
    /// It is not, for this reason, and nothing is held.
    Nothing(NotDone),
    /// Nobody knows yet. Whoever comes next asks again.
    Unknown(NotDone),
}

/// Takes a place: holds it, unless it was held before, and books it. With `from`, that one is freed in the same go.
pub(crate) async fn take(
    here: &Here,
    org: OrgId,
    service: Jurisdiction,
    place: &Place,
    held: bool,
    from: Option<&Place>,
) -> Fate {
    if !held {
        let Place { provider, handle, start, .. } = *place;
        let wish = Wish { provider, start, service, handle, org, seconds: HOLD_SECONDS, over_capacity: None };
        match booking::hold(here, &wish).await {
            Ok(_) => {}
            // Without a quorum nothing was asked for, and a refusal holds nothing.
            Err(why @ NotDone::Unproposed(error)) if error != ProposeError::NoQuorum => {
                return Fate::Unknown(why);
            }
            Err(why) => return Fate::Nothing(why),
        }
    }
    let claim = Claim { provider: place.provider, handle: place.handle, service, org };
    let done = match from {
        None => booking::confirm(here, &claim).await,
        Some(from) => booking::relocate(here, (from.provider, from.handle), &claim).await,
    };
    match done {
        Ok(index) => Fate::Booked(index),
        Err(why @ (NotDone::Unproposed(_) | NotDone::Changing)) => Fate::Unknown(why),
        // What is held is given back before anybody says that there is nothing.
        Err(why) => match became(here, org, place).await {
            Ok(Became::Booked(index)) => Fate::Booked(index),
            Ok(Became::Nothing) => Fate::Nothing(why),
            Err(_) => Fate::Unknown(why),
        },
    }
}

/// Goes on with a place that somebody began to take and left. A hold that the caller took before is theirs, so it is
/// booked as long as it lives; any other place that is not booked is given up.
pub(crate) async fn resume(
    here: &Here,
    org: OrgId,
    service: Jurisdiction,
    place: &Place,
    held: bool,
    from: Option<&Place>,
) -> Fate {
    if held {
        return take(here, org, service, place, held, from).await;
    }
    match became(here, org, place).await {
        Ok(Became::Booked(index)) => Fate::Booked(index),
        Ok(Became::Nothing) => Fate::Nothing(NotDone::NoHold),
        Err(why) => Fate::Unknown(why),
    }
}

/// Frees what this home answers for.
pub(crate) async fn free(here: &Here, place: &Place) -> Result<LogIndex, NotDone> {
    booking::cancel(here, place.provider, place.handle).await
}

/// Asks what became of a handle, of everything that anybody was told, and gives up what is not booked.
async fn became(here: &Here, org: OrgId, place: &Place) -> Result<Became, NotDone> {
    here.changes.barrier().await.map_err(NotDone::Unproposed)?;
    if let Some(booked) = booked(here, place) {
        return Ok(booked);
    }
    let Place { provider, handle, .. } = *place;
    let given_up = CalendarChange::GiveUp { provider, handle, org, at: here.clock.now().as_second() };
    match booking::propose(here, given_up).await {
        Ok(_) | Err(NotDone::NoHold) => Ok(Became::Nothing),
        // It was confirmed between the look and the giving up, or somebody else's home has it.
        Err(NotDone::Used) => Ok(booked(here, place).unwrap_or(Became::Nothing)),
        Err(why) => Err(why),
    }
}

fn booked(here: &Here, place: &Place) -> Option<Became> {
    let (index, ledger) = here.directory.ledger();
    let (_, entry) = ledger.book(place.provider)?.find(place.handle)?;
    let ours = entry.state == EntryState::Booked && entry.region == here.region;
    ours.then_some(Became::Booked(index))
}
