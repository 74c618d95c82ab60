//! What the directory weighs, counted by the allocator. In a binary of its own, since everything in it is counted.

use std::alloc::System;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use residency_control::Directory;
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
    (0..100).for_each(|_| directory.settle());
    assert!(more.iter().all(|id| directory.contains(*id)));
    // The control: a directory that is copied does ask for what it weighs.
    assert!(asked_for(|| drop(filled(500_000))) > 4_000_000);
}
