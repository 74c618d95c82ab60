//! The right edge of a tree: all that is needed to append to it and to know its root.

use crate::SIZE_MAX;
use crate::hash::{EMPTY_ROOT, Hash, node_hash};

/// A complete subtree: `2^height` leaves from `index * 2^height` on. Its hash never changes as the tree grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// How far above the leaves; 0 is a leaf.
    pub height: u8,
    /// Which one of its height, from the left.
    pub index: u64,
}

/// The hashes are not as many as a tree of that size has complete subtrees at its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves does not have {hashes} hashes at its edge")]
pub struct NotAnEdge {
    /// The size that was said.
    pub size: u64,
    /// The hashes that were given.
    pub hashes: usize,
}

/// The complete subtrees that a tree of some size is made of, largest first: as many as its size has ones in binary.
/// Appending hashes two nodes a leaf on average and allocates nothing.
#[derive(Clone)]
pub struct Edge {
    size: u64,
    hashes: [Hash; 64],
}

impl Default for Edge {
    fn default() -> Self {
        Self::new()
    }
}

impl Edge {
    /// The edge of the tree without leaves.
    pub fn new() -> Self {
        Self { size: 0, hashes: [EMPTY_ROOT; 64] }
    }

    /// The edge that was kept as [`Edge::hashes`].
    ///
    /// # Errors
    /// When the size is above [`SIZE_MAX`] or has another number of complete subtrees. Whether the hashes are right shows
    /// only by [`Edge::root`].
    pub fn from_hashes(size: u64, hashes: &[Hash]) -> Result<Self, NotAnEdge> {
        let mut edge = Self::new();
        let known = hashes.len() == size.count_ones() as usize && size <= SIZE_MAX;
        match edge.hashes.get_mut(..hashes.len()) {
            Some(room) if known => room.copy_from_slice(hashes),
            _ => return Err(NotAnEdge { size, hashes: hashes.len() }),
        }
        edge.size = size;
        Ok(edge)
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the complete subtrees, largest first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes[..self.size.count_ones() as usize]
    }

    /// Appends a leaf by its hash.
    #[inline]
    pub fn append(&mut self, leaf: Hash) {
        self.append_each(leaf, |_, _| {});
    }

    /// Appends a leaf by its hash and tells every subtree that it completes, from the leaf upwards.
    #[inline]
    pub fn append_each(&mut self, leaf: Hash, mut each: impl FnMut(Node, Hash)) {
        let mut last = self.size.count_ones() as usize;
        let mut node = Node { height: 0, index: self.size };
        let mut hash = leaf;
        each(node, hash);
        while node.index & 1 == 1 {
            last -= 1;
            hash = node_hash(&self.hashes[last], &hash);
            node = Node { height: node.height + 1, index: node.index >> 1 };
            each(node, hash);
        }
        self.hashes[last] = hash;
        self.size += 1;
    }

    /// The root of the tree (RFC 6962 section 2.1).
    pub fn root(&self) -> Hash {
        let (last, rest) = match self.hashes().split_last() {
            Some((last, rest)) => (*last, rest),
            None => return EMPTY_ROOT,
        };
        rest.iter().rev().fold(last, |right, left| node_hash(left, &right))
    }
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("size", &self.size).field("hashes", &self.hashes()).finish()
    }
}
