//! A log's tree while it grows: the right edge as tiles, and what must be published after an append.

use crate::SIZE_MAX;
use crate::edge::Edge;
use crate::hash::{HASH_BYTES, Hash};
use crate::prove::ProveError;
use crate::tile::{LEVELS, TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, Tile, read_tile};

/// What a log appends to. It holds the partial tiles of the right edge, at most 64 KiB, whatever the size.
#[derive(Debug, Clone)]
pub struct GrowingTree {
    edge: Edge,
    /// Of each level the tile that is not full.
    partial: [Vec<u8>; LEVELS as usize],
    /// What has been published of the log: its tiles are known.
    published: u64,
    full: Vec<(Tile, Vec<u8>)>,
}

impl Default for GrowingTree {
    fn default() -> Self {
        Self::new()
    }
}

impl GrowingTree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self { edge: Edge::new(), partial: std::array::from_fn(|_| Vec::new()), published: 0, full: Vec::new() }
    }

    /// The tree of `size` leaves whose tiles were published. `read` is asked for [`Tile::right_edge`] and nothing else.
    /// Whether they were right shows by comparing [`GrowingTree::root`] with the signed checkpoint: the caller must.
    ///
    /// # Errors
    /// When a tile cannot be read or is not as wide as it must be, or the size is above [`SIZE_MAX`].
    pub fn resume<E>(
        size: u64,
        mut read: impl FnMut(Tile) -> Result<Vec<u8>, E>,
    ) -> Result<Self, ProveError<E>> {
        let mut tree = Self::new();
        if size > SIZE_MAX {
            return Err(ProveError::NotInTree { asked: size, size: SIZE_MAX });
        }
        let mut hashes = Vec::new();
        for tile in Tile::right_edge(size).into_iter().rev() {
            let bytes = read(tile).map_err(ProveError::Read)?;
            let here = read_tile(tile, &bytes).map_err(|why| ProveError::Tile { tile, why })?;
            // What is complete within a tile that is not full is the edge of a tree over its hashes.
            let mut within = Edge::new();
            for hash in here {
                within.append(hash);
            }
            hashes.extend_from_slice(within.hashes());
            if let Some(level) = tree.partial.get_mut(usize::from(tile.level)) {
                *level = bytes;
            }
        }
        tree.edge = Edge::from_hashes(size, &hashes)
            .map_err(|_| ProveError::NotInTree { asked: size, size: SIZE_MAX })?;
        tree.published = size;
        Ok(tree)
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Its root.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// Its right edge.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Appends a leaf by its hash.
    pub fn append(&mut self, leaf: Hash) {
        let Self { edge, partial, full, .. } = self;
        edge.append_each(leaf, |node, hash| {
            if node.height % TILE_HEIGHT != 0 {
                return;
            }
            let level = node.height / TILE_HEIGHT;
            let Some(bytes) = partial.get_mut(usize::from(level)) else { return };
            bytes.extend_from_slice(hash.as_bytes());
            if bytes.len() == TILE_BYTES {
                let index = node.index / u64::from(TILE_WIDTH);
                full.push((Tile { level, index, width: TILE_WIDTH }, std::mem::take(bytes)));
            }
        });
    }

    /// The tiles that this size needs and that were not taken before: those that became full, and the partial ones of the
    /// right edge. They are [`crate::new_tiles`] from the size when they were last taken. A log writes them before it
    /// signs the checkpoint of this size.
    pub fn take_tiles(&mut self) -> Vec<(Tile, Vec<u8>)> {
        let (old, size) = (self.published, self.size());
        let mut tiles = std::mem::take(&mut self.full);
        for tile in Tile::right_edge(size) {
            let before = old.checked_shr(u32::from(TILE_HEIGHT) * u32::from(tile.level)).unwrap_or(0);
            let now = tile.index * u64::from(TILE_WIDTH) + u64::from(tile.width);
            let bytes = self.partial.get(usize::from(tile.level)).filter(|b| b.len() == tile.bytes());
            if let (true, Some(bytes)) = (now > before, bytes) {
                tiles.push((tile, bytes.clone()));
            }
        }
        self.published = size;
        tiles.sort_unstable_by_key(|(tile, _)| *tile);
        tiles
    }
}

const _: () = assert!(TILE_BYTES == 256 * HASH_BYTES);
