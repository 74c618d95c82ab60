//! Finishes or undoes what somebody began and is gone, and offers free slots to those who wait.
//!
//! Each piece of work is taken under a fence for a while, so that of several nodes of a region one has it, and one that
//! comes back after it was given up for dead can write nothing. What is asked of the control plane may be asked twice.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use node_access::{Disclosable as _, Here, Refused};
use node_console::calendars::booking::{self, NotDone};
use residency_control::ProposeError;
use residency_control::calendar::{CalendarChange, Slot};
use residency_policy::{AppointmentId, BookingHandle, ProviderId, WaitlistId};
use storage::bookings::{Subject, Taken};
use tokio::task::JoinError;

use super::carry::{self, Fate};
use super::end::{self, Ending};
use super::hand::Hand;
use super::model::{Facts, Failure, State};
use super::waitlist::matching::Matching;
use super::waitlist::settle;
use super::{store, work};

/// How much is worked on at a time.
const TOGETHER: i64 = 8;

/// Whoever finishes and undoes at one node.
pub struct Desk {
    here: Here,
    matching: Mutex<Matching>,
}

impl Desk {
    /// At this node.
    pub fn new(here: Here) -> Self {
        Self { here, matching: Mutex::default() }
    }

    /// Works on what is due. Returns how much that was.
    pub async fn round(&self) -> Result<usize, storage::Error> {
        let lease = Duration::from_secs_f64(work::store::LEASE_SECONDS);
        let taken = self.here.pool.take_booking_work(lease, TOGETHER).await?;
        join_all(taken.iter().map(|one| async move {
            if let Err(refused) = self.settle(one).await {
                let why = refused.problem().kind().slug();
                tracing::warn!(id = %one.id, why, "what was begun cannot be finished or undone now; it is tried again");
            }
        }))
        .await;
        Ok(taken.len())
    }

    async fn settle(&self, taken: &Taken) -> Result<(), Refused> {
        match taken.subject {
            Subject::Appointment => {
                let hand = Hand::of_work(&self.here, taken, "appointment.settle");
                appointment(&hand, AppointmentId::from(taken.id), taken.fence).await
            }
            Subject::Wish => {
                let hand = Hand::of_work(&self.here, taken, "waitlist.settle");
                settle::settle(self, &hand, WaitlistId::from(taken.id), taken.fence).await
            }
        }
    }

    /// Looks which free slots are for whom, and sees to it that those of this home are offered theirs. Returns how many
    /// that are.
    pub async fn look_for_offers(&self) -> Result<usize, storage::Error> {
        let ((_, ledger), (_, providers)) = (self.here.directory.ledger(), self.here.directory.providers());
        let now = self.here.clock.now();
        let (before, own) = (self.matching().clone(), self.here.region);
        let look = move || {
            let found = before.look(&ledger, &providers, own, now);
            (found, ledger)
        };
        // It keeps a thread busy, which no request waits for.
        let (found, ledger) = match tokio::task::spawn_blocking(look).await.map_err(JoinError::try_into_panic) {
            Ok(looked) => looked,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The node is stopping.
            Err(Err(_)) => return Ok(0),
        };
        let first = self.matching().remember(found, &ledger);
        if !first.is_empty() {
            self.here.pool.wake_wishes(&first).await?;
        }
        Ok(first.len())
    }

    /// Tells the control plane what this region's clock shows, so that what is long over is forgotten.
    pub async fn tell_time(&self) -> Result<(), ProposeError> {
        let change =
            CalendarChange::TellTime { region: self.here.region, at: self.here.clock.now().as_second() };
        match booking::propose(&self.here, change).await {
            Ok(_) => Ok(()),
            Err(NotDone::Unproposed(error)) => Err(error),
            Err(why) => {
                tracing::info!(why = ?why.cause(), "the control plane does not take this region's time");
                Ok(())
            }
        }
    }

    /// What is to be offered to one of our own.
    pub(crate) fn offer_for(&self, handle: BookingHandle) -> Option<(ProviderId, Slot)> {
        self.matching().offer_for(handle)
    }

    /// Remembers that somebody cannot be booked with a provider.
    pub(crate) fn is_unfit(&self, handle: BookingHandle, provider: ProviderId) {
        self.matching().is_unfit(handle, provider);
    }

    fn matching(&self) -> std::sync::MutexGuard<'_, Matching> {
        self.matching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finishes an appointment that is booked, moved or freed in the control plane, and undoes any other.
async fn appointment(hand: &Hand, id: AppointmentId, fence: i64) -> Result<(), Refused> {
    let read = hand.transact(|tx| async move {
        let facts = store::lock_any(&tx, hand.patient, id).await?;
        let held = match facts {
            Some(facts) => store::rests_on_hold(&tx, &facts).await?,
            None => false,
        };
        tx.rollback().await;
        Ok(facts.map(|facts| (facts, held)))
    });
    let Some((facts, held)) = read.await? else { return Ok(()) };
    let (here, org) = (&hand.here, hand.scope().org);
    let ending = match facts.state {
        State::Pending => match carry::resume(here, org, facts.service, &facts.place, held, None).await {
            Fate::Booked(_) => Ending::Booked,
            Fate::Nothing(why) if held => Ending::Failed(Failure::of(&why)),
            Fate::Nothing(_) => Ending::Failed(Failure::Interrupted),
            Fate::Unknown(why) => return Err(why.into()),
        },
        State::Moving(to) => {
            match carry::resume(here, org, facts.service, &to, held, Some(&facts.place)).await {
                Fate::Booked(_) => Ending::Moved,
                Fate::Nothing(_) => Ending::Stayed,
                Fate::Unknown(why) => return Err(why.into()),
            }
        }
        State::Cancelling(_) => {
            carry::free(here, &facts.place).await?;
            Ending::Cancelled
        }
        State::Booked | State::Cancelled(_) | State::Failed(_) => return resting(hand, &facts, fence).await,
    };
    if end::end(hand, id, fence, ending).await?.is_some() {
        tracing::info!(%id, ending = ?ending, "what was begun was finished or undone");
    }
    Ok(())
}

/// Nothing is on its way: the work is over.
async fn resting(hand: &Hand, facts: &Facts, fence: i64) -> Result<(), Refused> {
    use storage::{Access, AccessAction};
    hand.transact(|tx| async move {
        work::store::end(&tx, facts.id.uuid(), facts.patient, fence).await?;
        let access = Access::to(AccessAction::Update, super::api::ENTITY, facts.id.uuid(), facts.patient);
        tx.commit(&[access]).await?;
        Ok(())
    })
    .await
}
