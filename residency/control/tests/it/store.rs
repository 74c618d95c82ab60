//! The log store: openraft's conformance suite, power cuts, and a failing disk.

use crate::support::disk::{Disk, Sync};
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{CommittedLeaderId, Entry, EntryPayload, RaftLogReader};
use residency_control::raft::disk::{Disk as LogDisk, OpenError};
use residency_control::raft::log::LogStore;
use residency_control::raft::machine_adapter::{Machine, View};
use residency_control::raft::types::{Batch, LogId, StorageError, TypeConfig, Vote};
use residency_control::system::SystemEntropy;
use residency_policy::NodeId;
use tempfile::TempDir;

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Stores {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError> {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = LogDisk::open(dir.path(), NodeId(0)).expect("opens");
        let view = std::sync::Arc::new(View::new(&SystemEntropy::new()));
        let machine = Machine::open(dir.path(), view)?;
        Ok((dir, LogStore::new(disk), machine))
    }
}

/// The suite writes entries of its own making, which need a body that is a batch of ours.
#[test]
fn the_store_passes_openrafts_conformance_suite() {
    Suite::test_all(Stores).expect("passes");
}

fn id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

fn entry(term: u64, index: u64) -> Entry<TypeConfig> {
    let command = crate::support::claim("US-TX", [index]);
    Entry { log_id: id(term, index), payload: EntryPayload::Normal(Batch::new(vec![command])) }
}

fn open(disk: &Disk) -> LogStore {
    LogStore::new(LogDisk::open_on(disk.clone(), NodeId(1)).expect("opens"))
}

/// What a member promised before the power was cut.
#[derive(Debug, Default, Clone)]
struct Promised {
    vote: Option<Vote>,
    last: u64,
    /// A vote that was asked for and not promised: it may be there or not.
    asked: Option<Vote>,
}

/// Lives through `steps` writes, and records each promise after it was made.
async fn live(disk: &Disk, steps: u64) -> (LogStore, Promised) {
    let mut store = open(disk);
    let mut promised = Promised::default();
    for step in 1..=steps {
        if step % 3 == 0 {
            let vote = Vote::new(step, 1);
            store.save_vote(&vote).await.expect("votes");
            promised.vote = Some(vote);
        } else {
            let index = promised.last + 1;
            store.blocking_append([entry(1, index)]).await.expect("appends");
            promised.last = index;
        }
    }
    (store, promised)
}

/// What of the promises a restarted member no longer knows.
async fn broken_promises(disk: &Disk, promised: &Promised) -> Vec<String> {
    let mut broken = Vec::new();
    let Ok(opened) = LogDisk::open_on(disk.clone(), NodeId(1)) else {
        return vec!["the log cannot be opened".to_owned()];
    };
    let mut store = LogStore::new(opened);
    let vote = store.read_vote().await.ok().flatten();
    if vote != promised.vote && (vote.is_none() || vote != promised.asked) {
        broken.push("the vote is another".to_owned());
    }
    let entries = store.try_get_log_entries(..).await.unwrap_or_default();
    for index in 1..=promised.last {
        if entries.get(usize::try_from(index).expect("fits") - 1) != Some(&entry(1, index)) {
            broken.push(format!("entry {index} is lost"));
        }
    }
    broken
}

#[tokio::test]
async fn no_promise_is_broken_by_a_power_cut() {
    for round in 1..=40 {
        let disk = Disk::new(Sync::Honest);
        let (mut store, mut promised) = live(&disk, round).await;
        // The power goes in the middle of one more write: its pages are partly on the platter, in no order.
        disk.set(Sync::Fails);
        let vote = Vote::new(1_000, 1);
        store.save_vote(&vote).await.expect_err("is not promised");
        promised.asked = Some(vote);
        let after = disk.cut(round * 7_919);
        let broken = broken_promises(&after, &promised).await;
        assert!(broken.is_empty(), "round {round}: {broken:?}");
    }
}

/// The control: a disk that answers before anything lasts. If the check above does not see this, it sees nothing.
#[tokio::test]
async fn the_power_cut_test_catches_an_answer_before_the_fsync() {
    let mut caught = 0;
    for round in 1..=20 {
        let disk = Disk::new(Sync::Honest);
        let (store, promised) = live(&disk, 1).await;
        disk.set(Sync::Lies);
        let (_store, promised) = live_on(store, promised, round).await;
        let after = disk.cut(round * 7_919);
        caught += u64::from(!broken_promises(&after, &promised).await.is_empty());
    }
    assert_eq!(caught, 20, "a store that lies was taken for a good one");
}

/// Goes on with a log, a vote and an entry at a time.
async fn live_on(mut store: LogStore, mut promised: Promised, steps: u64) -> (LogStore, Promised) {
    for step in 1..=steps {
        let vote = Vote::new(step, 1);
        store.save_vote(&vote).await.expect("votes");
        promised.vote = Some(vote);
        store.blocking_append([entry(1, promised.last + 1)]).await.expect("appends");
        promised.last += 1;
    }
    (store, promised)
}

#[tokio::test]
async fn every_append_and_every_vote_is_one_fsync() {
    let disk = Disk::new(Sync::Honest);
    let mut store = open(&disk);
    let before = disk.syncs();
    store.save_vote(&Vote::new(1, 1)).await.expect("votes");
    assert!(disk.syncs() > before, "a vote was answered without an fsync");
    let before = disk.syncs();
    store.blocking_append((1..=100).map(|index| entry(1, index))).await.expect("appends");
    assert_eq!(disk.syncs(), before + 1, "a hundred entries share one fsync");
}

#[tokio::test]
async fn a_failed_fsync_latches_and_tells() {
    let disk = Disk::new(Sync::Honest);
    let opened = LogDisk::open_on(disk.clone(), NodeId(1)).expect("opens");
    let mut latched = opened.latched();
    let mut store = LogStore::new(opened);
    store.blocking_append([entry(1, 1)]).await.expect("appends");
    assert!(latched.borrow().is_none(), "the control: nothing has failed yet");

    disk.set(Sync::Fails);
    store.blocking_append([entry(1, 2)]).await.expect_err("the fsync failed");
    // The disk is well again, but nobody knows what it lost meanwhile.
    disk.set(Sync::Honest);
    store.save_vote(&Vote::new(9, 1)).await.expect_err("latched");
    store.blocking_append([entry(1, 2)]).await.expect_err("latched");
    store.purge(id(1, 1)).await.expect_err("latched");
    latched.wait_for(Option::is_some).await.expect("is told");

    drop(store);
    let mut store = open(&disk.cut(3));
    assert_eq!(store.read_vote().await.expect("reads"), None);
    assert_eq!(store.get_log_state().await.expect("reads").last_log_id, Some(id(1, 1)));
}

#[tokio::test]
async fn a_disk_is_never_used_by_another_node() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = LogDisk::open(dir.path(), NodeId(7)).expect("opens");
    let mut closed = first.closed();
    drop(first);
    let _ = closed.changed().await;
    let error = LogDisk::open(dir.path(), NodeId(8)).err().expect("is refused");
    assert!(matches!(error, OpenError::OtherNode { found: NodeId(7), expected: NodeId(8) }), "{error}");
    LogDisk::open(dir.path(), NodeId(7)).expect("the control: its own node may");
}

#[test]
fn the_store_is_closed_to_others_and_an_open_one_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().expect("a folder");
    let dir = root.path().join("control");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    drop(LogDisk::open(&dir, NodeId(1)).expect("opens"));
    assert_eq!((mode(&dir), mode(&dir.join("log.redb"))), (0o700, 0o600));
    std::fs::write(dir.join("snapshot"), b"").expect("writes");
    for name in ["log.redb", "snapshot"] {
        let chmod = |mode| std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(mode));
        chmod(0o644).expect("sets");
        let error = LogDisk::open(&dir, NodeId(1)).err().expect("is refused");
        assert!(matches!(&error, OpenError::OpenToOthers(path) if path.ends_with(name)), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        chmod(0o600).expect("sets");
    }
}

#[tokio::test]
async fn the_commit_index_survives_although_nobody_waits_for_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = LogDisk::open(dir.path(), NodeId(1)).expect("opens");
    let mut closed = disk.closed();
    let mut store = LogStore::new(disk);
    store.blocking_append([entry(1, 1), entry(1, 2)]).await.expect("appends");
    store.save_committed(Some(id(1, 2))).await.expect("saves");
    drop(store);
    let _ = closed.changed().await;
    let mut store = LogStore::new(LogDisk::open(dir.path(), NodeId(1)).expect("opens"));
    assert_eq!(store.read_committed().await.expect("reads"), Some(id(1, 2)));
}

#[tokio::test]
async fn a_message_to_a_follower_is_bounded_in_bytes() {
    let disk = Disk::new(Sync::Honest);
    let mut store = open(&disk);
    let large = |index: u64| Entry {
        log_id: id(1, index),
        payload: EntryPayload::Normal(Batch::new(vec![
            crate::support::claim(
                "US-TX",
                index * 4_096..(index + 1) * 4_096
            );
            6
        ])),
    };
    store.blocking_append((1..=10).map(large)).await.expect("appends");
    let some = store.limited_get_log_entries(1, 11).await.expect("reads");
    assert!((1..10).contains(&some.len()), "{}", some.len());
    assert_eq!(store.try_get_log_entries(1..11).await.expect("reads").len(), 10);
}
