//! The control plane beside etcd: three members in three processes on one machine, fsync on, mutual TLS.
//!
//! A write is `POST /v1/orgs`: TLS, an API key looked up and compared, a role checked, a body parsed and validated, a
//! command in the replicated log, JSON back. It is more than etcd's put does; none of it is left out. A linearizable
//! read is `GET /v1/orgs/{id}?consistency=linearizable`. Both sides are asked at the member that leads, by the same
//! client.

mod etcd;
mod in_process;
mod own;

use std::time::Duration;

use super::class::Held;
use super::drive::Driver;
use super::series::{self, Contender, Series, alternate};
use super::{Bench, Goal, Options, Report, Table, peers};
use etcd::Etcd;
use in_process::InProcess;
use own::Own;

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "control", about: "acknowledged writes and linearizable reads, beside etcd", run };

/// How many requests are in flight.
const LOADS: [usize; 3] = [1, 64, 256];
/// Over so many connections, where there are as many requests.
const CONNECTIONS: usize = 8;

const ETCD: &str = "etcd, TLS";
const PLAIN: &str = "etcd, no TLS";
const OURS: &str = "domicile, HTTPS API";
const WITHIN: &str = "domicile, in process";

fn row(who: &str, what: &str, load: usize) -> String {
    format!("{who}: {what}, {load} in flight")
}

/// Everybody at one load.
struct Contest<'a> {
    driver: &'a Driver,
    own: &'a std::cell::RefCell<Own<'a>>,
    tls: &'a Etcd,
    plain: &'a Etcd,
    within: &'a InProcess,
}

impl<'a> Contest<'a> {
    fn writes(&self, load: usize) -> anyhow::Result<Vec<Contender<'a>>> {
        let (driver, own, within) = (self.driver, self.own, self.within);
        let (of_tls, of_plain) = (self.tls, self.plain);
        let mut tls = of_tls.streams(driver, CONNECTIONS.min(load))?;
        let mut all = vec![
            Contender::new(row(ETCD, "writes", load), move |turn| of_tls.puts(driver, &mut tls, load, turn)),
            Contender::new(row(OURS, "writes", load), move |turn| own.borrow_mut().writes(driver, load, turn)),
            Contender::new(row(WITHIN, "writes", load), move |turn| within.writes(driver, load, turn)),
        ];
        // What TLS costs it can be seen where it is busy; a series should not take longer than it must.
        if load > 1 {
            let mut plain = of_plain.streams(driver, CONNECTIONS.min(load))?;
            all.push(Contender::new(row(PLAIN, "writes", load), move |turn| {
                of_plain.puts(driver, &mut plain, load, turn)
            }));
        }
        Ok(all)
    }

    fn reads(&self, load: usize) -> anyhow::Result<Vec<Contender<'a>>> {
        let (driver, own, within, of_tls) = (self.driver, self.own, self.within, self.tls);
        let mut tls = of_tls.streams(driver, CONNECTIONS.min(load))?;
        Ok(vec![
            Contender::new(row(ETCD, "reads", load), move |turn| of_tls.gets(driver, &mut tls, load, turn)),
            Contender::new(row(OURS, "reads", load), move |turn| own.borrow_mut().reads(driver, load, turn)),
            Contender::new(row(WITHIN, "reads", load), move |turn| within.reads(driver, load, turn)),
        ])
    }
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let driver = Driver::new(1)?;
    let (tls, plain) = (Etcd::start(options, "etcd-tls", true)?, Etcd::start(options, "etcd-plain", false)?);
    let own = std::cell::RefCell::new(Own::new(options));
    let within = InProcess::start(options, &driver)?;
    let roots: Vec<u32> = [tls.pids(), plain.pids(), within.pids()].concat();
    let held = Held::new(options.class, &roots);
    let contest = Contest { driver: &driver, own: &own, tls: &tls, plain: &plain, within: &within };
    let mut contenders = Vec::new();
    for load in LOADS {
        contenders.extend(contest.writes(load)?);
        contenders.extend(contest.reads(load)?);
    }
    let series = alternate(&options.plan, contenders)?;
    drop(held);
    Ok(told(&series))
}

fn told(series: &Series) -> Report {
    let mut report = Report::new("Control plane");
    report.note(format!(
        "Three members each, all on this machine and its one disk, fsync on, asked at the leader over at most \
         {CONNECTIONS} connections by one and the same HTTP/2 client. {}, driven over gRPC, 128-byte values, 100,000 \
         keys; with TLS its members and its clients use certificates as ours do. Ours: POST /v1/orgs with API key, role \
         check, validation and idempotency key, and GET /v1/orgs/{{id}}?consistency=linearizable, which both do more than \
         etcd's put and get. In process: the same log and network without HTTP in front, 256 organisations put again \
         and again; its client is in the leader's process, etcd's is not. CPU is that of the members; in process it \
         includes the client.",
        peers::version("etcd", "--version"),
    ));
    report.table(Table::of(series, &[series::RATE, series::CPU, series::P50, series::P99]));
    let mut beside = Table::new(["", "of etcd with TLS", "of etcd without TLS"]);
    for (who, what, load) in [OURS, WITHIN]
        .iter()
        .flat_map(|who| ["writes", "reads"].map(|what| (*who, what)))
        .flat_map(|(who, what)| LOADS.map(|load| (who, what, load)))
    {
        let ratio = |peer: &str| {
            super::report::spread(series.ratio(&row(who, what, load), &row(peer, what, load), series::RATE))
        };
        beside.row([row(who, what, load), ratio(ETCD), ratio(PLAIN)]);
    }
    report.table(beside);
    for (what, who, load, bound) in [
        ("writes", OURS, 64, 2.0),
        ("writes", OURS, 256, 4.0),
        ("reads", OURS, 256, 5.0),
        ("reads", WITHIN, 256, 20.0),
    ] {
        let ratio = series.ratio(&row(who, what, load), &row(ETCD, what, load), series::RATE);
        report.goal(Goal::at_least(format!("{}, rate of etcd's", row(who, what, load)), ratio, bound));
    }
    report
}

/// How a turn's requests are shared among the connections.
fn each(load: usize) -> super::streams::Pace {
    super::streams::Pace::Closed((load / CONNECTIONS).max(1))
}

/// How long whatever a turn waits for may take.
const PATIENCE: Duration = Duration::from_secs(30);
