//! Ten times more is asked of one region than it can answer, and another region's callers do not notice.
//!
//! How much a region answers is made small, so that a machine with two cores can offer ten times as much and be idle all
//! the same: Texas is half a second away from the router, which has at most seven requests at work there (the limit of
//! each home, less what is kept for signing in), so that fourteen are answered in a second and two hundred are asked for. What this shows is that the router
//! keeps one home's queue from being everybody's. What it does not show is the processor of a region at its end: all
//! regions of this machine have the same two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use links::Change;
use links::steer::Order;
use tests::clinic;
use tests::cluster::Cluster;
use tests::faults::{Signal, send, wait_until};
use tests::namespaces::order;
use tokio::task::JoinSet;

use super::over_links;

const FLOODED: &str = "US-TX";
const OTHER: &str = "US-NY";
/// One request each: two hundred in a second.
const EVERY: Duration = Duration::from_millis(5);
const AWAY: Duration = Duration::from_millis(250);
const AT_WORK_MAX: u32 = 8;
/// Longer than a read takes, so that a turn lasts as long whether reads are answered or refused.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const READS: usize = 20;
const ROUNDS: usize = 4;
/// More than a home has at work, so that it is never the streams of a connection that hold requests back.
const CONNECTIONS: usize = 4;

/// Somebody who reads one patient again and again over one connection.
#[derive(Clone)]
struct Reader {
    sender: SendRequest<Full<Bytes>>,
    url: String,
    key: String,
}

impl Reader {
    async fn new(cluster: &Cluster, home: &str, path: &str) -> Result<Self> {
        let stream = cluster.nobody().connect(&[b"h2"]).await?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let url = format!("{}{path}", cluster.described().router.url);
        Ok(Self { sender, url, key: cluster.credential("provider", home).api_key.clone() })
    }

    async fn read(&mut self) -> Result<StatusCode> {
        let request = Request::get(&self.url)
            .header("authorization", format!("Bearer {}", self.key))
            .header("purpose-of-use", "TREAT")
            .body(Full::default())?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        Ok(status)
    }
}

/// What came of a flood.
#[derive(Default)]
struct Flood {
    offered: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
}

/// Asks at a steady pace whatever the answers, until it is dropped.
fn flood(readers: Vec<Reader>, into: Arc<Flood>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut pace = tokio::time::interval(EVERY);
        let mut asked = JoinSet::new();
        for mut reader in readers.iter().cycle().cloned() {
            pace.tick().await;
            while asked.try_join_next().is_some() {}
            into.offered.fetch_add(1, Ordering::Relaxed);
            let into = Arc::clone(&into);
            asked.spawn(async move {
                let counted = match reader.read().await {
                    Ok(StatusCode::OK) => &into.answered,
                    _ => &into.refused,
                };
                counted.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    tasks
}

/// Starts the router again with these limits.
async fn limit_router(cluster: &Cluster, limits: &str) {
    let path = cluster.home().join("router/router.toml");
    let text = std::fs::read_to_string(&path).expect("its file");
    let own = text.split("\n[limits]").next().unwrap_or_default();
    std::fs::write(&path, format!("{own}\n[limits]\n{limits}\n")).expect("is written");
    let before = cluster.now().expect("cluster.json").router.pid;
    send(Signal::Kill, before).expect("a signal");
    let nobody = cluster.nobody();
    wait_until("the router to be ready again", async || {
        let pid = cluster.now().ok()?.router.pid;
        let ready = nobody.get("/readyz").await.ok()?.status == StatusCode::OK;
        (ready && pid != 0 && pid != before).then_some(())
    })
    .await
    .expect("it is started again");
}

/// How long the other region's reads took, and how many of them were refused.
async fn look(reader: &mut Reader) -> (Vec<Duration>, usize) {
    let mut took = Vec::new();
    let mut refused = 0;
    let mut pace = tokio::time::interval(LOOK_EVERY);
    for _ in 0..READS {
        pace.tick().await;
        let began = Instant::now();
        match reader.read().await.expect("an answer") {
            StatusCode::OK => took.push(began.elapsed()),
            _ => refused += 1,
        }
    }
    (took, refused)
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or_default()
}

struct Seen {
    quiet: Duration,
    loaded: Duration,
    refused: usize,
    offered: u64,
    answered: u64,
}

/// Reads in New York, in turns without and with a flood of Texas.
async fn in_turns(cluster: &Cluster, flooded: &str, other: &str) -> Seen {
    let mut reader = Reader::new(cluster, OTHER, other).await.expect("a connection");
    // The first has to open the router's connection to the region.
    wait_until("the router to reach New York", async || {
        (reader.read().await.ok()? == StatusCode::OK).then_some(())
    })
    .await
    .expect("it does");
    let total = Arc::new(Flood::default());
    let (mut quiet, mut loaded, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (took, none) = look(&mut reader).await;
        assert_eq!(none, 0, "nobody is refused while all is quiet");
        quiet.extend(took);

        let mut readers = Vec::new();
        for _ in 0..CONNECTIONS {
            readers.push(Reader::new(cluster, FLOODED, flooded).await.expect("a connection"));
        }
        let before = total.refused.load(Ordering::Relaxed);
        let flooding = flood(readers, Arc::clone(&total));
        wait_until("Texas to have all it can", async || {
            (total.refused.load(Ordering::Relaxed) > before + 5).then_some(())
        })
        .await
        .expect("it has");
        let (took, some) = look(&mut reader).await;
        loaded.extend(took);
        refused += some;
        drop(flooding);
        // What was at work is at its end when the region answers again.
        let mut after = Reader::new(cluster, FLOODED, flooded).await.expect("a connection");
        wait_until("Texas to be at rest", async || (after.read().await.ok()? == StatusCode::OK).then_some(()))
            .await
            .expect("it rests");
    }
    Seen {
        quiet: median(quiet),
        loaded: median(loaded),
        refused,
        offered: total.offered.load(Ordering::Relaxed),
        answered: total.answered.load(Ordering::Relaxed),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_too_much_for_one_region_is_not_felt_in_another() {
    let Some((cluster, _turn)) = over_links("that one region's overload is its own").await else { return };
    let register = async |home: &'static str, seed| {
        let doctor = cluster.client("provider", home);
        clinic::register(&doctor, home, &clinic::somebody(home, seed)).await.expect("it is registered").path
    };
    let (flooded, other) = (register(FLOODED, 61).await, register(OTHER, 62).await);
    let delay_us = u64::try_from(AWAY.as_micros()).expect("fits");
    let far = Change { delay_us: Some(delay_us), ..Change::default() };
    let slow = Order::Change { one: "router".into(), other: Some("tx".into()), one_way: false, change: far };
    order(cluster, &slow).expect("is far");

    limit_router(cluster, &format!("in_flight_per_home = {AT_WORK_MAX}")).await;
    let apart = in_turns(cluster, &flooded, &other).await;
    // The control: what is at work has one limit for all homes.
    limit_router(cluster, &format!("in_flight = {AT_WORK_MAX}\nin_flight_per_home = {AT_WORK_MAX}")).await;
    let shared = in_turns(cluster, &flooded, &other).await;
    limit_router(cluster, "").await;

    for seen in [&apart, &shared] {
        assert!(seen.offered >= 10 * seen.answered, "{} offered, {} answered", seen.offered, seen.answered);
        assert!(seen.answered > 0, "Texas answers what it can");
    }
    assert_eq!(apart.refused, 0, "New York is not refused for what Texas is asked");
    let ratio = apart.loaded.as_secs_f64() / apart.quiet.as_secs_f64();
    assert!(ratio <= 1.10, "New York takes {:?} instead of {:?}", apart.loaded, apart.quiet);
    assert!(
        shared.refused > READS * ROUNDS / 2,
        "with one limit for all, New York would be refused: {} of {}",
        shared.refused,
        READS * ROUNDS
    );
}
