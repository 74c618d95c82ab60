//! The directory: which random patient id lives where.
//!
//! It is the one part that grows with patients, so it is behind this small interface: its inside can be replaced
//! by a denser table without anyone noticing. It is cut into 256 shards by the id's first byte, and a clone shares
//! all of them: a snapshot holds a clone, and the first change of a shard after that copies that shard and no more,
//! so that building a snapshot never stops the world.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use residency_policy::{Epoch, Home, PatientId, Placement, PlacementState};

const SHARDS: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    home: Home,
    epoch: Epoch,
    state: PlacementState,
}

/// Patient id -> home, epoch, state.
#[derive(Clone, PartialEq, Eq)]
pub struct Directory {
    shards: Box<[Arc<HashMap<PatientId, Entry>>]>,
    len: usize,
    /// The ids whose placement is no longer the one of the claim: few, and what every home's fence must be told.
    changed: Arc<BTreeSet<PatientId>>,
}

impl Default for Directory {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Arc::default()).collect(), len: 0, changed: Arc::default() }
    }
}

impl Directory {
    /// The most ids that a directory takes: past that, shard it over several Raft groups.
    pub const LEN_MAX: usize = 300_000_000;

    /// Where a patient lives.
    pub fn get(&self, patient: PatientId) -> Option<Placement> {
        let Entry { home, epoch, state } = *self.shards[shard_of(patient)].get(&patient)?;
        Some(Placement { patient, home, epoch, state })
    }

    /// Whether the id is known, in whatever state.
    pub fn contains(&self, patient: PatientId) -> bool {
        self.shards[shard_of(patient)].contains_key(&patient)
    }

    /// Sets a placement, known or new.
    pub fn set(&mut self, placement: Placement) {
        let Placement { patient, home, epoch, state } = placement;
        let shard = Arc::make_mut(&mut self.shards[shard_of(patient)]);
        if shard.insert(patient, Entry { home, epoch, state }).is_none() {
            self.len += 1;
        }
        if epoch > Epoch::FIRST || state != PlacementState::Active {
            Arc::make_mut(&mut self.changed).insert(patient);
        }
    }

    /// Every placement that is no longer as it was claimed: retired, or at a later epoch. Ascending by id.
    pub fn changed(&self) -> impl Iterator<Item = Placement> {
        self.changed.iter().filter_map(|patient| self.get(*patient))
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every placement, ascending by id, so that equal directories have equal snapshots.
    pub fn ascending(&self) -> impl Iterator<Item = Placement> {
        self.shards.iter().flat_map(|shard| {
            let mut sorted: Vec<_> = shard.iter().map(|(id, entry)| (*id, *entry)).collect();
            sorted.sort_unstable_by_key(|(id, _)| *id);
            sorted.into_iter().map(|(patient, Entry { home, epoch, state })| Placement {
                patient,
                home,
                epoch,
                state,
            })
        })
    }
}

/// Ids are random, so their first byte spreads them evenly.
fn shard_of(patient: PatientId) -> usize {
    usize::from(patient.to_bytes()[0])
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Directory({})", self.len)
    }
}
