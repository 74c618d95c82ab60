//! Reading a sealed patient through the router, its audit record durable before the answer, beside Postgres' own best
//! at the same: pgbench's prepared SELECT by key, without TLS, policies, sealing, audit or HTTP.

use super::class::Held;
use super::clinic::{CONNECTIONS, Clinic, Door, PARTS, PEER_CLIENTS};
use super::peers;
use super::series::{self, Contender, alternate};
use super::streams::{Pace, Streams};
use super::{Bench, Goal, Options, Report, Table};

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "read", about: "reading a sealed, audited patient, beside pgbench's SELECT by key", run };

const PEER: &str = "pgbench SELECT, 32 clients";
const ROUTED: &str = "router, 256 in flight";
const UNAUDITED: &str = "router, 256 in flight, without records";
const ROUTED_64: &str = "router, 64 in flight";
const DIRECT: &str = "node, 256 in flight";
const ONE: &str = "router, 8 in flight";
const HALF: &str = "router, half of saturation";

fn run(options: &Options) -> anyhow::Result<Report> {
    let clinic = Clinic::open(options, "read", options.size(2_000, 20))?;
    let bare = Clinic::unaudited(options, "read-unaudited", options.size(2_000, 20))?;
    let mut unaudited = bare.streams(Door::Router, false)?;
    let mut routed = clinic.streams(Door::Router, false)?;
    let mut routed_64 = clinic.streams(Door::Router, false)?;
    let mut direct = clinic.streams(Door::Node, false)?;
    let mut one = clinic.streams(Door::Router, false)?;
    let held = Held::new(options.class, &[clinic.servers(), bare.servers()].concat());
    let select = clinic.peer_select();
    let of = |streams: &mut Streams, turn, in_flight: usize| {
        clinic.turn(streams, turn, Pace::Closed((in_flight / CONNECTIONS).max(1)), clinic.reads())
    };
    let series = alternate(
        &options.plan,
        vec![
            Contender::new(PEER, |turn| clinic.pgbench(options, &select, PEER_CLIENTS, turn)),
            Contender::new(ROUTED, |turn| of(&mut routed, turn, 256)),
            Contender::new(UNAUDITED, |turn| {
                bare.turn(&mut unaudited, turn, Pace::Closed(256 / CONNECTIONS), bare.reads())
            }),
            Contender::new(ROUTED_64, |turn| of(&mut routed_64, turn, 64)),
            Contender::new(DIRECT, |turn| of(&mut direct, turn, 256)),
            Contender::new(ONE, |turn| of(&mut one, turn, CONNECTIONS)),
        ],
    )?;
    let rate = series.spread(ROUTED, series::RATE).map_or(0.0, |spread| spread.median);
    let pace = Pace::Open(rate / 2.0 / super::drive::precise(CONNECTIONS as u64));
    let half = alternate(
        &options.plan,
        vec![Contender::new(HALF, |turn| clinic.turn(&mut routed, turn, pace, clinic.reads()))],
    )?;
    let parts = alternate(
        &options.plan,
        vec![Contender::new(ROUTED, |turn| clinic.in_parts(&mut routed_64, turn, clinic.reads()))],
    )?;
    drop(held);

    let mut report = Report::new("Reading a patient");
    report.note(format!(
        "GET /v1/patients/{{id}} of {} patients at one home, eight sealed fields opened, JSON out, TLS and HTTP/2 from \
         client to router, mutual TLS and HTTP/2 to the node, TLS to Postgres, fsync on. Every answer waits for its \
         audit record. The peer: {}, prepared, over a Unix socket. Client, servers and database share the machine; CPU \
         is that of router, node and Postgres.",
        clinic.patients.len(),
        peers::version("pgbench", "--version"),
    ));
    report.table(Table::of(&series, &[series::RATE, series::CPU, series::P50, series::P95, series::P99]));
    report.note(format!("On a schedule, at {rate:.0} / 2 requests a second:"));
    report.table(Table::of(&half, &[series::RATE, series::CPU, series::P50, series::P95, series::P99]));
    report.note("Where the processor time of a request goes:");
    report.table(Table::of(&parts, &PARTS));
    report.goal(Goal::at_least(
        "rate through the router, of pgbench's SELECT",
        series.ratio(ROUTED, PEER, series::RATE),
        0.40,
    ));
    report.goal(Goal::at_least(
        "rate through the router, of the same without access records",
        series.ratio(ROUTED, UNAUDITED, series::RATE),
        0.75,
    ));
    report.goal(Goal::at_most("p95 at half of saturation, in us", half.spread(HALF, series::P95), 50_000.0));
    Ok(report)
}
