//! People are registered, as on the day a clinic opens.

use super::super::tally::Done;
use super::super::verdict::{latencies, nothing_refused};
use super::super::{act, pace};
use super::{Scenario, Shape, any_place, dice};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "register",
    about: "people are registered in every state",
    run: |stage, amount| {
        Box::pin(async move {
            let mut rng = dice(&stage);
            pace::send(amount.pace(&stage, Shape::Level), &stage.tally, |_| {
                let (at, _) = any_place(&stage, &mut rng);
                let stage = stage.clone();
                async move {
                    let how = act::register(&stage, &stage.places[at]).await;
                    Done { act: "register", group: "register", how }
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
