//! Patients are registered, read, changed and removed through the edge, evenly, among as many others as `--people` says.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::super::tally::Done;
use super::super::verdict::{latencies, nothing_refused};
use super::super::{act, pace};
use super::{Scenario, Shape, any_place, dice};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "crud",
    about: "patients are registered, read, changed and removed, evenly",
    run: |stage, amount| {
        Box::pin(async move {
            act::prepare(&stage, amount.people).await?;
            let mut rng = dice(&stage);
            pace::send(amount.pace(&stage, Shape::Level), &stage.tally, |_| {
                let (at, place) = any_place(&stage, &mut rng);
                let errand = Errand::drawn(&mut rng);
                let turn = if errand == Errand::Change { place.ward.turn(&mut rng) } else { None };
                let patient = act::anybody(place, &mut rng);
                let stage = stage.clone();
                async move {
                    let place = &stage.places[at];
                    let (act, how) = match (errand, turn, patient) {
                        (Errand::Register, ..) => ("register", act::register(&stage, place).await),
                        (Errand::Remove, ..) => {
                            ("register and remove", act::register_and_remove(&stage, place).await)
                        }
                        (_, Some(turn), _) => ("change", act::change(&stage, place, &turn).await),
                        (_, None, Ok(patient)) => ("read", act::read(&place.provider, &patient).await),
                        (_, None, Err(how)) => ("read", how),
                    };
                    Done { act, group: act, how }
                }
            })
            .await;
            let summaries = stage.tally.summaries();
            let mut promises = latencies(&summaries);
            promises.push(nothing_refused(&summaries));
            Ok(promises)
        })
    },
};

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    Read,
    Change,
    Register,
    Remove,
}

impl Errand {
    /// Of twenty errands 12 are reads, 4 changes, 3 registrations and one a removal.
    fn drawn(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..20) {
            0 => Self::Remove,
            1..4 => Self::Register,
            4..8 => Self::Change,
            _ => Self::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn every_errand_is_drawn_as_often_as_is_said() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<Errand> = (0..20_000).map(|_| Errand::drawn(&mut rng)).collect();
        for (errand, expected) in [
            (Errand::Read, 12_000),
            (Errand::Change, 4_000),
            (Errand::Register, 3_000),
            (Errand::Remove, 1_000),
        ] {
            let found = drawn.iter().filter(|other| **other == errand).count();
            assert!(found.abs_diff(expected) < 300, "{errand:?}: {found} for {expected}");
        }
    }
}
