//! Repeatable draws.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use residency_policy::Jurisdiction;

/// What a stream of draws is for. Streams are independent, so a new use does not change what older ones give.
#[derive(Clone, Copy)]
pub(crate) enum For {
    Person,
    Roles,
    NearDuplicate,
    Encounter,
    Provider,
}

/// A stream of draws. `rand`'s own distributions may change between its versions; these do not.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64, jurisdiction: Option<Jurisdiction>, what: For, index: usize) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..13].copy_from_slice(jurisdiction.map_or("world", Jurisdiction::code).as_bytes());
        key[31] = what as u8;
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_stream(index as u64);
        Self(stream)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        let scaled = (u64::from(self.0.next_u32()) * u64::from(end)) >> 32;
        u32::try_from(scaled).unwrap_or(0)
    }

    /// Sixteen bytes, for an id.
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A place in a list of `len` things.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(u32::try_from(len).unwrap_or(u32::MAX)) as usize
    }

    /// One of some things.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// One of some things, the likelier the greater its weight.
    pub(crate) fn weighed<'a, T>(&mut self, from: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
        let mut left = self.below(from.iter().map(&weight).sum());
        from.iter()
            .find(|one| {
                let here = weight(one);
                let found = left < here;
                left = left.saturating_sub(here);
                found
            })
            .unwrap_or(&from[0])
    }

    /// Whether something happens that happens this often in a thousand.
    pub(crate) fn happens(&mut self, per_thousand: u32) -> bool {
        self.below(1_000) < per_thousand
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_below_their_end_and_reach_all_of_it() {
        let mut draw = Draw::new(1, None, For::Person, 0);
        let mut seen = [0u32; 7];
        for _ in 0..7_000 {
            seen[draw.index(7)] += 1;
        }
        assert!(seen.iter().all(|n| (800..1_200).contains(n)), "{seen:?}");
    }

    #[test]
    fn weights_are_kept() {
        let mut draw = Draw::new(1, None, For::Person, 0);
        let often = (0..4_000).filter(|_| *draw.weighed(&[1, 3, 0], |w| *w) == 3).count();
        assert!((2_850..3_150).contains(&often), "{often}");
    }
}
