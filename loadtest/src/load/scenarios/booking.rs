//! Slots are booked by several at once, for patients of every state, and some of them are given back.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::super::act;
use super::super::book::{self, Booked, Clinic};
use super::super::pace;
use super::super::stage::Stage;
use super::super::tally::{Done, How};
use super::super::verdict::{Promise, latencies, nothing_refused};
use super::{Amount, Scenario, Shape, any_place, dice};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "booking",
    about: "three ask for every slot; one gets it, and one in ten gives it back",
    run: |stage, amount| {
        Box::pin(async move {
            act::prepare(&stage, amount.people).await?;
            let mut rng = dice(&stage);
            let clinic = Arc::new(Clinic::open(&stage, clinicians(amount), &mut rng).await?);
            let held = Held::default();
            pace::send(amount.pace(&stage, Shape::Level), &stage.tally, |_| {
                one(stage.clone(), clinic.clone(), held.clone(), &mut rng)
            })
            .await;
            let summaries = stage.tally.summaries();
            let mut promises = latencies(&summaries);
            promises.push(nothing_refused(&summaries));
            promises.push(all_there(&stage, &held).await);
            Ok(promises)
        })
    },
};

/// What was booked and not given back, with whose home it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<Mutex<Vec<(usize, Booked)>>>);

impl Held {
    fn put(&self, at: usize, booked: Booked) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((at, booked));
    }

    /// Takes one, which nobody else can then give back.
    fn take(&self, rng: &mut ChaCha8Rng) -> Option<(usize, Booked)> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let many = held.len();
        (many > 0).then(|| held.swap_remove(rng.random_range(0..many)))
    }

    fn all(&self) -> Vec<(usize, Booked)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Twenty slots a day for each clinician, and enough days: one clinician for so many requests, a few dozen at most.
pub(super) fn clinicians(amount: Amount) -> usize {
    const REQUESTS_EACH: f64 = 900.0;
    let requests = amount.rate * amount.length.as_secs_f64();
    let enough = (1..64_u8).find(|many| f64::from(*many) * REQUESTS_EACH >= requests);
    usize::from(enough.unwrap_or(64))
}

/// Books the next slot for somebody, or gives one back.
pub(super) fn one(
    stage: Arc<Stage>,
    clinic: Arc<Clinic>,
    held: Held,
    rng: &mut ChaCha8Rng,
) -> impl Future<Output = Done> + Send + use<> {
    let (at, place) = any_place(&stage, rng);
    let patient = act::anybody(place, rng);
    let given_back = if rng.random_bool(0.05) { held.take(rng) } else { None };
    async move {
        let (act, how) = match (given_back, patient, &stage.places[at]) {
            (Some((at, booked)), _, _) => ("cancel", book::cancel(&stage, &stage.places[at], &booked).await),
            (None, Err(how), _) => ("book", how),
            (None, Ok(patient), place) => match clinic.next() {
                None => ("book", How::Lost("no slot is left".to_owned())),
                Some(slot) => {
                    let (how, booked) = book::book(&stage, place, &patient, slot).await;
                    if let Some(booked) = booked {
                        held.put(at, booked);
                    }
                    ("book", how)
                }
            },
        };
        Done { act, group: act, how }
    }
}

/// Everything that was booked and not given back is there.
pub(super) async fn all_there(stage: &Arc<Stage>, held: &Held) -> Promise {
    let held = held.all();
    let what = format!("of {} acknowledged bookings lost", held.len());
    let there = futures::stream::iter(held).map(|(at, booked)| {
        let staff = stage.places[at].staff.clone();
        async move { book::still_booked(&staff, &booked).await }
    });
    let there: Vec<Option<bool>> = there.buffer_unordered(16).collect().await;
    Promise::none(&what, there.into_iter().filter(|there| *there != Some(true)).count())
}
