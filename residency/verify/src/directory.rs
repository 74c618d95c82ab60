//! Who lives where, as the replicated log says it.
//!
//! A snapshot keeps 68 bits of an id that is as it was claimed, and whole ids of the others; so does this.

use std::collections::{BTreeSet, HashMap};

/// A patient's id.
pub type Id = [u8; 16];

/// 2^128 divided by the golden ratio, made odd, and how much of the product is kept.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
const KEPT_BITS: u32 = 68;

/// Where a patient lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The index of the home's jurisdiction.
    pub home: u8,
    /// The version of the placement.
    pub epoch: u32,
    /// Whether the id was retired.
    pub retired: bool,
}

/// A version of rules or of access policies, as it was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its number.
    pub version: u64,
    /// SHA-256 of what it is.
    pub digest: [u8; 32],
    /// Ed25519.
    pub signature: [u8; 64],
}

/// What follows from the commands, as far as residency goes.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    claimed: HashMap<u128, u8>,
    changed: HashMap<Id, Placed>,
    regions: BTreeSet<u8>,
    /// Every version of the rules that was put in force since the snapshot, and the one that is in it.
    pub rules: Vec<PolicyVersion>,
    /// The same of the access policies.
    pub access: Vec<PolicyVersion>,
}

/// What is kept of an id.
pub fn kept(id: &Id) -> u128 {
    u128::from_be_bytes(*id).wrapping_mul(SPREAD) >> (128 - KEPT_BITS)
}

impl Directory {
    /// Where somebody lives.
    pub fn get(&self, id: &Id) -> Option<Placed> {
        let as_claimed =
            || self.claimed.get(&kept(id)).map(|home| Placed { home: *home, epoch: 1, retired: false });
        self.changed.get(id).copied().or_else(as_claimed)
    }

    /// How many ids are known.
    pub fn len(&self) -> usize {
        self.claimed.len() + self.changed.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A region was added.
    pub fn add_region(&mut self, region: u8) {
        self.regions.insert(region);
    }

    /// A line of a snapshot: as it was claimed.
    pub fn put_claimed(&mut self, key: u128, home: u8) {
        self.claimed.insert(key, home);
    }

    /// A line of a snapshot: no longer as it was claimed.
    pub fn put_changed(&mut self, id: Id, placed: Placed) {
        self.changed.insert(id, placed);
    }

    /// Ids are claimed: all or none.
    pub fn claim(&mut self, region: u8, ids: &[Id]) {
        if self.regions.contains(&region) && ids.iter().all(|id| self.get(id).is_none()) {
            self.claimed.extend(ids.iter().map(|id| (kept(id), region)));
        }
    }

    /// An id is retired, if its epoch is the expected one.
    pub fn retire(&mut self, id: Id, expected: u32) {
        let Some(present) = self.get(&id).filter(|present| present.epoch == expected) else { return };
        if let Some(epoch) = expected.checked_add(1) {
            self.claimed.remove(&kept(&id));
            self.changed.insert(id, Placed { epoch, retired: true, ..present });
        }
    }

    /// Rules, or access policies, are put in force: the next version only.
    pub fn put_policy(&mut self, access: bool, policy: PolicyVersion) {
        let all = if access { &mut self.access } else { &mut self.rules };
        let next = match all.last() {
            Some(present) => present.version.checked_add(1),
            None => Some(if access { 1 } else { policy.version }),
        };
        if next == Some(policy.version) {
            all.push(policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_whole_or_nothing_and_a_retired_id_has_the_next_epoch() {
        let mut all = Directory::default();
        all.claim(4, &[[1; 16]]);
        assert!(all.is_empty(), "of a region that is not known");
        all.add_region(4);
        all.claim(4, &[[1; 16], [2; 16]]);
        all.claim(4, &[[2; 16], [3; 16]]);
        assert_eq!((all.len(), all.get(&[3; 16])), (2, None));
        all.retire([1; 16], 2);
        assert_eq!(all.get(&[1; 16]).map(|one| one.epoch), Some(1));
        all.retire([1; 16], 1);
        assert_eq!(all.get(&[1; 16]), Some(Placed { home: 4, epoch: 2, retired: true }));
        assert_eq!(all.len(), 2);
    }
}
