//! What is asked of a cluster: one file a scenario.

mod booking;
mod crud;
mod mixed_day;
mod read_chart;
mod region_loss;
mod register;
mod search;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::pace::{Pace, Shape};
use super::stage::{Place, Stage};
use super::verdict::Promise;

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Requests a second, at most.
    pub rate: f64,
    /// For how long.
    pub length: Duration,
    /// How many people each jurisdiction has before it begins.
    pub people: usize,
}

/// What may be asked for: a run takes the stage and gives the promises that only it can judge.
pub type Run = fn(Arc<Stage>, Amount) -> BoxFuture<'static, anyhow::Result<Vec<Promise>>>;

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it asks, in one line.
    pub about: &'static str,
    /// Asks.
    pub run: Run,
}

/// All of them.
pub const ALL: &[Scenario] = &[
    register::SCENARIO,
    read_chart::SCENARIO,
    crud::SCENARIO,
    search::SCENARIO,
    booking::SCENARIO,
    region_loss::SCENARIO,
    mixed_day::SCENARIO,
];

impl Amount {
    /// When requests are due.
    pub fn pace(&self, stage: &Stage, shape: Shape) -> Pace {
        Pace::new(stage.seed, self.rate, shape, self.length)
    }
}

/// The dice of a run. What is drawn follows from the seed; what is answered does not.
pub(super) fn dice(stage: &Stage) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(stage.seed)
}

/// A place at random, and its number.
pub(super) fn any_place<'a>(stage: &'a Stage, rng: &mut ChaCha8Rng) -> (usize, &'a Place) {
    let at = rng.random_range(0..stage.places.len());
    (at, &stage.places[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_one_name() {
        let mut names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
