//! A day of all clinics at once: a busy morning, a busy afternoon, and everything that is done in between.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::super::book::Clinic;
use super::super::stage::Stage;
use super::super::tally::{Done, How};
use super::super::verdict::{latencies, nothing_refused};
use super::super::{act, pace};
use super::booking::{self, Held};
use super::{Scenario, Shape, any_place, dice};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed_day",
    about: "a day: charts, searches, registrations, encounters, organisations, bookings",
    run: |stage, amount| {
        Box::pin(async move {
            act::prepare(&stage, amount.people).await?;
            let mut rng = dice(&stage);
            let clinic = Arc::new(Clinic::open(&stage, booking::clinicians(amount), &mut rng).await?);
            let (added, held) = (Arc::new(Mutex::new(Vec::new())), Held::default());
            pace::send(amount.pace(&stage, Shape::Day), &stage.tally, |_| {
                let errand = Errand::drawn(&mut rng);
                if errand == Errand::Book {
                    return booking::one(stage.clone(), clinic.clone(), held.clone(), &mut rng).boxed();
                }
                let (at, _) = any_place(&stage, &mut rng);
                let seed = rng.random();
                one(stage.clone(), at, errand, seed, added.clone()).boxed()
            })
            .await;
            let summaries = stage.tally.summaries();
            let mut promises = latencies(&summaries);
            promises.push(nothing_refused(&summaries));
            promises.push(booking::all_there(&stage, &held).await);
            Ok(promises)
        })
    },
};

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    Read,
    Search,
    Change,
    Register,
    Encounter,
    AddOrganisation,
    ReadOrganisation,
    Book,
}

/// Of a hundred errands, so many are of each kind.
const SHARES: [(Errand, u32); 8] = [
    (Errand::Read, 46),
    (Errand::Search, 15),
    (Errand::Change, 9),
    (Errand::Register, 7),
    (Errand::Encounter, 10),
    (Errand::AddOrganisation, 3),
    (Errand::ReadOrganisation, 4),
    (Errand::Book, 6),
];

impl Errand {
    fn drawn(rng: &mut ChaCha8Rng) -> Self {
        let mut draw = rng.random_range(0..100);
        let chosen = SHARES.iter().find(|(_, share)| {
            let here = draw < *share;
            draw = draw.saturating_sub(*share);
            here
        });
        chosen.map_or(Self::Read, |(errand, _)| *errand)
    }
}

type Added = Arc<Mutex<Vec<String>>>;

async fn one(stage: Arc<Stage>, at: usize, errand: Errand, seed: u64, added: Added) -> Done {
    use rand::SeedableRng as _;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let place = &stage.places[at];
    let patient = match act::anybody(place, &mut rng) {
        Ok(patient) => patient,
        Err(how) => return Done { act: "read", group: "all", how },
    };
    let (act, how) = match errand {
        // Bookings have a way of their own.
        Errand::Read | Errand::Book => ("read", act::read(&place.provider, &patient).await),
        Errand::Search => ("search", act::search(&stage, place, &patient, rng.random_bool(0.5)).await),
        Errand::Register => ("register", act::register(&stage, place).await),
        Errand::Encounter => ("open encounter", act::encounter(&stage, place, &patient).await),
        Errand::Change => match place.ward.turn(&mut rng) {
            Some(turn) => ("change", act::change(&stage, place, &turn).await),
            None => ("read", act::read(&place.provider, &patient).await),
        },
        Errand::AddOrganisation => {
            let (how, organisation) = act::add_organisation(&stage, place).await;
            added.lock().unwrap_or_else(PoisonError::into_inner).extend(organisation);
            ("add organisation", how)
        }
        Errand::ReadOrganisation => {
            let last = added.lock().unwrap_or_else(PoisonError::into_inner).last().cloned();
            // Asked at another node than the one that the edge took for adding it, as often as not.
            let reader = &stage.places[rng.random_range(0..stage.places.len())].reader;
            match last {
                Some(organisation) => {
                    ("read organisation", act::read_organisation(&stage, reader, &organisation).await)
                }
                None => ("read organisation", How::Expected("none was added yet")),
            }
        }
    };
    Done { act, group: if act == "search" { "searches" } else { "everything else" }, how }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_hundred_errands_are_a_hundred() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u32>(), 100);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<Errand> = (0..10_000).map(|_| Errand::drawn(&mut rng)).collect();
        for (errand, share) in SHARES {
            let found = drawn.iter().filter(|other| **other == errand).count();
            let expected = usize::try_from(share).expect("small") * 100;
            assert!(found.abs_diff(expected) < 150, "{errand:?}: {found} for {expected}");
        }
    }
}
