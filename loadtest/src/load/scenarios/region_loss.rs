//! A region dies while the clinics of all states work: nobody else notices, its own callers are told when to ask
//! again, and it comes back with everything that was acknowledged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::BoxFuture;
use rand::Rng as _;
use tokio::time::Instant;

use super::super::stage::Stage;
use super::super::tally::{Done, How, Kind, Point, summary};
use super::super::verdict::{CRUD_MS, Promise};
use super::super::{act, fault, pace};
use super::{Amount, Scenario, Shape, any_place, dice};

const LOST: &str = "the lost region";
const OTHERS: &str = "the other regions";
/// A region is back this long after it is no longer killed, on a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// A router that has just seen the node again may have queued for the one before.
const SETTLED: f64 = 5.0;
/// What was under way when the node died breaks off, and that is told as well; after this much nothing may.
const BREAKS_OFF: f64 = 1.0;

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "region_loss",
    about: "one region's node is killed and kept dead for a third of the time",
    run: |stage, amount| run(stage, amount),
};

fn run(stage: Arc<Stage>, amount: Amount) -> BoxFuture<'static, Result<Vec<Promise>>> {
    Box::pin(async move {
        act::prepare(&stage, amount.people).await?;
        let lost = stage.places.last().context("a region to lose")?.region.clone();
        let third = amount.length / 3;
        let begun = Instant::now();
        let death = tokio::spawn({
            let (home, lost) = (stage.home.clone(), lost.clone());
            async move {
                tokio::time::sleep_until(begun + third).await;
                let killed = fault::keep_dead(&home, &lost, third).await;
                (killed, begun.elapsed())
            }
        });
        load(&stage, amount, &lost).await;
        let (killed, ended) = death.await.context("the one who kills")?;
        let killed = killed?;
        let mut promises = judge(&stage, third.as_secs_f64(), ended.as_secs_f64());
        let processes =
            if killed == 1 { "one process was".to_owned() } else { format!("{killed} processes were") };
        promises.push(Promise::must("the region was lost", true, format!("{processes} killed")));
        Ok(promises)
    })
}

/// Everybody reads, changes and registers, in every state equally.
async fn load(stage: &Arc<Stage>, amount: Amount, lost: &str) {
    let mut rng = dice(stage);
    pace::send(amount.pace(stage, Shape::Level), &stage.tally, |_| {
        let (at, place) = any_place(stage, &mut rng);
        let group = if place.region == lost { LOST } else { OTHERS };
        let draw = rng.random_range(0..10);
        let turn = if draw == 0 { place.ward.turn(&mut rng) } else { None };
        let patient = act::anybody(place, &mut rng);
        let stage = stage.clone();
        async move {
            let place = &stage.places[at];
            let (act, how) = match (turn, patient) {
                (Some(turn), _) => ("change", act::change(&stage, place, &turn).await),
                _ if draw == 1 => ("register", act::register(&stage, place).await),
                (None, Ok(patient)) => ("read", act::read(&place.provider, &patient).await),
                (None, Err(how)) => ("read", how),
            };
            Done { act, group, how: expected(group, how) }
        }
    })
    .await;
}

/// What a caller of a dead region has to be told.
fn expected(group: &str, how: How) -> How {
    match how {
        How::Refused { status: 503, retry_after: true, .. } if group == LOST => {
            How::Expected("503 with Retry-After")
        }
        how => how,
    }
}

fn judge(stage: &Stage, died: f64, ended: f64) -> Vec<Promise> {
    let points = stage.tally.points();
    let of = |group: &str| -> Vec<Point> { points.iter().filter(|p| p.group == group).copied().collect() };
    let others = summary(OTHERS, &of(OTHERS));
    let lost = of(LOST);
    let wrong =
        |from: f64, to: f64| lost.iter().filter(|p| (from..to).contains(&p.due) && p.kind == Kind::Bad).count();
    let refused = |from: f64, to: f64| {
        lost.iter().filter(|p| (from..to).contains(&p.due) && p.kind != Kind::Good).count()
    };
    let back = lost.iter().filter(|p| p.due > ended && p.kind == Kind::Good).map(|p| p.due);
    let back = back.fold(f64::INFINITY, f64::min) - ended;
    let during: Vec<Point> = of(OTHERS).into_iter().filter(|p| (died..ended).contains(&p.due)).collect();
    let before: Vec<Point> = of(OTHERS).into_iter().filter(|p| p.due < died).collect();
    let (before, during) = (summary("before", &before), summary("during", &during));
    vec![
        Promise::at_most("p95 of the other regions", CRUD_MS, others.p95, "ms"),
        Promise::none(
            "requests of the other regions refused or not answered",
            usize::try_from(others.bad).unwrap_or(usize::MAX),
        ),
        Promise::must(
            "the other regions go on",
            during.good > 0,
            format!("p95 {:.1} ms before, {:.1} ms meanwhile", before.p95, during.p95),
        ),
        Promise::none(
            "requests of the lost region answered otherwise than with 503 and Retry-After",
            wrong(died + BREAKS_OFF, ended),
        ),
        Promise::none(
            "requests of the lost region not answered before it was lost, or once it was back",
            refused(0.0, died - BREAKS_OFF) + refused(ended + back + SETTLED, f64::INFINITY),
        ),
        Promise::none(
            "503 without Retry-After",
            usize::try_from(stage.tally.without_retry_after()).unwrap_or(usize::MAX),
        ),
        Promise::at_most("the lost region is back after", BACK_WITHIN.as_secs_f64(), back, "s"),
    ]
}
