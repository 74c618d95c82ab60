//! One shard of the table: eight bytes an entry, eight entries a cache line.
//!
//! A slot is the 56 bits of a key that its shard does not tell, and the facts; one without facts is empty. Every key
//! may stand in two lines: in its first, or, when that was full, in its second. A look-up reads one line, and for one
//! key in eight a second one. Nothing is ever removed, so a line that was full stays full until the shard grows.

use super::key::{Fact, tail_of};

/// How many slots a cache line has.
const LINE: usize = 8;
/// More lines than a shard has when the directory is as full as it may be. It bounds what growing one takes.
const LINES_MAX: usize = 1 << 14;
/// A shard grows when so much of it is filled, and then to so much: it is five sixths full on average.
const FULL: (usize, usize) = (7, 8);
const ROOMY: (usize, usize) = (4, 5);
/// Ids that were drawn find room in a shard that is no fuller than this, unless it is very small. Ids that somebody
/// chose to meet may not, and must not make the shard grow for ever.
const SPARSE: (usize, usize) = (5, 8);
const SMALL: usize = 16;
/// How many entries may have to move for one.
const MOVES: usize = 64;
/// This bit of a slot belongs to the line: keys were sent on from here to their second line. There are eight such
/// bits, and a key asks for one of them, so that a look-up of what is not there seldom reads two lines.
const SENT_ON: u32 = 0x80;

/// There is no room for this slot, and it must stand elsewhere. It need not be the one that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom(pub(super) u64);

/// Eight slots, each in two halves, so that the processor compares four at a time.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    upper: [u32; LINE],
    lower: [u32; LINE],
}

/// Slots by key.
#[derive(Default)]
pub(super) struct Shard {
    lines: Box<[Line]>,
    len: usize,
}

impl Line {
    /// The facts of a key. Without a branch on where it is: that cannot be predicted, and a wrong guess costs more than
    /// all the comparisons.
    #[inline]
    fn find(&self, tail: u64) -> Fact {
        let (upper, lower) = halves(tail);
        let mut found = 0;
        for at in 0..LINE {
            let same = u32::from(self.upper[at] == upper) & u32::from(self.lower[at] >> 8 == lower >> 8);
            found |= self.lower[at] & same.wrapping_neg();
        }
        Fact::of_slot(u64::from(found))
    }

    fn get(&self, at: usize) -> u64 {
        u64::from(self.upper[at]) << 32 | u64::from(self.lower[at] & !SENT_ON)
    }

    fn set(&mut self, at: usize, slot: u64) {
        let (upper, lower) = halves(slot);
        self.upper[at] = upper;
        self.lower[at] = lower | self.lower[at] & SENT_ON;
    }

    fn put(&mut self, slot: u64) -> bool {
        let free = self.lower.iter().position(|lower| *lower == 0);
        if let Some(at) = free {
            self.set(at, slot);
        }
        free.is_some()
    }

    fn send_on(&mut self, slot: u64) {
        self.lower[sign(slot)] |= SENT_ON;
    }

    fn may_have_sent_on(&self, tail: u64) -> bool {
        self.lower[sign(tail)] & SENT_ON != 0
    }

    fn slots(&self) -> impl Iterator<Item = u64> {
        (0..LINE).map(|at| self.get(at)).filter(|slot| Fact::of_slot(*slot) != Fact::UNKNOWN)
    }
}

/// Which slot's sign a key asks for.
fn sign(tail: u64) -> usize {
    usize::from(tail.to_le_bytes()[1]) % LINE
}

#[expect(clippy::cast_possible_truncation, reason = "it is cut in two")]
fn halves(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

impl Shard {
    /// An empty shard with room for so many.
    pub(super) fn roomy(len: usize) -> Self {
        Self::empty(Self::roomy_lines(len))
    }

    fn roomy_lines(len: usize) -> usize {
        (len * ROOMY.1).div_ceil(LINE * ROOMY.0)
    }

    fn empty(lines: usize) -> Self {
        Self { lines: vec![Line::default(); lines.min(LINES_MAX)].into_boxed_slice(), len: 0 }
    }

    /// The facts of a key if it is where most are.
    #[inline]
    pub(super) fn find_near(&self, tail: u64) -> Fact {
        self.lines.get(self.first(tail)).map_or(Fact::UNKNOWN, |line| line.find(tail))
    }

    /// The facts of a key that is not where most are.
    pub(super) fn find_farther(&self, tail: u64) -> Fact {
        match self.lines.get(self.first(tail)) {
            Some(line) if line.may_have_sent_on(tail) => self.lines[self.second(tail)].find(tail),
            Some(_) | None => Fact::UNKNOWN,
        }
    }

    /// Sets the facts of a key that is here.
    pub(super) fn replace(&mut self, tail: u64, fact: Fact) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        for line in [self.first(tail), self.second(tail)] {
            let line = &mut self.lines[line];
            let here =
                |at: &usize| tail_of(line.get(*at)) == tail && Fact::of_slot(line.get(*at)) != Fact::UNKNOWN;
            if let Some(at) = (0..LINE).find(here) {
                line.set(at, fact.with(tail));
                return true;
            }
        }
        false
    }

    /// Adds a key that is not here.
    pub(super) fn add(&mut self, tail: u64, fact: Fact) -> Result<(), NoRoom> {
        if self.would_fill(self.len + 1, FULL) {
            self.grow();
        }
        let mut left = self.insert(fact.with(tail));
        while let Err(NoRoom(slot)) = left {
            let chosen = self.lines.len() >= SMALL && !self.would_fill(self.len, SPARSE);
            if chosen || !self.grow() {
                return Err(NoRoom(slot));
            }
            left = self.insert(slot);
        }
        self.len += 1;
        Ok(())
    }

    /// Every slot that is not empty, ascending.
    pub(super) fn ascending(&self) -> std::vec::IntoIter<u64> {
        let mut slots = Vec::with_capacity(self.len);
        slots.extend(self.slots());
        slots.sort_unstable();
        slots.into_iter()
    }

    fn slots(&self) -> impl Iterator<Item = u64> {
        self.lines.iter().flat_map(Line::slots)
    }

    fn would_fill(&self, len: usize, part: (usize, usize)) -> bool {
        len * part.1 > self.lines.len() * LINE * part.0
    }

    /// Puts a slot where there is room. Where there is none it takes the place of another, which goes to the other
    /// of its lines, and so on (Pagh and Rodler, "Cuckoo hashing", 2001).
    fn insert(&mut self, mut slot: u64) -> Result<(), NoRoom> {
        if self.lines.is_empty() {
            return Err(NoRoom(slot));
        }
        if self.put_first(slot) {
            return Ok(());
        }
        let mut line = self.second(slot);
        for turn in 0..MOVES {
            let first = self.first(slot);
            if line != first {
                self.lines[first].send_on(slot);
            }
            if self.lines[line].put(slot) {
                return Ok(());
            }
            let other = self.lines[line].get(turn % LINE);
            self.lines[line].set(turn % LINE, slot);
            line ^= self.first(other) ^ self.second(other);
            slot = other;
        }
        Err(NoRoom(slot))
    }

    fn put_first(&mut self, slot: u64) -> bool {
        let first = self.first(slot);
        self.lines[first].put(slot)
    }

    /// Moves everything to a shard with room for more, unless it is as large as a shard may be.
    fn grow(&mut self) -> bool {
        let mut lines = Self::roomy_lines(self.len + 1).max(self.lines.len() + 1);
        while lines <= LINES_MAX {
            let mut larger = Self::empty(lines);
            // First everybody who finds room in the first line, so that the fewest stand in their second.
            let late: Vec<u64> = self.slots().filter(|slot| !larger.put_first(*slot)).collect();
            if late.into_iter().all(|slot| larger.insert(slot).is_ok()) {
                larger.len = self.len;
                *self = larger;
                return true;
            }
            lines += lines / 16 + 1;
        }
        false
    }

    /// The line in which a key stands unless it was full.
    #[inline]
    fn first(&self, tail: u64) -> usize {
        share(tail_of(tail), self.lines.len())
    }

    /// The other line in which a key may stand.
    fn second(&self, tail: u64) -> usize {
        share(tail_of(tail).wrapping_mul(0x9fb2_1c65_1e98_df25), self.lines.len())
    }
}

#[inline]
fn share(bits: u64, lines: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "below the number of lines")]
    let line = ((u128::from(bits) * lines as u128) >> 64) as usize;
    line
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Find = fn(&Shard, u64) -> Fact;

    fn find(shard: &Shard, tail: u64) -> Fact {
        Some(shard.find_near(tail))
            .filter(|fact| *fact != Fact::UNKNOWN)
            .unwrap_or_else(|| shard.find_farther(tail))
    }

    /// A key like those of drawn ids, or one of few upper halves, so that keys meet.
    fn tails() -> impl Strategy<Value = Vec<u64>> {
        let drawn = any::<u64>().prop_map(tail_of);
        let alike = (0..4_u64, 0..300_u64).prop_map(|(upper, lower)| upper << 62 | lower << 8);
        prop::collection::vec(prop_oneof![4 => drawn, 1 => alike], 0..1_500)
    }

    /// Whether a search finds what is in the shard, and in what found no room in it, and nothing else.
    fn finds(tails: &[u64], find: Find) -> bool {
        let (mut shard, mut left, mut model) = (Shard::default(), BTreeMap::new(), BTreeMap::new());
        for (tail, fact) in tails.iter().zip((1..100).map(Fact::of_slot).cycle()) {
            let known = model.insert(*tail, fact).is_some();
            if shard.replace(*tail, fact) {
                if !known {
                    return false;
                }
            } else if known {
                left.insert(*tail, fact);
            } else if let Err(NoRoom(slot)) = shard.add(*tail, fact) {
                left.insert(tail_of(slot), Fact::of_slot(slot));
            }
        }
        let here = |tail: u64| left.get(&tail).copied().unwrap_or_else(|| find(&shard, tail));
        let others = model.keys().map(|tail| tail ^ 0x100).filter(|tail| !model.contains_key(tail));
        shard.ascending().is_sorted()
            && shard.ascending().len() + left.len() == model.len()
            && model.iter().all(|(tail, fact)| here(*tail) == *fact)
            && others.into_iter().all(|tail| here(tail) == Fact::UNKNOWN)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_in_a_shard_is_found_and_nothing_else(tails in tails()) {
            prop_assert!(finds(&tails, find));
        }
    }

    /// The controls: searches with a mistake each.
    #[test]
    fn a_planted_mistake_is_caught() {
        let upper_half_only: Find = |shard, tail| {
            let upper = halves(tail).0;
            let alike = shard.slots().find(|slot| halves(*slot).0 == upper);
            alike.map_or(Fact::UNKNOWN, Fact::of_slot)
        };
        let mut state = 7_u64;
        let mut draw = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            tail_of(state ^ state >> 29)
        };
        let drawn: Vec<u64> = (0..1_000).map(|_| draw()).collect();
        let alike: Vec<u64> = (0..100).map(|lower| lower << 8).collect();
        assert!(finds(&drawn, find) && finds(&alike, find), "without it they are right");
        assert!(!finds(&drawn, Shard::find_near), "no second line");
        assert!(!finds(&alike, upper_half_only), "half of the key");
    }
}
