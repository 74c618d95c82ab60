//! Fills an empty directory in the order of a snapshot.

use std::sync::Arc;

use residency_policy::{Home, Placement};

use super::Directory;
use super::key::{Fact, Key};
use super::late::Late;
use super::table::{Table, is_as_claimed};

/// A directory to be: first all ids that are as they were claimed, ascending by key, then the others.
#[derive(Default)]
pub(crate) struct Filling {
    table: Table,
    /// The keys of the present shard, so that it is made with room for all of them.
    shard: Vec<(Key, Fact)>,
    last: Option<Key>,
}

impl Filling {
    /// Adds a key, unless it is not greater than all before it.
    pub(crate) fn as_claimed(&mut self, key: Key, home: Home) -> Option<()> {
        if self.last.is_some_and(|last| last >= key) {
            return None;
        }
        if self.last.is_some_and(|last| last.shard() != key.shard()) {
            self.close();
        }
        self.last = Some(key);
        self.shard.push((key, Fact::at(home)));
        Some(())
    }

    fn close(&mut self) {
        if let Some((key, _)) = self.shard.first() {
            self.table.make_room(*key, self.shard.len());
        }
        for (key, fact) in self.shard.drain(..) {
            self.table.add(key, fact);
        }
    }

    /// Adds an id that is no longer as it was claimed, unless it is known: two lines for one id would be two homes.
    pub(crate) fn changed(&mut self, placement: Placement) -> Option<()> {
        self.close();
        let key = Key::of(placement.patient);
        if is_as_claimed(&placement) || self.table.find(key) != Fact::UNKNOWN {
            return None;
        }
        self.table.set(key, placement);
        Some(())
    }

    /// The directory.
    pub(crate) fn done(mut self) -> Directory {
        self.close();
        let len = self.table.len();
        Directory { table: Arc::new(self.table), late: Late::default(), len, turns: 0 }
    }
}
