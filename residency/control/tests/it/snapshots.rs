//! Snapshots of a large directory: nobody waits for one, and it brings a member that was away up to date.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use openraft::storage::RaftStateMachine;
use openraft::{CommittedLeaderId, Entry, EntryPayload, RaftSnapshotBuilder};
use residency_control::raft::machine_adapter::{Machine, View};
use residency_control::raft::types::{Batch, LogId, TypeConfig};
use residency_control::system::SystemEntropy;
use residency_control::{Command, IdBatch, Outcome, Timings};
use tokio::io::AsyncReadExt;

use crate::support::cluster::{CALIFORNIA, Cluster, NEW_YORK, Running, TEXAS, TIMINGS, leader_of};
use crate::support::{PATIENCE, add_region, claim, organisation, patient};

/// What a test of a debug build has time for. A snapshot of so many is larger than one message.
const MANY: u64 = if cfg!(debug_assertions) { 160_000 } else { 1_000_000 };
/// So many that writing them takes several times as long as a change.
const SLOW: u64 = if cfg!(debug_assertions) { 500_000 } else { 1_000_000 };
const BATCH: u64 = IdBatch::LEN_MAX as u64;

async fn fill(running: &Running, from: u64, to: u64) {
    let here = own(running);
    for start in (from..to).step_by(IdBatch::LEN_MAX) {
        done(running, claim(here, start..(start + BATCH).min(to))).await;
    }
}

async fn done(running: &Running, command: Command) {
    let proposed = running.writer().propose(command).await.expect("is proposed");
    assert_eq!(proposed.outcome, Outcome::Done);
}

fn own(running: &Running) -> &'static str {
    match running.reader().status().node.0 {
        1 => "US-TX",
        2 => "US-CA",
        _ => "US-NY",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_and_reads_go_on_while_a_snapshot_is_built() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS, CALIFORNIA, NEW_YORK]);
    let running = cluster.form().await;
    let leader = &running[&leader_of(&running).await];
    done(leader, add_region(own(leader))).await;
    fill(leader, 0, SLOW).await;

    let before = leader.reader().status().snapshot;
    leader.control.build_snapshot().await.expect("is asked for");
    let (mut slowest, mut changes, mut next) = (Duration::ZERO, 0, SLOW);
    while leader.reader().status().snapshot == before {
        let begun = Instant::now();
        done(leader, claim(own(leader), [next])).await;
        assert!(leader.reader().placement(patient(next)).is_some());
        slowest = slowest.max(begun.elapsed());
        (changes, next) = (changes + 1, next + 1);
    }
    eprintln!("{SLOW} ids: {changes} changes while the snapshot was built, the slowest {slowest:?}");
    assert!(changes >= 3, "everybody waited for the snapshot");
    // What came meanwhile finds its place.
    fill(leader, next, next + 1).await;
    assert_eq!(leader.reader().placements_len() as u64, next + 1);
    assert!((0..=next).all(|n| leader.reader().placement(patient(n)).is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_away_for_long_catches_up_by_snapshot() {
    let timings = Timings { snapshot_entries: 16, keep_entries: 2, ..TIMINGS };
    let mut cluster = Cluster::new(timings, &[TEXAS, CALIFORNIA, NEW_YORK]);
    let mut running = cluster.form().await;
    let leader = leader_of(&running).await;
    done(&running[&leader], add_region(own(&running[&leader]))).await;
    let away = *running.keys().find(|id| **id != leader).expect("a follower");
    running.remove(&away).expect("runs").kill().await;

    let leader = &running[&leader];
    fill(leader, 0, MANY).await;
    leader.reader().wait(|r| r.status().purged > 2, PATIENCE).await.expect("its log is gone");
    let last = leader.reader().applied();

    let back = cluster.start(away).await;
    let begun = Instant::now();
    back.reader().wait(|r| r.applied() >= last, PATIENCE).await.expect("it catches up");
    eprintln!("{MANY} ids: caught up in {:?}", begun.elapsed());
    assert!(back.reader().status().snapshot > 0, "{:?}", back.reader().status());
    assert_eq!(back.reader().placements_len() as u64, MANY);
    assert!((0..MANY).all(|n| back.reader().placement(patient(n)).is_some()));
    let file = cluster.config(away).dir.join("snapshot");
    assert!(std::fs::metadata(file).expect("is there").len() > 1 << 20, "it came in one message");
    let left: Vec<_> = std::fs::read_dir(cluster.config(away).dir).expect("a folder").collect();
    let left = left.into_iter().map(|entry| entry.expect("an entry").file_name());
    assert!(
        !left.into_iter().any(|name| name.to_string_lossy().starts_with("snapshot.")),
        "nothing is left over"
    );
    // What it has is what it goes on from.
    done(leader, Command::PutOrganisation(organisation(1))).await;
    back.reader().wait(|r| r.organisations().len() == 1, PATIENCE).await.expect("it follows");
}

fn entry(index: u64, commands: Vec<Command>) -> Entry<TypeConfig> {
    let log_id = LogId::new(CommittedLeaderId::new(1, 1), index);
    Entry { log_id, payload: EntryPayload::Normal(Batch::new(commands)) }
}

fn machine(dir: &std::path::Path) -> Machine {
    Machine::open(dir, std::sync::Arc::new(View::new(&SystemEntropy::new()))).expect("opens")
}

async fn bytes_of(machine: &mut Machine) -> Vec<u8> {
    let mut snapshot = machine.get_current_snapshot().await.expect("reads").expect("is there");
    let mut bytes = Vec::new();
    snapshot.snapshot.read_to_end(&mut bytes).await.expect("reads");
    bytes
}

/// A snapshot is of the state at the moment when it was asked for, however long it takes and whatever comes meanwhile.
#[tokio::test]
async fn a_snapshot_is_of_one_moment() {
    let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let first = || entry(1, vec![add_region("US-TX"), claim("US-TX", 0..3_000)]);
    let second = || entry(2, vec![claim("US-TX", 3_000..6_000), Command::PutOrganisation(organisation(1))]);

    let mut living = machine(here.path());
    living.apply([first()]).await.expect("applies");
    let mut builder = living.get_snapshot_builder().await;
    living.apply([second()]).await.expect("applies, and waits for nobody");
    builder.build_snapshot().await.expect("builds");

    let mut quiet = machine(there.path());
    quiet.apply([first()]).await.expect("applies");
    quiet.get_snapshot_builder().await.build_snapshot().await.expect("builds");
    let (of_living, of_quiet) = (bytes_of(&mut living).await, bytes_of(&mut quiet).await);
    assert_eq!(of_living, of_quiet);

    // The control: what came meanwhile is in the next one.
    living.get_snapshot_builder().await.build_snapshot().await.expect("builds");
    let next = bytes_of(&mut living).await;
    assert!(next.len() > of_living.len() + 29_000, "3,000 ids more");
    let chunks: BTreeSet<&[u8]> = next.chunks(64).collect();
    assert!(chunks.len() > 500, "and not the same ones");
}

/// What comes in is believed when all of it came.
#[tokio::test]
async fn a_snapshot_that_came_in_damaged_is_not_installed() {
    let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut sender = machine(here.path());
    sender.apply([entry(1, vec![add_region("US-TX"), claim("US-TX", 0..3_000)])]).await.expect("applies");
    sender.get_snapshot_builder().await.build_snapshot().await.expect("builds");
    let meta = sender.get_current_snapshot().await.expect("reads").expect("is there").meta;
    let bytes = bytes_of(&mut sender).await;

    let mut receiver = machine(there.path());
    for damage in [bytes.len() / 2, bytes.len() - 1, 20] {
        let mut damaged = bytes.clone();
        damaged[damage] ^= 1;
        let error = take(&mut receiver, &meta, &damaged).await.expect_err("is refused");
        assert!(error.contains("damaged") || error.contains("another"), "{error}");
        take(&mut receiver, &meta, &bytes[..damage]).await.expect_err("is refused");
    }
    assert_eq!(receiver.applied_state().await.expect("reads").0, None);
    assert!(receiver.get_current_snapshot().await.expect("reads").is_none());
    take(&mut receiver, &meta, &bytes).await.expect("the control: the whole one is taken");
    assert_eq!(receiver.applied_state().await.expect("reads").0, meta.last_log_id);
    assert_eq!(bytes_of(&mut receiver).await, bytes);
}

async fn take(
    receiver: &mut Machine,
    meta: &openraft::SnapshotMeta<u64, residency_control::Member>,
    bytes: &[u8],
) -> Result<(), String> {
    let mut spool = receiver.begin_receiving_snapshot().await.expect("begins");
    tokio::io::AsyncWriteExt::write_all(&mut *spool, bytes).await.expect("writes");
    tokio::io::AsyncWriteExt::shutdown(&mut *spool).await.expect("ends");
    receiver.install_snapshot(meta, spool).await.map_err(|error| error.to_string())
}
