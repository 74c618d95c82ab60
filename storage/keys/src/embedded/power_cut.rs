//! The keyring on a real file system whose power is cut while it writes. What it kept is there afterwards.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc;

use disks::{Lies, LoopDisk, with_power};
use redb::ReadableDatabase;
use redb::backends::FileBackend;
use residency_policy::{Category, PatientId};
use tokio::sync::oneshot;

use super::open::{Opens, on, on_disk};
use super::{BY_OWNER, KEYS, Shared, Write, place, record, write_together};
use crate::{DataKeyId, KeyOwner, KeyRecord, Wrapped};

/// What the keyring answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Kept(u64),
    Destroyed(u64),
}

fn patient(n: u64) -> PatientId {
    PatientId::from(uuid::Uuid::from_u128(
        u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(n),
    ))
}

fn a_record(n: u64) -> KeyRecord {
    let owner = KeyOwner::Patient(patient(n), Category::General);
    KeyRecord { id: DataKeyId(*patient(n).uuid().as_bytes()), owner, version: 1, wrapped: Wrapped(vec![9; 61]) }
}

/// Keeps keys, three at a time, and destroys some if asked to, until the disk is gone.
fn write(shared: &Shared, destroys: bool, done: &mpsc::Sender<Done>) {
    for n in (1_u64..).step_by(3) {
        let batch = [n, n + 1, n + 2].map(|n| Write::Insert(a_record(n), oneshot::channel().0));
        for (n, kept) in (n..).zip(write_together(shared, &batch)) {
            if kept.is_err() || done.send(Done::Kept(n)).is_err() {
                return;
            }
        }
        if destroys && n % 10 == 1 {
            let destroyed =
                write_together(shared, &[Write::Destroy(patient(n), oneshot::channel().0)]).remove(0);
            if destroyed.is_err() || done.send(Done::Destroyed(n)).is_err() {
                return;
            }
        }
    }
}

/// Cuts the power once so much is done, and returns that. What is answered during the cut does not count: the kernel
/// does not cut it in one moment, and an fsync that is under way meanwhile may return as if all were well.
fn until_the_power_goes(disk: &LoopDisk, shared: Shared, destroys: bool, enough: usize) -> Vec<Done> {
    let (done, told) = mpsc::channel();
    let writer = std::thread::spawn(move || write(&shared, destroys, &done));
    let done: Vec<Done> = told.iter().take(enough).collect();
    disk.cut_power().expect("the power goes");
    drop(told);
    writer.join().expect("it ends");
    disk.unplug().expect("nobody has it");
    disk.plug_in().expect("the power is back");
    done
}

/// What the keyring no longer knows of what it answered for.
fn lost(path: &Path, done: &[Done]) -> Vec<String> {
    let shared = match Shared::open(path, Box::new(on_disk)) {
        Ok(shared) => shared,
        Err(fault) => return vec![format!("all of it: {fault:?}")],
    };
    let open = shared.open.read().expect("the lock");
    let txn = open.as_ref().expect("it is open").database.begin_read().expect("a transaction");
    let (keys, by_owner) = (txn.open_table(KEYS).expect("a table"), txn.open_table(BY_OWNER).expect("a table"));
    let there = |n| {
        let (expected, at) = (a_record(n), place(a_record(n).owner, 1));
        let by_owner = by_owner.get(at).expect("an answer").map(|id| id.value());
        by_owner == Some(expected.id.0) && record(&keys, expected.id.0).expect("an answer") == Some(expected)
    };
    let is_lost = |one: &&Done| match **one {
        // One that was under way when it was destroyed may be gone as well.
        Done::Kept(n) => !there(n) && !done.contains(&Done::Destroyed(n)) && n % 30 != 1,
        Done::Destroyed(n) => there(n),
    };
    done.iter().filter(is_lost).map(|one| format!("{one:?}")).collect()
}

#[test]
fn nothing_kept_is_lost_and_nothing_destroyed_comes_back_when_the_power_goes() {
    const TEST: &str =
        "embedded::power_cut::nothing_kept_is_lost_and_nothing_destroyed_comes_back_when_the_power_goes";
    let Some(disk) = with_power(TEST, "keyring-power", 64) else { return };
    for round in 1..=5 {
        let path = disk.path().join(format!("{round}.redb"));
        let shared = Shared::open(&path, Box::new(on_disk)).expect("a keyring");
        let done = until_the_power_goes(&disk, shared, true, round * 40);
        let lost = lost(&path, &done);
        assert!(lost.is_empty(), "round {round}: {lost:?} of {done:?}");
    }
}

/// The control: a keyring that answers before the fsync. A destruction would sync the folder all the same.
#[test]
fn without_fsync_the_power_cut_is_seen_to_lose_keys() {
    const TEST: &str = "embedded::power_cut::without_fsync_the_power_cut_is_seen_to_lose_keys";
    let Some(disk) = with_power(TEST, "keyring-lies", 64) else { return };
    let path = disk.path().join("keyring.redb");
    drop(Shared::open(&path, Box::new(on_disk)).expect("a keyring that lasts"));
    let lies: Opens = Box::new(|file: File, failed| on(Lies(FileBackend::new(file)?), failed));
    let shared = Shared::open(&path, lies).expect("a keyring");
    let done = until_the_power_goes(&disk, shared, false, 120);
    let lost = lost(&path, &done);
    assert!(lost.len() > done.len() / 2 || lost[0].starts_with("all"), "{lost:?} of {}", done.len());
}
