//! The directory: which random patient id lives where.
//!
//! It is the one part that grows with patients, and every node and every router holds all of it. So an entry takes
//! eight bytes: 68 bits of [`Key`], of which twelve are told by the entry's shard, and the home. Ids that were retired
//! or moved are few, and stand beside the table with epoch and state, under their whole id.
//!
//! **Two known ids never share a key.** [`Directory::claim`] refuses a batch that would make it so, as it refuses one
//! with an id that is known; for 4,096 ids drawn when there are 300 million, the chance of that is one in 200 million,
//! and whoever claims draws others. So among known ids a key is as good as an id. What the directory cannot tell is an
//! id that nobody claimed and whose key is a known one's: it answers with that one's home. The home has whole ids, and
//! no such record: there an unknown id ends in any case. So it is the home that proves an id before it has it retired:
//! the directory would take an id that was never claimed for the one that was, and know that one no more. Nobody is
//! sent elsewhere by it, and neither id can be claimed again. Refusing it here would take whole ids for all.
//!
//! Rejected: whole ids in such a table (20 bytes an entry), since the directory is what bounds how many patients a
//! cluster takes; a hash map of whole ids (42 to 71 bytes); probing in the order of the keys, which needs no second
//! line and is twice as slow, because where a search ends cannot be predicted.
//!
//! A clone shares the table, however large, and costs nothing: a snapshot is made from one. While a clone is alive
//! the table does not change; what is set meanwhile is kept in a map that is asked first, and goes into the table by
//! and by when the clone is gone: a little with every change, and the rest when somebody calls [`Directory::settle`].
//! A clone of that is no dearer. So nothing is ever copied because of a snapshot, and nobody waits for one.

mod filling;
mod key;
mod late;
mod shard;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use residency_policy::{Home, PatientId, Placement};

pub(crate) use filling::Filling;
use key::Fact;
pub use key::Key;
use late::Late;
use table::{Table, as_claimed, is_as_claimed};

/// How many late entries [`Directory::settle`] moves at once: some microseconds.
const SETTLE: usize = 64;

/// An id is known already, or its key is another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is known already")]
pub struct AlreadyKnown;

/// Patient id -> home, epoch, state.
#[derive(Clone, Default)]
pub struct Directory {
    table: Arc<Table>,
    /// What was set while the table was shared. It counts before the table.
    late: Late,
    len: usize,
    /// Grows with every placement that is set.
    turns: u64,
}

impl Directory {
    /// The most ids that a directory takes: past that, shard it over several Raft groups.
    pub const LEN_MAX: usize = 300_000_000;

    /// Where a patient lives.
    #[inline]
    pub fn get(&self, patient: PatientId) -> Option<Placement> {
        let key = Key::of(patient);
        if self.late.is_empty() { self.table.get(key, patient) } else { self.get_late(key, patient) }
    }

    #[cold]
    #[inline(never)]
    fn get_late(&self, key: Key, patient: PatientId) -> Option<Placement> {
        match self.late.get(&key) {
            None => self.table.get(key, patient),
            // What the table will say once the entry is in it.
            Some(late) if is_as_claimed(late) => Some(as_claimed(patient, late.home)),
            Some(late) => (late.patient == patient).then_some(*late),
        }
    }

    /// Whether the id is known, in whatever state.
    #[inline]
    pub fn contains(&self, patient: PatientId) -> bool {
        self.knows(Key::of(patient))
    }

    #[inline]
    fn knows(&self, key: Key) -> bool {
        self.table.find(key) != Fact::UNKNOWN || self.late.contains(&key)
    }

    /// Makes ids known, all of them or none.
    pub fn claim(&mut self, ids: &[PatientId], home: Home) -> Result<(), AlreadyKnown> {
        let mut keys: Vec<(Key, PatientId)> = ids.iter().map(|id| (Key::of(*id), *id)).collect();
        // In the table's order, which is several times faster. Keys that meet are neighbours then.
        keys.sort_unstable_by_key(|(key, _)| *key);
        let meet = keys.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if meet || keys.iter().any(|(key, _)| self.knows(*key)) {
            return Err(AlreadyKnown);
        }
        self.settle();
        self.len += keys.len();
        if let Some(table) = Arc::get_mut(&mut self.table) {
            for (key, _) in keys {
                table.add(key, Fact::at(home));
            }
        } else {
            let late = keys.into_iter().map(|(key, id)| (key, as_claimed(id, home)));
            self.late.extend(late);
        }
        Ok(())
    }

    /// Sets a placement, known or new.
    pub fn set(&mut self, placement: Placement) {
        let key = Key::of(placement.patient);
        self.turns += 1;
        self.settle();
        self.len += usize::from(!self.knows(key));
        if let Some(table) = Arc::get_mut(&mut self.table) {
            self.late.remove(&key);
            table.set(key, placement);
        } else {
            self.late.insert(key, placement);
        }
    }

    /// Moves a few entries that came while the table was shared to where they belong, if it no longer is. Whoever
    /// applies changes calls this again and again; it costs next to nothing when there is nothing to do. Says whether
    /// there are more that could be moved now.
    pub fn settle(&mut self) -> bool {
        if self.late.is_empty() {
            return false;
        }
        let Some(table) = Arc::get_mut(&mut self.table) else { return false };
        for (key, placement) in std::iter::from_fn(|| self.late.pop_oldest()).take(SETTLE) {
            table.set(key, placement);
        }
        !self.late.is_empty()
    }

    /// Whether everything is where it belongs. What is not takes several times as much memory.
    pub fn is_settled(&self) -> bool {
        self.late.is_empty()
    }

    /// Grows whenever [`Directory::changed`] may say something new: whoever follows it need not ask that each time. It
    /// counts in this process, and is no part of what the directory says.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Counts on from another directory, whose place this one takes.
    pub(crate) fn count_on_from(&mut self, other: &Self) {
        self.turns = self.turns.max(other.turns) + 1;
    }

    /// Every placement that is no longer as it was claimed: retired, or at a later epoch. Ascending by id.
    pub fn changed(&self) -> impl Iterator<Item = Placement> {
        // Of what is as it was claimed, only what the table says otherwise of.
        let late = self.late.iter().map(|(_, placement)| (placement.patient, placement));
        let late: BTreeMap<_, _> = late
            .filter(|(patient, placement)| !is_as_claimed(placement) || self.table.is_changed(*patient))
            .collect();
        let table = self.table.changed().map(|placement| (placement.patient, placement));
        let all = merged(table, late.into_iter());
        all.map(|(_, placement)| placement).filter(|placement| !is_as_claimed(placement))
    }

    /// The key and home of every id that is as it was claimed. Ascending, so that equal directories have equal
    /// snapshots.
    pub fn as_claimed(&self) -> impl Iterator<Item = (Key, Home)> {
        let late = self.late.iter().map(|(key, placement)| {
            (key, if is_as_claimed(&placement) { Fact::at(placement.home) } else { Fact::CHANGED })
        });
        merged(self.table.facts(), late).filter_map(|(key, fact)| Some((key, fact.home()?)))
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Two ascending sequences as one. Where both have a key, the second's value counts.
fn merged<K: Ord, V>(
    under: impl Iterator<Item = (K, V)>,
    over: impl Iterator<Item = (K, V)>,
) -> impl Iterator<Item = (K, V)> {
    let (mut under, mut over) = (under.peekable(), over.peekable());
    std::iter::from_fn(move || {
        let Some((key, _)) = over.peek() else { return under.next() };
        match under.peek().map(|(other, _)| other.cmp(key)) {
            Some(std::cmp::Ordering::Less) => under.next(),
            Some(std::cmp::Ordering::Equal) => {
                under.next();
                over.next()
            }
            Some(std::cmp::Ordering::Greater) | None => over.next(),
        }
    })
}

impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.as_claimed().eq(other.as_claimed()) && self.changed().eq(other.changed())
    }
}

impl Eq for Directory {}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Directory({})", self.len)
    }
}
