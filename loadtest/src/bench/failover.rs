//! The node that leads the control plane is killed again and again: how long until the others acknowledge changes, and
//! whether reads at the homes that live on ever stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::stream::{FuturesUnordered, StreamExt as _};
use hdrhistogram::Histogram;
use http::{Method, StatusCode};
use serde_json::json;

use super::class::Held;
use super::clinic;
use super::drive::{Driver, histogram, precise};
use super::peers::once;
use super::running::{Running, leader, until_well};
use super::series::Spread;
use super::{Bench, Goal, Options, Report, Table};
use crate::client::{self, Client};
use crate::cluster::Cluster;
use crate::load::fault;
use crate::tell::warn;

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "failover", about: "the leader is killed: when changes go on, and whether reads stop", run };

/// A change is tried this often at each node that lives on.
const TRY_EVERY: Duration = Duration::from_millis(25);
/// A patient is read this often at each home that lives on.
const READ_EVERY: Duration = Duration::from_millis(10);
/// What runs before the kill, so that what breaks is in use.
const BEFORE: Duration = Duration::from_millis(500);
/// What runs after changes are back.
const AFTER: Duration = Duration::from_millis(300);
/// A change that takes longer than this is not back.
const PATIENCE: Duration = Duration::from_secs(20);
const PROMISED_S: f64 = 3.0;

/// One kill.
struct Killed {
    /// Until every node that lives on has acknowledged a change that was sent after the kill, in seconds.
    back: f64,
    reads: Reads,
}

/// What became of reads.
struct Reads {
    good: u64,
    failed: Vec<String>,
    latency: Histogram<u64>,
}

/// Who tries changes and reads at one region.
struct Watcher {
    writer: Client,
    reader: Client,
    patients: Vec<String>,
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let running = Running::find(options, options.size(60, 30))?;
    let driver = Driver::new(1)?;
    let kills = options.size(20, 3);
    let numbers = Numbers { run: clinic::another_run(), next: Arc::default() };
    let (mut backs, mut all) = (Vec::new(), Reads::none()?);
    for number in 1..=kills {
        let killed = one(options, &running, &driver, &numbers)?;
        warn(&format!("  kill {number} of {kills}: changes are back after {:.2} s", killed.back));
        backs.push(killed.back);
        all.good += killed.reads.good;
        all.failed.extend(killed.reads.failed);
        all.latency.add(&killed.reads.latency).context("histograms of one kind")?;
    }
    Ok(told(&backs, &all))
}

fn told(backs: &[f64], all: &Reads) -> Report {
    let mut report = Report::new("Failover");
    report.note(format!(
        "The node that leads the control plane is killed (SIGKILL) {} times while, at each of the two nodes that live on, \
         an organisation is added every {} ms and a patient is read through the router every {} ms. Back is when both \
         nodes have acknowledged a change that was sent after the kill. The next kill comes when all three are well again.",
        backs.len(),
        TRY_EVERY.as_millis(),
        READ_EVERY.as_millis(),
    ));
    let spread = Spread::of(backs.to_vec());
    let millis = |quantile| format!("{:.1}", precise(all.latency.value_at_quantile(quantile)) / 1e6);
    let mut table = Table::new(["", "count", "p50", "p99", "slowest"]);
    let seconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2} s"));
    table.row([
        "changes back after".to_owned(),
        backs.len().to_string(),
        seconds(spread.map(|s| s.median)),
        seconds(percentile(backs, 99)),
        seconds(spread.map(|s| s.max)),
    ]);
    let [p50, p99, slowest] = [0.5, 0.99, 1.0].map(|quantile| format!("{} ms", millis(quantile)));
    table.row(["reads meanwhile".to_owned(), all.good.to_string(), p50, p99, slowest]);
    report.table(table);
    if let Some(first) = all.failed.first() {
        report.note(format!("The first read that failed: {first}"));
    }
    let p99 = percentile(backs, 99).and_then(once);
    report.goal(Goal::at_most("changes are back after, p99, in seconds", p99, PROMISED_S));
    let failed = once(precise(all.failed.len() as u64));
    report.goal(Goal::at_most("reads at the homes that live on that failed", failed, 0.0));
    report
}

/// The smallest figure that so many of a hundred do not exceed.
fn percentile(figures: &[f64], hundredths: usize) -> Option<f64> {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    let at = (figures.len() * hundredths).div_ceil(100).max(1);
    figures.get(at - 1).copied()
}

/// Idempotency keys that nobody has used.
#[derive(Clone)]
struct Numbers {
    run: u128,
    next: Arc<AtomicU64>,
}

impl Numbers {
    fn key(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:032x}", self.run.wrapping_add(u128::from(number)))
    }
}

fn one(options: &Options, running: &Running, driver: &Driver, numbers: &Numbers) -> anyhow::Result<Killed> {
    until_well(options, running)?;
    // Processes that were started again have other ids.
    let cluster = Cluster::read(running.home())?;
    let leads = leader(options, running)?.jurisdiction.clone();
    let pids: Vec<u32> =
        cluster.regions.iter().filter_map(|region| region.pid).chain(cluster.router.pid).collect();
    let pid = cluster.regions.iter().find(|region| region.jurisdiction == leads).and_then(|region| region.pid);
    let pid = pid.context("the process of the node that leads")?;
    let watchers = driver.runtime().block_on(watchers(&cluster, &leads))?;
    let _held = Held::new(options.class, &pids);
    driver.runtime().block_on(watch(watchers, pid, numbers))
}

async fn watchers(cluster: &Cluster, leads: &str) -> anyhow::Result<Vec<Arc<Watcher>>> {
    let tls = client::trust(&cluster.ca_cert)?;
    let edge = Client::new(cluster.edge()?, tls.clone(), PATIENCE);
    let mut watchers = Vec::new();
    for region in cluster.regions.iter().filter(|region| region.jurisdiction != leads) {
        let code = &region.jurisdiction;
        let node = Client::new(region.address()?, tls.clone(), PATIENCE);
        let reader = edge.with_key(&cluster.credential("provider", code)?.api_key);
        let patients = clinic::list(&reader, code, 20).await?.into_iter().map(|known| known.id).collect();
        let writer = node.with_key(&cluster.credential("org_admin", code)?.api_key);
        watchers.push(Arc::new(Watcher { writer, reader, patients }));
    }
    Ok(watchers)
}

async fn watch(watchers: Vec<Arc<Watcher>>, pid: u32, numbers: &Numbers) -> anyhow::Result<Killed> {
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        watchers.iter().map(|watcher| tokio::spawn(read(watcher.clone(), over.clone()))).collect();
    let begun = Instant::now();
    let dies = begun + BEFORE;
    let changing: Vec<_> =
        watchers.iter().map(|watcher| tokio::spawn(change(watcher.clone(), numbers.clone(), dies))).collect();
    tokio::time::sleep_until(dies.into()).await;
    fault::kill(pid)?;
    let dead = Instant::now();
    let mut back = 0.0_f64;
    for changed in changing {
        let acknowledged = changed.await.context("a client stopped")??;
        back = back.max(acknowledged.duration_since(dead).as_secs_f64());
    }
    tokio::time::sleep(AFTER).await;
    over.store(true, Ordering::Relaxed);
    let mut reads = Reads::none()?;
    for reader in readers {
        let part = reader.await.context("a client stopped")??;
        reads.good += part.good;
        reads.failed.extend(part.failed);
        reads.latency.add(&part.latency).context("histograms of one kind")?;
    }
    Ok(Killed { back, reads })
}

/// Tries changes on a schedule, whether earlier ones were answered or not, until one that was sent after `dies` is
/// acknowledged. Says when.
async fn change(watcher: Arc<Watcher>, numbers: Numbers, dies: Instant) -> anyhow::Result<Instant> {
    let mut tick = tokio::time::interval(TRY_EVERY);
    let mut tried = FuturesUnordered::new();
    // The kill takes a moment: what is sent right after it was due may have been sent before it.
    let counts = dies + TRY_EVERY;
    loop {
        tokio::select! {
            _ = tick.tick() => {
                ensure!(dies.elapsed() < PATIENCE, "no change was acknowledged in {PATIENCE:?}");
                let (watcher, key, sent) = (watcher.clone(), numbers.key(), Instant::now());
                tried.push(async move { (sent, add(&watcher.writer, &key).await, Instant::now()) });
            }
            Some((sent, good, when)) = tried.next(), if !tried.is_empty() => {
                if good && sent >= counts {
                    return Ok(when);
                }
            }
        }
    }
}

async fn add(writer: &Client, key: &str) -> bool {
    let body = json!({ "name": "Lone Star Family Clinic", "type": "provider", "serves": ["US-TX"] });
    let request = writer.request(Method::POST, "/v1/orgs").without("purpose-of-use").json(&body);
    let answer = writer.send(request.header("idempotency-key", key)).await;
    answer.is_ok_and(|answer| answer.status == StatusCode::CREATED)
}

impl Reads {
    fn none() -> anyhow::Result<Self> {
        Ok(Self { good: 0, failed: Vec::new(), latency: histogram()? })
    }
}

/// Reads patients on a schedule until it is over. The time counts from when a read was due.
async fn read(watcher: Arc<Watcher>, over: Arc<AtomicBool>) -> anyhow::Result<Reads> {
    let (mut tick, mut reads, mut number) = (tokio::time::interval(READ_EVERY), Reads::none()?, 0_usize);
    let mut asked = FuturesUnordered::new();
    loop {
        tokio::select! {
            due = tick.tick(), if !over.load(Ordering::Relaxed) => {
                let (watcher, patient) = (watcher.clone(), number % watcher.patients.len());
                number += 1;
                asked.push(async move {
                    let path = format!("/v1/patients/{}", watcher.patients[patient]);
                    let answer = watcher.reader.send(watcher.reader.request(Method::GET, &path)).await;
                    (due.elapsed(), answer)
                });
            }
            Some((took, answer)) = asked.next(), if !asked.is_empty() => match answer {
                Ok(answer) if answer.status == StatusCode::OK => {
                    reads.good += 1;
                    reads.latency.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                }
                Ok(answer) => reads.failed.push(format!("{} {}", answer.status, answer.problem())),
                Err(failure) => reads.failed.push(failure.to_string()),
            },
            else => return Ok(reads),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_of_few_is_the_slowest() {
        assert_eq!(percentile(&[1.0, 3.0, 2.0], 99), Some(3.0));
        assert_eq!(percentile(&[1.0, 3.0, 2.0], 50), Some(2.0));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn a_slow_return_and_a_failed_read_each_miss_their_goal() {
        let reads = |failed: &[&str]| Reads {
            failed: failed.iter().map(|why| (*why).to_owned()).collect(),
            ..Reads::none().expect("a histogram")
        };
        assert!(told(&[1.0, 2.9], &reads(&[])).held());
        assert!(!told(&[1.0, 3.1], &reads(&[])).held());
        assert!(!told(&[1.0], &reads(&["503 home-unavailable"])).held());
    }
}
