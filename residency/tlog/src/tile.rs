//! Tiles: the hashes of a tree, 256 to a file (C2SP tlog-tiles).

use crate::bundle::Bundle;
use crate::edge::{Edge, Node};
use crate::hash::{HASH_BYTES, Hash};
use crate::malformed::{Malformed, Wrong};

/// How many hashes a full tile has.
pub const TILE_WIDTH: u16 = 256;
/// How many bytes a full tile has.
pub const TILE_BYTES: usize = TILE_WIDTH as usize * HASH_BYTES;
/// A tile's hash covers this many levels of the tree below it, in bits of an index.
pub(crate) const TILE_HEIGHT: u8 = 8;
/// Levels that a tree of at most [`crate::SIZE_MAX`] leaves has.
pub(crate) const LEVELS: u8 = 8;

/// Which tile: at `level`, the `index`-th from the left, with the first `width` of its hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// 0 holds hashes of leaves; a hash at level `n` covers `256^n` leaves.
    pub level: u8,
    /// Which one of its level, from the left.
    pub index: u64,
    /// How many hashes, 1 to 256. Below 256 it is a partial tile, which a larger tree replaces.
    pub width: u16,
}

impl Tile {
    /// Whether it has all of its hashes, so that it never changes again.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        usize::from(self.width) * HASH_BYTES
    }

    /// The tile of a tree of `size` leaves that holds what makes this node; `None` when the tree has no such node yet.
    pub fn holding(node: Node, size: u64) -> Option<Self> {
        let (level, first, count) = within(node)?;
        let there = hashes_at(level, size);
        let index = first / u64::from(TILE_WIDTH);
        if first.checked_add(count)? > there {
            return None;
        }
        Some(Self { level, index, width: width_of(index, there)? })
    }

    /// The partial tiles of a tree of `size` leaves, lowest level first: what [`crate::GrowingTree::resume`] reads.
    pub fn right_edge(size: u64) -> Vec<Self> {
        let at = |level| {
            let there = hashes_at(level, size);
            let index = there / u64::from(TILE_WIDTH);
            Some(Self { level, index, width: width_of(index, there)? })
        };
        (0..LEVELS).filter_map(at).collect()
    }
}

/// Level, number of the first hash at that level, and how many hashes make up the node.
fn within(node: Node) -> Option<(u8, u64, u64)> {
    let level = node.height / TILE_HEIGHT;
    let below = node.height % TILE_HEIGHT;
    let first = node.index.checked_mul(1 << below)?;
    (level < LEVELS).then_some((level, first, 1 << below))
}

/// Which hashes of the tile that holds a node make it up.
pub(crate) fn within_tile(node: Node) -> Option<std::ops::Range<usize>> {
    let (_, first, count) = within(node)?;
    let first = usize::try_from(first % u64::from(TILE_WIDTH)).ok()?;
    let count = usize::try_from(count).ok()?;
    Some(first..first + count)
}

/// How many hashes a level has in a tree of `size` leaves.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(TILE_HEIGHT) * u32::from(level)).unwrap_or(0)
}

/// The width of a level's tile when the level has `there` hashes.
fn width_of(index: u64, there: u64) -> Option<u16> {
    let before = index.checked_mul(u64::from(TILE_WIDTH))?;
    let width = there.checked_sub(before)?.min(u64::from(TILE_WIDTH));
    u16::try_from(width).ok().filter(|width| *width > 0)
}

/// Tiles that a tree of `new` leaves has and one of `old` leaves had not, level by level from the left. Nothing when it did
/// not grow.
pub fn new_tiles(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| {
        grown(hashes_at(level, old), hashes_at(level, new)).map(move |(index, width)| Tile {
            level,
            index,
            width,
        })
    })
}

/// All tiles of a tree.
pub fn tiles_of(size: u64) -> impl Iterator<Item = Tile> {
    new_tiles(0, size)
}

/// Bundles of entries that a log of `new` entries has and one of `old` entries had not.
pub fn new_bundles(old: u64, new: u64) -> impl Iterator<Item = Bundle> {
    grown(old, new).map(|(index, width)| Bundle { index, width })
}

/// Index and width of what changes at a level that grows.
fn grown(old: u64, new: u64) -> impl Iterator<Item = (u64, u16)> {
    let wide = u64::from(TILE_WIDTH);
    let end = if new > old { new.div_ceil(wide) } else { 0 };
    (old / wide..end).filter_map(move |index| Some((index, width_of(index, new)?)))
}

/// The hashes in a tile's bytes.
///
/// # Errors
/// When they are not as many as its width says.
pub fn read_tile(tile: Tile, bytes: &[u8]) -> Result<Vec<Hash>, Malformed> {
    let want = tile.bytes();
    if bytes.len() < want {
        return Err(Malformed::byte(bytes.len(), Wrong::TooShort));
    }
    if bytes.len() > want {
        return Err(Malformed::byte(want, Wrong::Trailing));
    }
    Ok(bytes.chunks_exact(HASH_BYTES).filter_map(Hash::from_slice).collect())
}

/// The root over a tile's hashes. That of a full tile is the hash at the level above.
pub fn tile_root(hashes: &[Hash]) -> Hash {
    let mut edge = Edge::new();
    for hash in hashes {
        edge.append(*hash);
    }
    edge.root()
}
