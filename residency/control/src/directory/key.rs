//! What the directory keeps of an id: 68 bits that follow from all 128.

use residency_policy::{Home, Jurisdiction, PatientId, Region};

/// 2^128 divided by the golden ratio, made odd. Multiplying by an odd number loses nothing, and the upper bits of the
/// product depend on every bit of the id: ids that differ in one place only, as tests make them, have different keys.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// How many shards a table has. A key's upper bits are its shard, and are not stored again.
pub(super) const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 12;
const TAIL_BITS: u32 = 56;
/// In a slot the facts stand below the tail.
const FACT_BITS: u32 = 8;

/// What is known of an id. Two known ids never have the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Below 4,096.
    shard: u16,
    /// 56 bits, in the upper part of the word; the lower part is 0.
    tail: u64,
}

impl Key {
    /// How many bytes a key takes in a snapshot.
    pub(crate) const LEN: usize = 9;

    /// The key of an id.
    pub fn of(id: PatientId) -> Self {
        let spread = u128::from_be_bytes(id.to_bytes()).wrapping_mul(SPREAD);
        Self::from_bits(spread >> (128 - SHARD_BITS - TAIL_BITS))
    }

    fn from_bits(bits: u128) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the shard has 12 bits, and the tail is cut on purpose"
        )]
        Self { shard: (bits >> TAIL_BITS) as u16, tail: (bits as u64) << FACT_BITS }
    }

    /// The key as a snapshot has it: greater bytes for a greater key.
    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let bits = u128::from(self.shard) << TAIL_BITS | u128::from(self.tail >> FACT_BITS);
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(&bits.to_be_bytes()[16 - Self::LEN..]);
        bytes
    }

    /// The key that a snapshot has; nothing if these bytes are none.
    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        let mut wide = [0; 16];
        wide[16 - Self::LEN..].copy_from_slice(&bytes);
        let bits = u128::from_be_bytes(wide);
        (bits >> (SHARD_BITS + TAIL_BITS) == 0).then(|| Self::from_bits(bits))
    }

    /// The key in a shard's slot.
    pub(super) fn in_shard(shard: usize, slot: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "below 4,096")]
        Self { shard: shard as u16, tail: tail_of(slot) }
    }

    #[inline]
    pub(super) fn shard(self) -> usize {
        // The remainder changes nothing. With it, the compiler knows as well.
        usize::from(self.shard) % SHARDS
    }

    #[inline]
    pub(super) fn tail(self) -> u64 {
        self.tail
    }
}

/// A slot without its facts.
#[inline]
pub(super) fn tail_of(slot: u64) -> u64 {
    slot >> FACT_BITS << FACT_BITS
}

/// What the directory says of a key, in seven bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fact(u8);

impl Fact {
    /// Nothing.
    pub(super) const UNKNOWN: Self = Self(0);
    /// No longer as it was claimed: retired, or at a later epoch. The rest stands beside the table.
    pub(super) const CHANGED: Self = Self(0x7f);

    /// As it was claimed: at this home, at the first epoch, active.
    pub(super) fn at(Home(Region(place)): Home) -> Self {
        Self(place.index() + 1)
    }

    /// The facts in a slot, or in the lower half of one.
    #[inline]
    pub(super) fn of_slot(slot: u64) -> Self {
        Self(slot.to_le_bytes()[0] & 0x7f)
    }

    /// A slot with this tail and these facts.
    pub(super) fn with(self, tail: u64) -> u64 {
        tail | u64::from(self.0)
    }

    /// The home of what is as it was claimed.
    #[inline]
    pub(super) fn home(self) -> Option<Home> {
        let place = Jurisdiction::from_index(self.0.checked_sub(1)?).ok()?;
        Some(Home(Region(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bits: u128) -> PatientId {
        PatientId::from_bytes(bits.to_be_bytes())
    }

    #[test]
    fn a_key_survives_bytes_and_keeps_its_order() {
        let keys: Vec<Key> = (0..2_000).map(|n| Key::of(id(n * 0x1_0001_0001_0001))).collect();
        for pair in keys.windows(2) {
            assert_eq!(Key::from_bytes(pair[0].to_bytes()), Some(pair[0]));
            assert_eq!(pair[0].cmp(&pair[1]), pair[0].to_bytes().cmp(&pair[1].to_bytes()));
        }
        assert_eq!(Key::from_bytes([0xff; Key::LEN]), None, "more than 68 bits");
    }

    #[test]
    fn every_bit_of_an_id_counts() {
        for bits in [0, u128::MAX, 0x0123_4567_89ab_4def_8123_4567_89ab_cdef] {
            let mut keys: Vec<Key> = (0..128).map(|bit| Key::of(id(bits ^ (1 << bit)))).collect();
            keys.push(Key::of(id(bits)));
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), 129);
        }
    }

    #[test]
    fn every_home_has_a_fact_of_its_own() {
        for place in Jurisdiction::all() {
            let home = Home(Region(place));
            assert_eq!(Fact::of_slot(Fact::at(home).with(0xab00)).home(), Some(home));
            assert!(![Fact::UNKNOWN, Fact::CHANGED].contains(&Fact::at(home)));
        }
        assert_eq!(Fact::UNKNOWN.home().or(Fact::CHANGED.home()), None);
    }
}
