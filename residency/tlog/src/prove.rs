//! Making proofs from tiles.

use crate::edge::Node;
use crate::hash::{EMPTY_ROOT, Hash, node_hash};
use crate::malformed::Malformed;
use crate::tile::{Tile, read_tile, tile_root, within_tile};

/// Where the hashes of complete subtrees come from.
pub trait ReadNodes {
    /// Why one could not be read.
    type Error;

    /// The hash of a complete subtree.
    fn node(&mut self, node: Node) -> Result<Hash, Self::Error>;
}

/// Why a proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// No tree of that size has such a leaf, or begins with a tree of the other size.
    #[error("{asked} is not in a tree of {size}")]
    NotInTree {
        /// The leaf's index, or the older size.
        asked: u64,
        /// The tree's size.
        size: u64,
    },
    /// A tile that has not the bytes that its width says.
    #[error("tile {}: {why}", crate::Resource::Tile(*tile))]
    Tile {
        /// Which.
        tile: Tile,
        /// What is wrong with it.
        why: Malformed,
    },
    /// What the reader said.
    #[error("a tile could not be read")]
    Read(#[source] E),
}

/// Complete subtrees read from the tiles of one tree. Each tile is asked for once.
pub struct TileNodes<F> {
    size: u64,
    read: F,
    held: Vec<(Tile, Vec<Hash>)>,
}

impl<F> TileNodes<F> {
    /// Reads from the tiles of the tree of `size` leaves. `read` is given a tile and answers its bytes, as many as the tile's
    /// width says: a partial tile that is gone is the beginning of the full one.
    pub fn new<E>(size: u64, read: F) -> Self
    where
        F: FnMut(Tile) -> Result<Vec<u8>, E>,
    {
        Self { size, read, held: Vec::new() }
    }
}

impl<E, F: FnMut(Tile) -> Result<Vec<u8>, E>> ReadNodes for TileNodes<F> {
    type Error = ProveError<E>;

    fn node(&mut self, node: Node) -> Result<Hash, ProveError<E>> {
        let missing = ProveError::NotInTree { asked: node.index, size: self.size };
        let (Some(tile), Some(range)) = (Tile::holding(node, self.size), within_tile(node)) else {
            return Err(missing);
        };
        let held = match self.held.iter().position(|(held, _)| *held == tile) {
            Some(at) => at,
            None => {
                let bytes = (self.read)(tile).map_err(ProveError::Read)?;
                let hashes = read_tile(tile, &bytes).map_err(|why| ProveError::Tile { tile, why })?;
                self.held.push((tile, hashes));
                self.held.len() - 1
            }
        };
        let hashes = self.held.get(held).and_then(|(_, hashes)| hashes.get(range));
        hashes.map(tile_root).ok_or(missing)
    }
}

/// A run of leaves of which a proof gives one hash: `[first, end)`.
type Run = (u64, u64);

/// The largest power of two below a number above 1.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// RFC 6962 section 2.1.1, the leaf's sibling first.
fn inclusion_runs(index: u64, size: u64) -> Option<Vec<Run>> {
    let (mut first, mut end) = (0, size);
    let mut runs = Vec::new();
    if index >= size {
        return None;
    }
    while end - first > 1 {
        let middle = first + split(end - first);
        if index < middle {
            runs.push((middle, end));
            end = middle;
        } else {
            runs.push((first, middle));
            first = middle;
        }
    }
    runs.reverse();
    Some(runs)
}

/// RFC 6962 section 2.1.2. Nothing for sizes of which verification needs nothing: 0, and equal ones.
fn consistency_runs(old: u64, new: u64) -> Option<Vec<Run>> {
    let (mut first, mut end, mut known) = (0, new, true);
    let mut runs = Vec::new();
    if old > new {
        return None;
    }
    if old == 0 {
        return Some(runs);
    }
    while old != end {
        let middle = first + split(end - first);
        if old <= middle {
            runs.push((middle, end));
            end = middle;
        } else {
            runs.push((first, middle));
            first = middle;
            known = false;
        }
    }
    if !known {
        runs.push((first, end));
    }
    runs.reverse();
    Some(runs)
}

/// The complete subtrees that a run of a tree consists of, largest first.
fn nodes_of((mut first, end): Run) -> impl Iterator<Item = Node> {
    std::iter::from_fn(move || {
        let left = end.checked_sub(first).filter(|left| *left > 0)?;
        let height = left.ilog2().min(first.trailing_zeros());
        let node = Node { height: u8::try_from(height).ok()?, index: first >> height };
        first += 1 << height;
        Some(node)
    })
}

/// The complete subtrees that an inclusion proof is made of; empty when the leaf is not in the tree. With [`tiles_holding`]
/// it says what must be read beforehand by those whose tiles are not at hand at once.
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<Node> {
    inclusion_runs(index, size).into_iter().flatten().flat_map(nodes_of).collect()
}

/// The complete subtrees that a consistency proof is made of; empty when the sizes are the wrong way round.
pub fn consistency_nodes(old: u64, new: u64) -> Vec<Node> {
    consistency_runs(old, new).into_iter().flatten().flat_map(nodes_of).collect()
}

/// The tiles of a tree of `size` leaves that hold these nodes, each once. A node that is not in the tree is in no tile.
pub fn tiles_holding(nodes: &[Node], size: u64) -> Vec<Tile> {
    let mut tiles: Vec<Tile> = nodes.iter().filter_map(|node| Tile::holding(*node, size)).collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

fn hash_of<R: ReadNodes>(run: Run, nodes: &mut R) -> Result<Hash, R::Error> {
    let hashes = nodes_of(run).map(|node| nodes.node(node)).collect::<Result<Vec<_>, _>>()?;
    let folded = hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
    Ok(folded.unwrap_or(EMPTY_ROOT))
}

/// Proves that the `index`-th leaf is in the tree of `size` leaves (RFC 6962 section 2.1.1).
///
/// # Errors
/// What the reader says; `None` when there is no such leaf.
pub fn prove_inclusion<R: ReadNodes>(
    index: u64,
    size: u64,
    nodes: &mut R,
) -> Result<Option<Vec<Hash>>, R::Error> {
    let runs = inclusion_runs(index, size);
    runs.map(|runs| runs.into_iter().map(|run| hash_of(run, nodes)).collect()).transpose()
}

/// Proves that the tree of `new` leaves begins with that of `old` leaves (RFC 6962 section 2.1.2).
///
/// # Errors
/// What the reader says; `None` when `old` is above `new`.
pub fn prove_consistency<R: ReadNodes>(
    old: u64,
    new: u64,
    nodes: &mut R,
) -> Result<Option<Vec<Hash>>, R::Error> {
    let runs = consistency_runs(old, new);
    runs.map(|runs| runs.into_iter().map(|run| hash_of(run, nodes)).collect()).transpose()
}

/// The root of the tree of `size` leaves.
///
/// # Errors
/// What the reader says.
pub fn root_of<R: ReadNodes>(size: u64, nodes: &mut R) -> Result<Hash, R::Error> {
    hash_of((0, size), nodes)
}
