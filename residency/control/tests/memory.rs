//! What the directory weighs, counted by the allocator. In a binary of its own, since everything in it is counted.

use std::alloc::System;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use openraft::storage::RaftStateMachine;
use openraft::{CommittedLeaderId, Entry, EntryPayload, RaftSnapshotBuilder};
use residency_control::raft::machine_adapter::{Machine, View};
use residency_control::raft::types::{Batch, LogId, TypeConfig};
use residency_control::system::SystemEntropy;
use residency_control::{Command, Directory, Endpoint, IdBatch, RegionEntry};
use residency_policy::{Entropy, Home, PatientId, Region};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region as Counted, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One at a time: what another test allocates would be counted too.
static ALONE: Mutex<()> = Mutex::new(());

/// What the directory is built to take. Promised are 24.
const BYTES_MAX: f64 = 10.0;

struct Drawn(std::sync::atomic::AtomicU64);

/// SplitMix64, so that every run draws the same ids.
impl Entropy for Drawn {
    fn fill(&self, dest: &mut [u8]) {
        for part in dest.chunks_mut(8) {
            let seed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed);
            let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            part.copy_from_slice(&(mixed ^ mixed >> 31).to_le_bytes()[..part.len()]);
        }
    }
}

fn home() -> Home {
    Home(Region("US-TX".parse().expect("a jurisdiction")))
}

fn filled(count: usize) -> Directory {
    let drawn = Drawn(7.into());
    let mut directory = Directory::default();
    let mut left = count;
    while left > 0 {
        let ids: Vec<PatientId> = (0..left.min(4_096)).map(|_| PatientId::random(&drawn)).collect();
        directory.claim(&ids, home()).expect("they are new");
        left -= ids.len();
    }
    directory
}

/// The bytes that a thing holds on to, and the thing.
fn held<T>(make: impl FnOnce() -> T) -> (isize, T) {
    let counted = Counted::new(COUNTED);
    let thing = make();
    let change = counted.change();
    let bytes = |count: usize| isize::try_from(count).expect("fits");
    (bytes(change.bytes_allocated) - bytes(change.bytes_deallocated), thing)
}

/// All bytes that were asked for meanwhile.
fn asked_for(act: impl FnOnce()) -> usize {
    let counted = Counted::new(COUNTED);
    act();
    counted.change().bytes_allocated
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn bytes_per_entry(count: usize) -> f64 {
    let (bytes, directory) = held(|| filled(count));
    assert_eq!(directory.len(), count);
    let per_entry = bytes as f64 / count as f64;
    eprintln!("{count} entries: {per_entry:.2} bytes each");
    per_entry
}

#[test]
fn an_entry_is_as_small_as_promised_at_a_million() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let per_entry = bytes_per_entry(1_000_000);
    assert!(per_entry <= BYTES_MAX, "{per_entry} bytes an entry");
    // The control: a map of the same is counted as what it is.
    let drawn = Drawn(7.into());
    let (bytes, map) =
        held(|| (0..100_000).map(|_| (PatientId::random(&drawn), home())).collect::<BTreeMap<_, _>>());
    assert!(bytes > 17 * 100_000, "{bytes} bytes for {} entries", map.len());
}

/// Takes half a minute in a debug build, so that it waits for `./dev test --long`.
#[test]
fn an_entry_is_as_small_as_promised_at_ten_million() {
    if std::env::var_os("DOMICILE_LONG").is_none() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let per_entry = bytes_per_entry(10_000_000);
    assert!(per_entry <= BYTES_MAX, "{per_entry} bytes an entry");
}

/// However large the directory is, a clone costs nothing, and neither does the first change after it.
#[test]
fn nothing_is_copied_because_of_a_clone() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut directory = filled(500_000);
    let more: Vec<PatientId> = (0..4_096_u128).map(|n| PatientId::from_bytes(n.to_be_bytes())).collect();
    let mut clone = None;
    let bytes = asked_for(|| {
        clone = Some(directory.clone());
        directory.claim(&more, home()).expect("they are new");
    });
    eprintln!("a clone and 4,096 ids after it: {bytes} bytes");
    assert!(bytes < 1_000_000, "{bytes} bytes");
    assert_eq!(clone.map(|clone| clone.len()), Some(500_000));
    while directory.settle() {}
    assert!(more.iter().all(|id| directory.contains(*id)));
    // The control: a directory that is copied does ask for what it weighs.
    assert!(asked_for(|| drop(filled(500_000))) > 4_000_000);
}

/// Nor does one that is taken before everything that came during another has found its place.
#[test]
fn nothing_is_copied_because_of_a_clone_upon_a_clone() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut directory = filled(10_000);
    let ids =
        |from: u128| (from..from + 4_096).map(|n| PatientId::from_bytes(n.to_be_bytes())).collect::<Vec<_>>();
    let first = directory.clone();
    for n in 0..50 {
        directory.claim(&ids(n * 10_000), home()).expect("they are new");
    }
    drop(first);
    let mut second = None;
    let bytes = asked_for(|| {
        second = Some(directory.clone());
        directory.claim(&ids(9_000_000), home()).expect("they are new");
    });
    eprintln!("a clone with {} late entries, and 4,096 ids after it: {bytes} bytes", 50 * 4_096);
    assert!(bytes < 1_000_000, "{bytes} bytes");
    assert!(!directory.is_settled(), "the control");
    assert_eq!(second.map(|clone| clone.len()), Some(10_000 + 50 * 4_096));
    while directory.settle() {}
    assert!(directory.is_settled());
    let all = (0..50).map(|n| n * 10_000).chain([9_000_000]).flat_map(ids);
    assert!(all.into_iter().all(|id| directory.contains(id)));
    assert_eq!(directory.len(), 10_000 + 51 * 4_096);
}

/// What came during a snapshot finds its place when that is built, though nothing comes any more.
#[test]
fn after_a_snapshot_memory_comes_back_without_another_change() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(memory_comes_back());
}

async fn memory_comes_back() {
    const ENTRIES: u64 = 50;
    let dir = tempfile::tempdir().expect("a folder");
    let view = std::sync::Arc::new(View::new(&SystemEntropy::new()));
    let mut machine = Machine::open(dir.path(), view).expect("opens");
    let drawn = Drawn(7.into());
    let claim = |index| {
        let ids = (0..4_096).map(|_| PatientId::random(&drawn)).collect();
        let command = Command::ClaimIds { region: home().0, ids: IdBatch::new(ids).expect("a batch") };
        entry(index, command)
    };
    let at = |port| Endpoint::new("localhost".parse().expect("a host"), port);
    let region = RegionEntry { region: home().0, public: at(1), peer: at(2) };
    machine.apply([entry(1, Command::AddRegion(region))]).await.expect("applies");
    let counted = Counted::new(COUNTED);
    let held = || {
        let change = counted.change();
        change.bytes_allocated.saturating_sub(change.bytes_deallocated)
    };
    let mut builder = machine.get_snapshot_builder().await;
    for index in 0..ENTRIES {
        machine.apply([claim(2 + index)]).await.expect("applies");
    }
    let settled = 2 * 10 * 4_096 * usize::try_from(ENTRIES).expect("few");
    let before = held();
    assert!(before > settled, "the control: {before} bytes while the table is shared");
    builder.build_snapshot().await.expect("builds");
    let deadline = Instant::now() + Duration::from_secs(30);
    while held() > settled {
        assert!(Instant::now() < deadline, "{} bytes, and {before} before", held());
        tokio::task::yield_now().await;
    }
    eprintln!("{} ids: {before} bytes during a snapshot, {} after it", ENTRIES * 4_096, held());
}

fn entry(index: u64, command: Command) -> Entry<TypeConfig> {
    let log_id = LogId::new(CommittedLeaderId::new(1, 1), index);
    Entry { log_id, payload: EntryPayload::Normal(Batch::new(vec![command])) }
}
