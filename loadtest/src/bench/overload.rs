//! Ten times as many registrations as a home can do, and another clinic that reads beside them.

use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;

use super::class::Held;
use super::clinic::{CONNECTIONS, Clinic, Door, Known, scattered};
use super::drive::{Driven, Driver, precise};
use super::series::{self, Contender, Sample, Series, alternate};
use super::streams::{Pace, Question, Streams};
use super::write::registrations;
use super::{Bench, Goal, Options, Report, Table};

/// The benchmark.
pub(super) const BENCH: Bench = Bench {
    name: "overload",
    about: "ten times the registrations that a home can do, and a neighbour who reads meanwhile",
    run,
};

const MOST: &str = "as many as it can, 32 in flight";
const ALONE: &str = "the neighbour alone";
const AT_MOST: &str = "as many a second as it can";
const TEN: &str = "ten times as many";

const ACCEPTED: &str = "accepted/s";
const IN_TIME: &str = "accepted p95 us";
const REFUSED: &str = "refused/s";
const QUICKLY: &str = "refused p95 us";
const NEIGHBOUR: &str = "neighbour p50 us";
const NEIGHBOUR_95: &str = "neighbour p95 us";
const NEIGHBOUR_LOST: &str = "neighbour refused/s";

/// How many reads a second the neighbour asks for: few beside what a home can do, and enough for a 95th percentile.
const READS: f64 = 200.0;

/// Somebody of another clinic, who reads on a schedule.
struct Neighbour {
    driver: Driver,
    streams: Streams,
    patients: Vec<Known>,
}

impl Neighbour {
    fn turn(&mut self, turn: Duration) -> anyhow::Result<Driven> {
        let patients = self.patients.clone();
        self.streams.turn(&self.driver, turn, Pace::Open(READS), move |connection, sent| {
            let chosen = &patients[scattered(connection, sent) % patients.len()];
            Question { path: format!("/v1/patients/{}", chosen.id), key: None, body: bytes::Bytes::new() }
        })
    }
}

fn micros(of: &Histogram<u64>, quantile: f64) -> f64 {
    precise(of.value_at_quantile(quantile)) / 1_000.0
}

fn beside(sample: Sample, neighbour: &Driven) -> Sample {
    let seconds = neighbour.took.as_secs_f64();
    sample
        .with(NEIGHBOUR, micros(&neighbour.latency, 0.5))
        .with(NEIGHBOUR_95, micros(&neighbour.latency, 0.95))
        .with(NEIGHBOUR_LOST, precise(neighbour.refused) / seconds)
}

/// Registrations at a rate while the neighbour reads.
fn both<F>(
    clinic: &Clinic,
    streams: &mut Streams,
    neighbour: &mut Neighbour,
    (turn, rate): (Duration, f64),
    registrations: F,
) -> anyhow::Result<Sample>
where
    F: Fn(usize, u64) -> Question + Send + Sync + 'static,
{
    let pace = Pace::Open(rate / precise(CONNECTIONS as u64));
    let (loud, quiet) = std::thread::scope(|scope| {
        let quiet = scope.spawn(|| neighbour.turn(turn));
        let loud = streams.turn(&clinic.driver, turn, pace, registrations);
        (loud, quiet.join())
    });
    let (loud, quiet) = (loud?, quiet.map_err(|_| anyhow::anyhow!("the neighbour's client stopped"))??);
    let seconds = loud.took.as_secs_f64();
    let sample = Sample::new()
        .with(ACCEPTED, precise(loud.operations) / seconds)
        .with(IN_TIME, micros(&loud.latency, 0.95))
        .with(REFUSED, precise(loud.refused) / seconds)
        .with(QUICKLY, micros(&loud.refusals, 0.95));
    Ok(beside(sample, &quiet))
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let clinic = Clinic::open(options, "overload", options.size(1_000, 20))?;
    let (driver, streams, patients) = clinic.neighbour()?;
    let mut neighbour = Neighbour { driver, streams, patients };
    let mut registering = clinic.streams(Door::Router, true)?;
    let registrations = registrations(options, &clinic)?;
    let held = Held::new(options.class, &clinic.servers());
    let most = alternate(
        &options.plan,
        vec![Contender::new(MOST, |turn| {
            clinic.turn(&mut registering, turn, Pace::Closed(32 / CONNECTIONS), registrations.clone())
        })],
    )?;
    let rate = most.spread(MOST, series::RATE).context("a rate")?.median;
    let shared = std::cell::RefCell::new((&mut registering, &mut neighbour));
    let of = |turn, rate| {
        let (registering, neighbour) = &mut *shared.borrow_mut();
        both(&clinic, registering, neighbour, (turn, rate), registrations.clone())
    };
    let series = alternate(
        &options.plan,
        vec![
            Contender::new(ALONE, |turn| Ok(beside(Sample::new(), &shared.borrow_mut().1.turn(turn)?))),
            Contender::new(AT_MOST, |turn| of(turn, rate)),
            Contender::new(TEN, |turn| of(turn, 10.0 * rate)),
        ],
    )?;
    drop(held);
    Ok(report(&clinic, rate, &most, &series))
}

fn report(clinic: &Clinic, rate: f64, most: &Series, series: &Series) -> Report {
    let mut report = Report::new("Overload");
    report.note(format!(
        "Registrations through the router at one home of {} patients: first as many as it can, which is {rate:.0} a \
         second; then so many, and ten times so many, on a schedule, by one clinic, while another reads its own patients \
         {READS:.0} times a second. Nobody has a quota here: what is refused, the node refuses because it could not \
         answer it in time. Clients, servers and database share the machine.",
        clinic.patients.len()
    ));
    report.table(Table::of(most, &[series::RATE, series::CPU, series::P50, series::P95, series::P99]));
    report.table(Table::of(
        series,
        &[ACCEPTED, IN_TIME, REFUSED, QUICKLY, NEIGHBOUR, NEIGHBOUR_95, NEIGHBOUR_LOST],
    ));
    report.goal(Goal::at_most(
        "p95 of what is accepted at ten times, in us",
        series.spread(TEN, IN_TIME),
        300_000.0,
    ));
    report.goal(Goal::at_most("p95 of a refusal at ten times, in us", series.spread(TEN, QUICKLY), 100_000.0));
    report.goal(Goal::at_most(
        "p95 of the neighbour at ten times, of that at as many as it can",
        series.ratio(TEN, AT_MOST, NEIGHBOUR_95),
        1.2,
    ));
    report
}
