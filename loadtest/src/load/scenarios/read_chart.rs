//! Charts are opened through the edge, each disclosure recorded before it is answered.

use rand::Rng as _;

use super::super::tally::Done;
use super::super::verdict::{latencies, nothing_refused};
use super::super::{act, pace};
use super::{Scenario, Shape, any_place, dice};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "read_chart",
    about: "charts are opened, and one in twenty is changed",
    run: |stage, amount| {
        Box::pin(async move {
            act::prepare(&stage, amount.people).await?;
            let mut rng = dice(&stage);
            pace::send(amount.pace(&stage, Shape::Level), &stage.tally, |_| {
                let (at, place) = any_place(&stage, &mut rng);
                let turn = if rng.random_bool(0.05) { place.ward.turn(&mut rng) } else { None };
                let patient = act::anybody(place, &mut rng);
                let stage = stage.clone();
                async move {
                    let place = &stage.places[at];
                    let (act, how) = match (turn, patient) {
                        (Some(turn), _) => ("change", act::change(&stage, place, &turn).await),
                        (None, Ok(patient)) => ("read", act::read(&place.provider, &patient).await),
                        (None, Err(how)) => ("read", how),
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
