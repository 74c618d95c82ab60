//! What was set while the table was shared.
//!
//! A clone shares this too, and must not make the next change copy it: so what a clone shares stays as it is, and what
//! is set afterwards goes into a map above it. There are as many maps as clones were taken one upon the other, and
//! whoever asks for snapshots waits until the last one's entries have found their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use residency_policy::Placement;

use super::key::Key;
use super::merged;

type Layer = BTreeMap<Key, Placement>;

/// Key -> placement, in maps of which a later one counts before an earlier one.
#[derive(Clone, Default)]
pub(super) struct Late {
    /// The oldest first. None is empty.
    below: Vec<Arc<Layer>>,
    top: Arc<Layer>,
}

impl Late {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.top.is_empty() && self.below.is_empty()
    }

    fn newest_first(&self) -> impl Iterator<Item = &Arc<Layer>> {
        std::iter::once(&self.top).chain(self.below.iter().rev())
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Placement> {
        self.newest_first().find_map(|layer| layer.get(key))
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// The map that nobody shares.
    fn own(&mut self) -> &mut Layer {
        if Arc::get_mut(&mut self.top).is_none() {
            let shared = std::mem::take(&mut self.top);
            if !shared.is_empty() {
                self.below.push(shared);
            }
        }
        Arc::make_mut(&mut self.top)
    }

    pub(super) fn extend(&mut self, entries: impl Iterator<Item = (Key, Placement)>) {
        self.own().extend(entries);
    }

    pub(super) fn insert(&mut self, key: Key, placement: Placement) {
        self.own().insert(key, placement);
    }

    /// Forgets a key. Only where nothing is shared: what is would be copied.
    pub(super) fn remove(&mut self, key: &Key) {
        for layer in self.below.iter_mut().chain([&mut self.top]) {
            if layer.contains_key(key) {
                Arc::make_mut(layer).remove(key);
            }
        }
        self.below.retain(|layer| !layer.is_empty());
    }

    /// Takes out an entry of the oldest map, so that a later one of the same key comes after it. Only where nothing is
    /// shared, as above.
    pub(super) fn pop_oldest(&mut self) -> Option<(Key, Placement)> {
        let Some(oldest) = self.below.first_mut() else {
            return if self.top.is_empty() { None } else { Arc::make_mut(&mut self.top).pop_first() };
        };
        let entry = Arc::make_mut(oldest).pop_first();
        if oldest.is_empty() {
            self.below.remove(0);
        }
        entry
    }

    /// Every key with its last placement, ascending.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (Key, Placement)> + '_> {
        fn entries(layer: &Layer) -> impl Iterator<Item = (Key, Placement)> {
            layer.iter().map(|(key, placement)| (*key, *placement))
        }
        let bottom: Box<dyn Iterator<Item = _>> = Box::new(std::iter::empty());
        let layers = self.below.iter().chain([&self.top]);
        layers.fold(bottom, |under, over| Box::new(merged(under, entries(over))))
    }
}
