//! A few histories of real processes: nodes of `dev up` with their Postgres and their supervisor, killed with SIGKILL
//! and stopped with SIGSTOP, their clocks stepped by an hour with libfaketime, written to and read over HTTPS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use loadtest::history::{Act, Operation, Outcome, Recorder, State, linearize};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use residency_control::{Command, JurisdictionSet, Organisation};
use residency_policy::{OrgId, OrgType};
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::{Signal, send, wait_until};
use tests::{clinic, operate};

use super::clocks::Clocks;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

const REGIONS: [&str; 3] = ["ca", "ny", "tx"];
const HISTORIES: u64 = 7;
const CLIENTS: u32 = 6;
const HOUR: i64 = 3_600;
const KEYS: usize = 3;

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
enum Kind {
    KillLeader,
    KillAnybody,
    StopLeader,
    StopAnybody,
    KillEverybody,
    /// The leader's clock goes forward by an hour, and back.
    LeaderAhead,
    /// Anybody's clock goes back by an hour, and forward.
    AnybodyBehind,
}

const KINDS: [Kind; 7] = [
    Kind::KillLeader,
    Kind::LeaderAhead,
    Kind::StopLeader,
    Kind::KillAnybody,
    Kind::AnybodyBehind,
    Kind::StopAnybody,
    Kind::KillEverybody,
];

struct Client {
    process: u32,
    region: &'static str,
    rng: ChaCha8Rng,
    cluster: Arc<Cluster>,
    recorder: Arc<Recorder>,
    orgs: Arc<Vec<OrgId>>,
    values: Arc<AtomicU64>,
}

impl Client {
    async fn work(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            sleep_until(Instant::now() + Duration::from_millis(self.rng.random_range(10..60))).await;
            let key = self.rng.random_range(0..KEYS);
            if self.rng.random_bool(0.5) {
                self.read(key).await;
            } else {
                self.put(key).await;
            }
        }
    }

    async fn put(&self, key: usize) {
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        let command = Command::PutOrganisation(Organisation {
            id: self.orgs[key],
            name: name_of(value).parse().expect("a public name"),
            org_type: OrgType::Lab,
            serves: JurisdictionSet::from_iter(["US-TX".parse().expect("a jurisdiction")]),
            active: true,
        });
        let operation = self.recorder.begin(self.process, self.key(key), Act::Put(value));
        let came = operate::commands(&self.cluster, self.region, &[command]).await;
        let came = came.ok().and_then(|came| came.first().cloned()).unwrap_or_default();
        // Without an index nobody knows: the door says "no quorum" also when no answer came in time.
        match came["of"]["index"].as_u64() {
            Some(index) => self.recorder.end(operation, Outcome::Done, Some(index)),
            None => self.recorder.end(operation, Outcome::Unknown, None),
        }
    }

    /// Reads, and tells whether there was an answer.
    async fn read(&self, key: usize) -> bool {
        let home = &self.cluster.region(self.region).jurisdiction;
        let reader = self.cluster.client_at(self.region, "auditor", home);
        let operation = self.recorder.begin(self.process, self.key(key), Act::Read);
        let path = format!("/v1/orgs/{}?consistency=linearizable", self.orgs[key]);
        let (outcome, index) = match reader.get(&path).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                let value = value_of(answer.json()["name"].as_str().unwrap_or_default());
                (Outcome::Saw(State::Value(value)), answer.header("x-log-index").parse().ok())
            }
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                (Outcome::Saw(State::Nothing), answer.header("x-log-index").parse().ok())
            }
            Ok(_) | Err(_) => (Outcome::Failed, None),
        };
        self.recorder.end(operation, outcome, index);
        outcome != Outcome::Failed
    }

    fn key(&self, key: usize) -> String {
        format!("organisation {}", self.orgs[key])
    }
}

/// A public name with a number in it, in letters.
fn name_of(value: u64) -> String {
    let letters: String = value.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    format!("Lab {letters}")
}

fn value_of(name: &str) -> u64 {
    let letters = name.strip_prefix("Lab ").unwrap_or_default();
    letters.bytes().fold(0, |value, letter| value * 10 + u64::from(letter - b'a'))
}

/// The node's process as it is now: it may have been started again.
fn pid(cluster: &Cluster, region: &str) -> Option<u32> {
    let now = cluster.now().ok()?;
    now.regions.iter().find(|r| r.name == region).map(|r| r.pid).filter(|pid| *pid > 1)
}

async fn happen(cluster: &Cluster, clocks: &Clocks, kind: Kind, length: Duration, rng: &mut ChaCha8Rng) {
    let leader = async || operate::leader(cluster, &REGIONS).await;
    let anybody = REGIONS[rng.random_range(0..REGIONS.len())];
    let whom: Vec<String> = match kind {
        Kind::KillEverybody => REGIONS.map(str::to_owned).to_vec(),
        Kind::KillLeader | Kind::StopLeader | Kind::LeaderAhead => {
            vec![wait_until("a leader", leader).await.expect("somebody leads")]
        }
        Kind::KillAnybody | Kind::StopAnybody | Kind::AnybodyBehind => vec![anybody.to_owned()],
    };
    if matches!(kind, Kind::LeaderAhead | Kind::AnybodyBehind) {
        let by = if matches!(kind, Kind::LeaderAhead) { HOUR } else { -HOUR };
        clocks.step(cluster, &whom[0], by).await;
        sleep_until(Instant::now() + length).await;
        return clocks.step(cluster, &whom[0], 0).await;
    }
    let pids: Vec<u32> = whom.iter().filter_map(|region| pid(cluster, region)).collect();
    let stops = matches!(kind, Kind::StopLeader | Kind::StopAnybody);
    for pid in &pids {
        let _ = send(if stops { Signal::Stop } else { Signal::Kill }, *pid);
    }
    sleep_until(Instant::now() + length).await;
    for pid in pids.iter().filter(|_| stops) {
        let _ = send(Signal::Continue, *pid);
    }
}

async fn history(cluster: &Arc<Cluster>, clocks: &Clocks, seed: u64) -> Vec<Operation> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let recorder = Arc::new(Recorder::new(None).expect("no file"));
    let orgs = Arc::new((0..KEYS).map(|_| OrgId::from(clinic::fresh())).collect::<Vec<_>>());
    let values = Arc::new(AtomicU64::new(1));
    let client = |process: u32| Client {
        process,
        region: REGIONS[process as usize % REGIONS.len()],
        rng: ChaCha8Rng::seed_from_u64(seed * 1_000 + u64::from(process)),
        cluster: cluster.clone(),
        recorder: recorder.clone(),
        orgs: orgs.clone(),
        values: values.clone(),
    };
    let stop = watch::channel(false).0;
    let work: Vec<_> =
        (0..CLIENTS).map(|process| tokio::spawn(client(process).work(stop.subscribe()))).collect();
    let first = KINDS[usize::try_from(seed).expect("small") % KINDS.len()];
    let second = KINDS[rng.random_range(0..KINDS.len())];
    for kind in [first, second] {
        sleep_until(Instant::now() + Duration::from_millis(500)).await;
        let length = Duration::from_millis(rng.random_range(500..3_000));
        happen(cluster, clocks, kind, length, &mut rng).await;
    }
    wait_until("a leader", async || operate::leader(cluster, &REGIONS).await).await.expect("somebody leads");
    stop.send_replace(true);
    for client in work {
        client.await.expect("a client does not panic");
    }
    for process in CLIENTS..CLIENTS + 3 {
        let last = client(process);
        for key in 0..KEYS {
            let read = wait_until("a read at the end", async || last.read(key).await.then_some(()));
            read.await.unwrap_or_else(|e| panic!("seed {seed}, {}: {e}", last.region));
        }
    }
    Arc::into_inner(recorder).expect("every client is gone").finish().expect("no file")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_killed_stopped_and_misdated_processes_are_linearizable() {
    let _turn = turn().await;
    let wish = Wish { name: "histories", people: 6, more: Vec::new() };
    let (clocks, cluster) = Clocks::start(&wish, &REGIONS).unwrap_or_else(|e| panic!("{e:#}"));
    let cluster = Arc::new(cluster);
    for seed in 0..HISTORIES {
        let operations = history(&cluster, &clocks, seed).await;
        let found = linearize::violations(&operations);
        assert_eq!(found, [], "seed {seed}");
        let answered =
            operations.iter().filter(|o| matches!(o.outcome, Outcome::Done | Outcome::Saw(_))).count();
        assert!(answered > 30, "seed {seed}: only {answered} of {} were answered", operations.len());
        let indexed = operations.iter().filter(|o| o.index.is_some()).count();
        assert!(indexed > 30, "seed {seed}: only {indexed} answers said where in the log they stand");
    }
}

#[test]
fn a_value_is_a_name_and_a_name_is_a_value() {
    assert!([1, 10, 987_654_321].into_iter().all(|value| value_of(&name_of(value)) == value));
}
