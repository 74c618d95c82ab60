//! The log store on a real file system whose power is cut while it writes. What it promised is there afterwards.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::mpsc;

use disks::{Lies, LoopDisk, with_power};
use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
use openraft::{CommittedLeaderId, Entry, EntryPayload, RaftLogReader as _};
use redb::backends::FileBackend;
use residency_control::raft::disk::Disk;
use residency_control::raft::log::LogStore;
use residency_control::raft::types::{Batch, LogId, TypeConfig, Vote};
use residency_policy::NodeId;

const NODE: NodeId = NodeId(1);

/// What a member said that it will stand by, in this order: entries 1, 2, 3 and so on, and votes of rising terms.
#[derive(Debug, Clone, Copy)]
enum Promise {
    Entry(u64),
    Vote(u64),
}

fn open(dir: &Path) -> Result<Disk, String> {
    Disk::open(dir, NODE).map_err(|error| error.to_string())
}

/// The same file, and fsyncs that are lies.
fn open_lying(dir: &Path) -> Result<Disk, String> {
    drop(open(dir)?);
    let said = |error: io::Error| error.to_string();
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(said)?;
    let file = loop {
        // The first opening lets go of it a moment later.
        let file = OpenOptions::new().read(true).write(true).open(dir.join("log.redb")).map_err(said)?;
        if file.try_lock().is_ok() {
            break file;
        }
    };
    let backend = FileBackend::new(file).map_err(|error| error.to_string())?;
    Disk::open_on(Lies(backend), NODE).map_err(|error| error.to_string())
}

fn entry(index: u64) -> Entry<TypeConfig> {
    let id = LogId::new(CommittedLeaderId::new(1, 1), index);
    Entry {
        log_id: id,
        payload: EntryPayload::Normal(Batch::new(vec![crate::support::claim("US-TX", [index])])),
    }
}

/// Promises until the disk is gone.
async fn promise(disk: Disk, teller: mpsc::Sender<Promise>) {
    let mut closed = disk.closed();
    let mut store = LogStore::new(disk);
    for step in 1.. {
        let next = if step % 3 == 0 { Promise::Vote(step) } else { Promise::Entry(step - step / 3) };
        let kept = match next {
            Promise::Entry(index) => store.blocking_append([entry(index)]).await,
            Promise::Vote(term) => store.save_vote(&Vote::new(term, 1)).await,
        };
        if kept.is_err() || teller.send(next).is_err() {
            break;
        }
    }
    drop(store);
    let _ = closed.changed().await;
}

/// Cuts the power once so much is promised, and returns that. What is promised during the cut does not count: the
/// kernel does not cut it in one moment, and an fsync that is under way meanwhile may return as if all were well.
async fn until_the_power_goes(disk: &LoopDisk, opened: Disk, enough: usize) -> Vec<Promise> {
    let (teller, told) = mpsc::channel();
    let member = tokio::spawn(promise(opened, teller));
    let promises = tokio::task::block_in_place(|| {
        let before: Vec<Promise> = told.iter().take(enough).collect();
        disk.cut_power().expect("the power goes");
        before
    });
    member.await.expect("it ends");
    disk.unplug().expect("nobody has it");
    disk.plug_in().expect("the power is back");
    promises
}

/// What of the promises a restarted member no longer knows.
async fn broken(dir: &Path, promises: &[Promise]) -> Vec<String> {
    let mut store = match open(dir) {
        Ok(disk) => LogStore::new(disk),
        Err(error) => return vec![format!("all of them: {error}")],
    };
    let vote = store.read_vote().await.ok().flatten();
    let entries = store.try_get_log_entries(..).await.unwrap_or_default();
    let is_broken = |promise: &&Promise| match **promise {
        // A vote that was under way may be there.
        Promise::Vote(term) => vote.is_none_or(|vote| vote.leader_id.term < term),
        Promise::Entry(index) => entries.get(usize::try_from(index - 1).expect("fits")) != Some(&entry(index)),
    };
    promises.iter().filter(is_broken).map(|promise| format!("{promise:?}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_promise_is_broken_when_the_power_of_a_real_disk_is_cut() {
    const TEST: &str = "power_cut::no_promise_is_broken_when_the_power_of_a_real_disk_is_cut";
    let Some(disk) = with_power(TEST, "log-power", 64) else { return };
    for round in 1..=5 {
        let dir = disk.path().join(round.to_string());
        let opened = open(&dir).expect("opens");
        let promises = until_the_power_goes(&disk, opened, round * 17).await;
        let broken = broken(&dir, &promises).await;
        assert!(broken.is_empty(), "round {round}: {broken:?} of {promises:?}");
    }
}

/// The control: a store that answers before the fsync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_answers_before_the_fsync_breaks_promises_when_the_power_is_cut() {
    const TEST: &str = "power_cut::a_store_that_answers_before_the_fsync_breaks_promises_when_the_power_is_cut";
    let Some(disk) = with_power(TEST, "log-lies", 64) else { return };
    let dir = disk.path().join("1");
    let opened = open_lying(&dir).expect("opens");
    let promises = until_the_power_goes(&disk, opened, 60).await;
    let broken = broken(&dir, &promises).await;
    assert!(broken.len() > promises.len() / 2 || broken[0].starts_with("all"), "{broken:?}");
}
