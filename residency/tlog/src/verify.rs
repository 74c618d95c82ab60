//! Verifying proofs against roots.

use crate::SIZE_MAX;
use crate::hash::{EMPTY_ROOT, Hash, node_hash};

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf's index is not below the tree's size.
    #[error("leaf {index} is not in a tree of {size}")]
    NotInTree {
        /// The leaf.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The tree that should be the older one is the larger one.
    #[error("a tree of {old} is not older than one of {new}")]
    Shrunk {
        /// The size that is said to be older.
        old: u64,
        /// The size that is said to be newer.
        new: u64,
    },
    /// A size above [`SIZE_MAX`].
    #[error("a tree of {0} is too large")]
    TooLarge(u64),
    /// The proof has another number of hashes than such a proof must have.
    #[error("a proof of {hashes} hashes, which is not how many it takes")]
    Length {
        /// How many were given.
        hashes: usize,
    },
    /// What the proof gives is not the older tree's root.
    #[error("the proof gives another root for the older tree")]
    OldRoot,
    /// What the proof gives is not the tree's root.
    #[error("the proof gives another root")]
    Root,
}

/// Verifies that the leaf with this hash is the `index`-th of the tree of `size` leaves with this root (RFC 9162
/// section 2.1.3.2).
///
/// # Errors
/// When the proof does not show it.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if size > SIZE_MAX {
        return Err(ProofError::TooLarge(size));
    }
    if index >= size {
        return Err(ProofError::NotInTree { index, size });
    }
    let length = ProofError::Length { hashes: proof.len() };
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(length);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Verifies that the tree of `new` leaves with root `new_root` begins with the tree of `old` leaves with root `old_root`
/// (RFC 9162 section 2.1.4.2). A tree of no leaves begins every tree, and equal sizes must have equal roots; both need an
/// empty proof, as C2SP tlog-witness says.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if new > SIZE_MAX {
        return Err(ProofError::TooLarge(new));
    }
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    let length = ProofError::Length { hashes: proof.len() };
    if old == 0 && *old_root != EMPTY_ROOT {
        return Err(ProofError::OldRoot);
    }
    if new == 0 && *new_root != EMPTY_ROOT {
        return Err(ProofError::Root);
    }
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(length);
        }
        return if old == new && old_root != new_root { Err(ProofError::Root) } else { Ok(()) };
    }
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    // An older tree that is one complete subtree is where the proof starts, and is not repeated in it.
    let (first, rest) =
        if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(length)? };
    let (mut older, mut newer) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(length);
        }
        if at & 1 == 1 || at == last {
            older = node_hash(sibling, &older);
            newer = node_hash(sibling, &newer);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            newer = node_hash(&newer, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if older != *old_root {
        return Err(ProofError::OldRoot);
    }
    if newer == *new_root { Ok(()) } else { Err(ProofError::Root) }
}
