//! The table: 4,096 shards, and beside them what does not fit a slot.

use std::collections::BTreeMap;

use residency_policy::{Epoch, Home, PatientId, Placement, PlacementState};

use super::key::{Fact, Key, SHARDS};
use super::shard::{NoRoom, Shard};

/// What a changed placement has beside its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Changed {
    home: Home,
    epoch: Epoch,
    state: PlacementState,
}

/// Key -> facts, and whole id -> placement of what is no longer as it was claimed.
pub(super) struct Table {
    shards: Box<[Shard; SHARDS]>,
    /// Keys for which their shard has no room. Only ids that were chosen rather than drawn come here.
    crowded: BTreeMap<Key, Fact>,
    changed: BTreeMap<PatientId, Changed>,
    len: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            shards: Box::new(std::array::from_fn(|_| Shard::default())),
            crowded: BTreeMap::new(),
            changed: BTreeMap::new(),
            len: 0,
        }
    }
}

/// Whether a placement is as every placement is when its id was claimed.
pub(super) fn is_as_claimed(placement: &Placement) -> bool {
    placement.epoch == Epoch::FIRST && placement.state == PlacementState::Active
}

/// The placement of an id that was claimed for a home.
#[inline]
pub(super) fn as_claimed(patient: PatientId, home: Home) -> Placement {
    Placement { patient, home, epoch: Epoch::FIRST, state: PlacementState::Active }
}

impl Table {
    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The facts of a key.
    #[inline]
    pub(super) fn find(&self, key: Key) -> Fact {
        let fact = self.shards[key.shard()].find_near(key.tail());
        if fact == Fact::UNKNOWN { self.find_farther(key) } else { fact }
    }

    #[cold]
    #[inline(never)]
    fn find_farther(&self, key: Key) -> Fact {
        let fact = self.shards[key.shard()].find_farther(key.tail());
        if fact == Fact::UNKNOWN && !self.crowded.is_empty() {
            return self.crowded.get(&key).copied().unwrap_or(Fact::UNKNOWN);
        }
        fact
    }

    /// Where a patient lives.
    #[inline]
    pub(super) fn get(&self, key: Key, patient: PatientId) -> Option<Placement> {
        let fact = self.find(key);
        match fact.home() {
            Some(home) => Some(as_claimed(patient, home)),
            None => self.get_changed(fact, patient),
        }
    }

    #[cold]
    #[inline(never)]
    fn get_changed(&self, fact: Fact, patient: PatientId) -> Option<Placement> {
        // Unless the id was claimed at all there is no need to look for it.
        let changed = self.changed.get(&patient).filter(|_| fact == Fact::CHANGED)?;
        Some(placement(patient, *changed))
    }

    /// Sets the placement of an id with this key.
    pub(super) fn set(&mut self, key: Key, placement: Placement) {
        let Placement { patient, home, epoch, state } = placement;
        let fact = if is_as_claimed(&placement) {
            self.changed.remove(&patient);
            Fact::at(home)
        } else {
            self.changed.insert(patient, Changed { home, epoch, state });
            Fact::CHANGED
        };
        if !self.replace(key, fact) {
            self.add(key, fact);
        }
    }

    fn replace(&mut self, key: Key, fact: Fact) -> bool {
        if self.shards[key.shard()].replace(key.tail(), fact) {
            return true;
        }
        self.crowded.get_mut(&key).map(|there| *there = fact).is_some()
    }

    /// Adds a key that is not there.
    pub(super) fn add(&mut self, key: Key, fact: Fact) {
        self.len += 1;
        if let Err(NoRoom(slot)) = self.shards[key.shard()].add(key.tail(), fact) {
            self.crowded.insert(Key::in_shard(key.shard(), slot), Fact::of_slot(slot));
        }
    }

    /// Makes room for so many keys in the shard of one of them. The shard must be empty.
    pub(super) fn make_room(&mut self, like: Key, len: usize) {
        self.shards[like.shard()] = Shard::roomy(len);
    }

    /// Every key with its facts, ascending.
    pub(super) fn facts(&self) -> impl Iterator<Item = (Key, Fact)> {
        let in_shards = self.shards.iter().enumerate().flat_map(|(number, shard)| {
            shard.ascending().map(move |slot| (Key::in_shard(number, slot), Fact::of_slot(slot)))
        });
        super::merged(in_shards, self.crowded.iter().map(|(key, fact)| (*key, *fact)))
    }

    /// Whether this id is no longer as it was claimed.
    pub(super) fn is_changed(&self, patient: PatientId) -> bool {
        self.changed.contains_key(&patient)
    }

    /// Everything that is no longer as it was claimed, ascending by id.
    pub(super) fn changed(&self) -> impl Iterator<Item = Placement> {
        self.changed.iter().map(|(patient, changed)| placement(*patient, *changed))
    }
}

fn placement(patient: PatientId, Changed { home, epoch, state }: Changed) -> Placement {
    Placement { patient, home, epoch, state }
}
