//! A sorted map whose clones share what neither side has changed since.
//!
//! It is cut into sheets of a hundred lines or so. Whoever changes a line while a clone is alive copies its sheet and
//! the list of sheets, where a `BTreeMap` behind an `Arc` would be copied whole: of a million lines, while everybody
//! waits.

use std::fmt;
use std::sync::Arc;

/// A sheet that has so many lines is cut in two.
const LINES_MAX: usize = 128;

/// Key -> value, ascending.
#[derive(Clone)]
pub struct Sheets<K, V> {
    sheets: Vec<Sheet<K, V>>,
    len: usize,
}

#[derive(Clone)]
struct Sheet<K, V> {
    /// The least key that belongs here: what is looked for is compared with these, which lie side by side.
    first: K,
    lines: Arc<Vec<(K, V)>>,
}

impl<K, V> Default for Sheets<K, V> {
    fn default() -> Self {
        Self { sheets: Vec::new(), len: 0 }
    }
}

impl<K: Copy + Ord, V: Clone> Sheets<K, V> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let lines = &self.sheets.get(self.sheet_of(key))?.lines;
        let at = place(lines, key).ok()?;
        Some(&lines[at].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let sheet = self.sheet_of(key);
        let lines = &mut self.sheets.get_mut(sheet)?.lines;
        let at = place(lines, key).ok()?;
        Some(&mut Arc::make_mut(lines)[at].1)
    }

    /// Whether there is such a key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Sets the value of a key, and gives back the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let number = self.sheet_of(&key);
        let Some(sheet) = self.sheets.get_mut(number) else {
            self.sheets.push(Sheet { first: key, lines: Arc::new(vec![(key, value)]) });
            self.len = 1;
            return None;
        };
        sheet.first = sheet.first.min(key);
        let lines = Arc::make_mut(&mut sheet.lines);
        match place(lines, &key) {
            Ok(at) => return Some(std::mem::replace(&mut lines[at].1, value)),
            Err(at) => lines.insert(at, (key, value)),
        }
        self.len += 1;
        if lines.len() >= LINES_MAX {
            let rest = lines.split_off(LINES_MAX / 2);
            let rest = Sheet { first: rest[0].0, lines: Arc::new(rest) };
            self.sheets.insert(number + 1, rest);
        }
        None
    }

    /// Removes a key, and gives back its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let number = self.sheet_of(key);
        let sheet = self.sheets.get_mut(number)?;
        let at = place(&sheet.lines, key).ok()?;
        let (_, value) = Arc::make_mut(&mut sheet.lines).remove(at);
        if sheet.lines.is_empty() {
            self.sheets.remove(number);
        }
        self.len -= 1;
        Some(value)
    }

    /// Everything, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.sheets.iter().flat_map(|sheet| sheet.lines.iter()).map(|(key, value)| (key, value))
    }

    /// From this key on, ascending.
    pub fn iter_from<'a>(&'a self, key: &K) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let number = self.sheet_of(key);
        let skip = self.sheets.get(number).map_or(0, |sheet| place(&sheet.lines, key).unwrap_or_else(|at| at));
        let sheets = self.sheets.get(number..).unwrap_or_default();
        sheets.iter().flat_map(|sheet| sheet.lines.iter()).skip(skip).map(|(key, value)| (key, value))
    }

    /// The keys, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Where a key is or belongs.
    fn sheet_of(&self, key: &K) -> usize {
        self.sheets.partition_point(|sheet| sheet.first <= *key).saturating_sub(1)
    }
}

fn place<K: Ord, V>(lines: &[(K, V)], key: &K) -> Result<usize, usize> {
    lines.binary_search_by(|(there, _)| there.cmp(key))
}

impl<K: Copy + Ord, V: Clone> Extend<(K, V)> for Sheets<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, lines: I) {
        for (key, value) in lines {
            self.insert(key, value);
        }
    }
}

impl<K: Copy + Ord, V: Clone> FromIterator<(K, V)> for Sheets<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(lines: I) -> Self {
        let mut all = Self::default();
        all.extend(lines);
        all
    }
}

/// However they were cut.
impl<K: Copy + Ord, V: Clone + PartialEq> PartialEq for Sheets<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Copy + Ord, V: Clone + Eq> Eq for Sheets<K, V> {}

impl<K: Copy + Ord + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for Sheets<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Act {
        Insert(u16, u8),
        Remove(u16),
        Change(u16, u8),
        Clone,
        Forget,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let key = 0..900_u16;
        let act = prop_oneof![
            8 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Act::Insert(key, value)),
            3 => key.clone().prop_map(Act::Remove),
            2 => (key, any::<u8>()).prop_map(|(key, value)| Act::Change(key, value)),
            1 => Just(Act::Clone),
            1 => Just(Act::Forget),
        ];
        prop::collection::vec(act, 0..1_500)
    }

    fn same(sheets: &Sheets<u16, u8>, model: &BTreeMap<u16, u8>) -> bool {
        let from = |key: u16| sheets.iter_from(&key).eq(model.range(key..));
        sheets.len() == model.len()
            && sheets.iter().eq(model.iter())
            && [0, 1, 449, 899, 1_000].into_iter().all(from)
            && (0..900).all(|key| sheets.get(&key) == model.get(&key))
    }

    /// Whether the sheets do what a map does, and every clone stays what it was.
    fn is_a_map(acts: &[Act], insert: fn(&mut Sheets<u16, u8>, u16, u8) -> Option<u8>) -> bool {
        let (mut sheets, mut model) = (Sheets::default(), BTreeMap::new());
        let mut clones: Vec<(Sheets<u16, u8>, BTreeMap<u16, u8>)> = Vec::new();
        for act in acts {
            let right = match *act {
                Act::Insert(key, value) => insert(&mut sheets, key, value) == model.insert(key, value),
                Act::Remove(key) => sheets.remove(&key) == model.remove(&key),
                Act::Change(key, value) => {
                    let there = sheets.get_mut(&key).map(|there| std::mem::replace(there, value));
                    there == model.get_mut(&key).map(|there| std::mem::replace(there, value))
                }
                Act::Clone => {
                    clones.push((sheets.clone(), model.clone()));
                    true
                }
                Act::Forget => {
                    clones.clear();
                    true
                }
            };
            if !right {
                return false;
            }
        }
        clones.push((sheets, model));
        clones.iter().all(|(sheets, model)| same(sheets, model))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn they_do_what_a_map_does_and_clones_stay_what_they_were(acts in acts()) {
            prop_assert!(is_a_map(&acts, Sheets::insert));
        }
    }

    /// The control: an insert that forgets to note the least key of a sheet.
    #[test]
    fn a_planted_mistake_is_caught() {
        let planted = |sheets: &mut Sheets<u16, u8>, key, value| {
            let past = sheets.insert(key, value);
            for sheet in &mut sheets.sheets {
                sheet.first = sheet.first.max(100);
            }
            past
        };
        let acts: Vec<Act> = (0..900).rev().map(|key| Act::Insert(key, 1)).collect();
        assert!(is_a_map(&acts, Sheets::insert), "without it they are right");
        assert!(!is_a_map(&acts, planted));
    }
}
