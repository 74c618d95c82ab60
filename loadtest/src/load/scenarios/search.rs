//! People are searched for by what is known of them, and must be found.

use rand::Rng as _;

use super::super::tally::Done;
use super::super::verdict::{latencies, nothing_refused};
use super::super::{act, pace};
use super::{Scenario, Shape, any_place, dice};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "search",
    about: "people are searched for by e-mail address, or by name and birthday",
    run: |stage, amount| {
        Box::pin(async move {
            act::prepare(&stage, amount.people).await?;
            let mut rng = dice(&stage);
            pace::send(amount.pace(&stage, Shape::Level), &stage.tally, |_| {
                let (at, place) = any_place(&stage, &mut rng);
                let (patient, by_email) = (act::anybody(place, &mut rng), rng.random_bool(0.5));
                let stage = stage.clone();
                async move {
                    let how = match patient {
                        Ok(patient) => act::search(&stage, &stage.places[at], &patient, by_email).await,
                        Err(how) => how,
                    };
                    Done { act: "search", group: if by_email { "e-mail" } else { "name and birthday" }, how }
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
