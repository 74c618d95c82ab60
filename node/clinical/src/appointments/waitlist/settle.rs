//! Brings a wish forward by one step, whoever left it where it is.

use jiff::{SignedDuration, Timestamp};
use node_access::Refused;
use node_console::calendars::booking::{self, NotDone, Wish as Wanted};
use residency_control::calendar::CalendarChange;
use residency_policy::{BookingHandle, WaitlistId};
use storage::{Access, AccessAction, AccessOutcome, Event, EventName};

use super::api::ENTITY;
use super::model::{Offer, Outcome, State, Wish};
use super::store;
use crate::appointments::hand::Hand;
use crate::appointments::model::Place;
use crate::appointments::reconcile::Desk;
use crate::appointments::work;
use crate::{consents, patients};

/// How long a slot is held for whoever is offered it, in seconds.
pub const OFFER_SECONDS: i64 = 1_800;
/// How long after a failure it is tried again.
const PAUSE: f64 = 5.0;

/// Brings a wish forward.
pub(crate) async fn settle(desk: &Desk, hand: &Hand, id: WaitlistId, fence: i64) -> Result<(), Refused> {
    let read = hand.transact(|tx| async move {
        let wish = store::lock(&tx, hand.patient, id).await?;
        // Nobody is offered anything who may not be served.
        let gone = patients::store::removed(&tx, hand.patient).await?
            || match &wish {
                Some(wish) => consents::store::withdrawn(&tx, hand.patient, wish.purpose).await?,
                None => false,
            };
        tx.rollback().await;
        Ok(wish.map(|wish| (wish, gone)))
    });
    let Some((wish, gone)) = read.await? else { return Ok(()) };
    let now = hand.here.clock.now();
    match wish.state {
        State::Joining | State::Waiting | State::Offering(_) | State::Offered(_) if gone => {
            if let Some(offer) = wish.state.offer() {
                give_back(hand, offer).await?;
            }
            step(hand, &Wish { state: State::Leaving(Outcome::Removed), ..wish }, fence, 0.0, None).await
        }
        State::Joining => join(hand, &wish, fence).await,
        State::Waiting if wish.asked.to.timestamp() <= now => {
            let next = Wish { state: State::Leaving(Outcome::Expired), ..wish };
            step(hand, &next, fence, 0.0, None).await
        }
        State::Waiting => offer(desk, hand, &wish, fence).await,
        // Whoever held a slot for it is gone. What they held lapses, or is given back here.
        State::Offering(offer) => {
            give_back(hand, &offer).await?;
            rejoin(hand, &wish, fence).await
        }
        State::Offered(offer) if offer.until > now => rest(hand, id, fence, offer.until).await,
        State::Offered(offer) => lapse(hand, &wish, &offer, fence).await,
        State::Leaving(outcome) => leave(hand, &wish, outcome, fence).await,
        State::Ended(_) => end_work(hand, id, fence).await,
    }
}

async fn join(hand: &Hand, wish: &Wish, fence: i64) -> Result<(), Refused> {
    let waiting = wish.waiting(hand.scope().org, hand.here.region);
    match booking::propose(&hand.here, CalendarChange::Wait(waiting)).await {
        Ok(_) => {
            let next = Wish { state: State::Waiting, ..*wish };
            step(hand, &next, fence, until(hand, wish.asked.to.timestamp()), None).await
        }
        Err(why) => put_off(hand, wish.id, fence, &why).await,
    }
}

/// Holds a slot for whoever is first in the order, takes them off the order, and says so.
async fn offer(desk: &Desk, hand: &Hand, wish: &Wish, fence: i64) -> Result<(), Refused> {
    let expiry = wish.asked.to.timestamp();
    let Some((provider, slot)) = desk.offer_for(wish.handle) else {
        return rest(hand, wish.id, fence, expiry).await;
    };
    let here = &hand.here;
    let handle = BookingHandle::random(&*here.entropy);
    let until = here.clock.now().saturating_add(SignedDuration::from_secs(OFFER_SECONDS)).unwrap_or(expiry);
    let offer = Offer { place: Place::new(provider, handle, slot), until };
    // Written first: a slot is never held for somebody without a row that says so.
    let Some(wish) = begin(hand, &Wish { state: State::Offering(offer), ..*wish }, fence).await? else {
        return Ok(());
    };
    let wanted = Wanted {
        provider,
        start: slot.start,
        service: wish.asked.service,
        handle,
        org: hand.scope().org,
        seconds: OFFER_SECONDS,
        over_capacity: None,
    };
    match booking::hold(here, &wanted).await {
        Ok(held) => {
            let change = CalendarChange::Leave { handle: wish.handle, region: here.region };
            if let Err(why) = booking::propose(here, change).await {
                return put_off(hand, wish.id, fence, &why).await;
            }
            let offer = Offer { until: held.until, ..offer };
            let next = Wish { state: State::Offered(offer), ..wish };
            let seconds = self::until(hand, held.until);
            step(hand, &next, fence, seconds, Some(EventName::WaitlistOffered)).await
        }
        Err(why @ NotDone::Unproposed(_)) => put_off(hand, wish.id, fence, &why).await,
        Err(why) => {
            if matches!(why, NotDone::NoAuthority(_)) {
                desk.is_unfit(wish.handle, provider);
            }
            let next = Wish { state: State::Waiting, ..wish };
            step(hand, &next, fence, self::until(hand, expiry), None).await
        }
    }
}

/// An offer that nobody took: the slot is free again, and the wish goes to the end.
async fn lapse(hand: &Hand, wish: &Wish, offer: &Offer, fence: i64) -> Result<(), Refused> {
    if give_back(hand, offer).await? {
        return rejoin(hand, wish, fence).await;
    }
    let next = Wish { state: State::Leaving(Outcome::Booked), ..*wish };
    step(hand, &next, fence, 0.0, Some(EventName::WaitlistEnded)).await
}

/// Joins anew, at the end of the order and under another handle: a departure of the one before may come late.
async fn rejoin(hand: &Hand, wish: &Wish, fence: i64) -> Result<(), Refused> {
    let gone = CalendarChange::Leave { handle: wish.handle, region: hand.here.region };
    if let Err(why) = booking::propose(&hand.here, gone).await {
        return put_off(hand, wish.id, fence, &why).await;
    }
    let handle = BookingHandle::random(&*hand.here.entropy);
    step(hand, &Wish { state: State::Joining, handle, ..*wish }, fence, 0.0, None).await
}

/// Gives back what was held for a wish. `false` when it is somebody's appointment by now.
async fn give_back(hand: &Hand, offer: &Offer) -> Result<bool, Refused> {
    let Place { provider, handle, .. } = offer.place;
    match booking::release(&hand.here, provider, handle, hand.scope().org).await {
        Ok(_) | Err(NotDone::NoHold | NotDone::NotFound) => Ok(true),
        Err(NotDone::Used) => Ok(false),
        Err(why) => Err(why.into()),
    }
}

async fn leave(hand: &Hand, wish: &Wish, outcome: Outcome, fence: i64) -> Result<(), Refused> {
    let change = CalendarChange::Leave { handle: wish.handle, region: hand.here.region };
    if let Err(why) = booking::propose(&hand.here, change).await {
        return put_off(hand, wish.id, fence, &why).await;
    }
    let next = Wish { state: State::Ended(outcome), ..*wish };
    hand.transact(|tx| async move {
        if work::store::end(&tx, next.id.uuid(), next.patient, fence).await? {
            store::update(&tx, &next).await?;
            if outcome != Outcome::Booked {
                tx.emit(&Event::new(EventName::WaitlistEnded, next.id.uuid())).await?;
            }
            tx.commit(&[Access::to(AccessAction::Update, ENTITY, next.id.uuid(), next.patient)]).await?;
        } else {
            tx.rollback().await;
        }
        Ok(())
    })
    .await
}

async fn end_work(hand: &Hand, id: WaitlistId, fence: i64) -> Result<(), Refused> {
    hand.transact(|tx| async move {
        work::store::end(&tx, id.uuid(), hand.patient, fence).await?;
        tx.commit(&[Access::to(AccessAction::Update, ENTITY, id.uuid(), hand.patient)]).await?;
        Ok(())
    })
    .await
}

/// Writes a step whose work goes on. `None` if the work is not ours any more.
async fn begin(hand: &Hand, next: &Wish, fence: i64) -> Result<Option<Wish>, Refused> {
    let lease = work::store::LEASE_SECONDS;
    hand.transact(|tx| async move {
        if !work::store::keep(&tx, next.id.uuid(), next.patient, fence, lease).await? {
            tx.rollback().await;
            return Ok(None);
        }
        store::update(&tx, next).await?;
        tx.commit(&[Access::to(AccessAction::Update, ENTITY, next.id.uuid(), next.patient)]).await?;
        Ok(Some(Wish { version: next.version + 1, ..*next }))
    })
    .await
}

/// Writes a step after which nobody works on it for so many seconds.
async fn step(
    hand: &Hand,
    next: &Wish,
    fence: i64,
    seconds: f64,
    event: Option<EventName>,
) -> Result<(), Refused> {
    hand.transact(|tx| async move {
        let id = next.id.uuid();
        if !work::store::rename(&tx, id, next.patient, fence, next.handle, seconds).await? {
            tx.rollback().await;
            return Ok(());
        }
        store::update(&tx, next).await?;
        if let Some(event) = event {
            tx.emit(&Event::new(event, id)).await?;
        }
        tx.commit(&[Access::to(AccessAction::Update, ENTITY, id, next.patient)]).await?;
        Ok(())
    })
    .await
}

async fn rest(hand: &Hand, id: WaitlistId, fence: i64, until: Timestamp) -> Result<(), Refused> {
    postpone(hand, id, fence, self::until(hand, until), AccessOutcome::Done).await
}

/// The control plane did not do it: it is tried again.
async fn put_off(hand: &Hand, id: WaitlistId, fence: i64, why: &NotDone) -> Result<(), Refused> {
    tracing::info!(why = ?node_access::Disclosable::cause(why), "a wish is gone on with later");
    postpone(hand, id, fence, PAUSE, AccessOutcome::Refused).await
}

async fn postpone(
    hand: &Hand,
    id: WaitlistId,
    fence: i64,
    seconds: f64,
    outcome: AccessOutcome,
) -> Result<(), Refused> {
    hand.transact(|tx| async move {
        work::store::postpone(&tx, id.uuid(), hand.patient, fence, seconds).await?;
        let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), hand.patient).ended(outcome);
        tx.commit(&[access]).await?;
        Ok(())
    })
    .await
}

/// How many seconds there are until an instant; at least one, or whoever comes next would come at once.
fn until(hand: &Hand, instant: Timestamp) -> f64 {
    instant.duration_since(hand.here.clock.now()).as_secs_f64().max(1.0)
}
