//! Deciding who may do what by the shipped policies, beside a table of every answer that was worked out before.
//!
//! The table is what could be had instead: it knows the cells of the access matrix and nothing else, neither consent
//! nor licence, day, place or assurance, and nobody can read a reason out of it. So its time is a floor, and how far
//! above it the policies are is what they cost.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hashbrown::HashMap;
use hdrhistogram::Histogram;
use node_policy::{Action, Entity, Facts, Loaded, Principal, Relationship, Request, Verdict, decide};
use residency_policy::{Jurisdiction, Purpose};

use super::class::Held;
use super::drive::precise;
use super::series::{Contender, P50, P99, RATE, Sample, alternate};
use super::{Bench, Goal, Options, Report, Table};

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "decide", about: "decisions by the shipped policies, beside a table of every answer", run };

const OURS: &str = "policies";
const THEIRS: &str = "table of every answer";
/// What a decision may take at most, of 99 in a hundred.
const P99_US_MAX: f64 = 100.0;
/// Longer than any decision takes, in nanoseconds.
const NANOSECONDS_MAX: u64 = 1_000_000_000;

/// What a table is asked by.
type Cell = (Principal, Action, Entity, Option<Purpose>, Relationship);
type Answers = HashMap<Cell, Verdict, ahash::RandomState>;

fn cell(request: &Request) -> Cell {
    let facts = &request.facts;
    (request.principal, request.action, request.entity, facts.purpose, facts.relationship)
}

/// Every cell for which there is a purpose, in an order in which neighbours have little in common.
fn questions() -> anyhow::Result<Vec<Request>> {
    let home: Jurisdiction = "US-TX".parse().context("a jurisdiction")?;
    let mut all = Vec::new();
    for principal in Principal::all() {
        let organisation = match principal {
            Principal::Member(role) => Some(role.usual_kind()),
            Principal::Patient | Principal::Support => None,
        };
        for (&action, &entity) in Action::ALL.iter().flat_map(|a| Entity::ALL.iter().map(move |e| (a, e))) {
            for &purpose in Purpose::ALL {
                for &relationship in
                    &[Relationship::Organisation, Relationship::Assigned, Relationship::Oneself]
                {
                    let facts = Facts {
                        organisation,
                        purpose: Some(purpose),
                        relationship,
                        ..Facts::least(home, 20_261_122)
                    };
                    all.push(Request { principal, action, entity, facts });
                }
            }
        }
    }
    // A step that has no divisor in common with the length comes by every one.
    let step = (all.len() / 3..all.len()).find(|step| coprime(*step, all.len())).context("a step")?;
    Ok((0..all.len()).map(|at| all[at * step % all.len()]).collect())
}

fn coprime(one: usize, other: usize) -> bool {
    let (mut one, mut other) = (one, other);
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one == 1
}

fn turn(
    questions: &[Request],
    turn: Duration,
    allows: impl Fn(&Request) -> anyhow::Result<bool>,
) -> anyhow::Result<Sample> {
    let mut taken = Histogram::<u64>::new_with_max(NANOSECONDS_MAX, 3)?;
    let (start, mut allowed) = (Instant::now(), 0_u64);
    for (at, request) in questions.iter().cycle().enumerate() {
        let begun = Instant::now();
        let yes = black_box(allows(black_box(request)))?;
        taken.saturating_record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        allowed += u64::from(yes);
        if at % 64 == 0 && start.elapsed() >= turn {
            break;
        }
    }
    ensure!(allowed > 0 && allowed < taken.len(), "{allowed} of {} were allowed", taken.len());
    let micros = |share| precise(taken.value_at_quantile(share)) / 1e3;
    let rate = precise(taken.len()) / start.elapsed().as_secs_f64();
    Ok(Sample::new().with(RATE, rate).with(P50, micros(0.5)).with(P99, micros(0.99)))
}

/// Decides every question once, and keeps the answers.
fn answers(policies: &Loaded, questions: &[Request]) -> Answers {
    questions.iter().map(|request| (cell(request), decide(policies, request).verdict)).collect()
}

fn by_table(answers: &Answers, request: &Request) -> anyhow::Result<bool> {
    let verdict = answers.get(&cell(request)).context("a cell of the table")?;
    Ok(matches!(verdict, Verdict::Allow(_)))
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let (policies, questions) = (Loaded::shipped()?, questions()?);
    let answers = answers(&policies, &questions);
    let held = Held::new(options.class, &[]);
    let contenders = vec![
        Contender::new(THEIRS, |time| turn(&questions, time, |request| by_table(&answers, request))),
        Contender::new(OURS, |time| turn(&questions, time, |request| Ok(decide(&policies, request).allowed()))),
    ];
    let series = alternate(&options.plan, contenders)?;
    drop(held);

    let mut report = Report::new("Decisions");
    report.note(format!(
        "{} policies and {} questions: every principal, action, entity and purpose in three relationships. One thread; the \
         time of a decision is taken by itself, with what it costs to look at the clock (some 50 ns) in it. The table holds \
         the same answers, worked out before. It cannot know consent, licence, day, place or assurance, nor say why.",
        policies.rules().count(),
        questions.len(),
    ));
    report.table(Table::of(&series, &[RATE, P50, P99]));
    report.goal(Goal::at_most("policies: p99 us of a decision", series.spread(OURS, P99), P99_US_MAX));
    report.table({
        let mut table = Table::new(["beside the table", "median of the paired ratios"]);
        if let Some(ratio) = series.ratio(OURS, THEIRS, P50) {
            table.row(["p50 of a decision".to_owned(), format!("{:.0} times", ratio.median)]);
        }
        table
    });
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_comes_once_and_the_table_answers_as_the_policies_do() {
        let questions = questions().expect("questions");
        let mut cells: Vec<String> = questions.iter().map(|request| format!("{:?}", cell(request))).collect();
        cells.sort_unstable();
        cells.dedup();
        assert_eq!(cells.len(), questions.len());
        let policies = Loaded::shipped().expect("they load");
        let some = &questions[..4_000];
        let answers = answers(&policies, some);
        let agrees = |request: &Request| {
            by_table(&answers, request).expect("it is there") == decide(&policies, request).allowed()
        };
        assert!(some.iter().all(agrees));
        assert!(by_table(&answers, &questions[5_000]).is_err(), "the control: what is not in it has no answer");
        let sample = turn(some, Duration::from_millis(4), |request| by_table(&answers, request));
        assert!(sample.expect("some are allowed").get(P99).is_some_and(|us| us > 0.0));
    }
}
