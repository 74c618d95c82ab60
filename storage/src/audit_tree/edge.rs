//! The right edge of the tree: the hashes of what is not a full tile yet.

use std::collections::BTreeMap;
use std::convert::Infallible;

use residency_tlog::{GrowingTree, Hash, Tile, leaf_hash};

use super::{TreeError, stored};
use crate::Error;
use crate::lend::Lease;

const LEAVES: &str =
    "SELECT entry FROM audit_leaves WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index";
const ROOTS: &str =
    "SELECT root FROM audit_tiles WHERE level = $1 AND number >= $2 AND number < $3 ORDER BY number";

/// The statements of this file.
pub(super) const STATEMENTS: &[(&str, &str)] = &[("audit_tree.leaves", LEAVES), ("audit_tree.roots", ROOTS)];

/// The tree of so many leaves, which the stored one begins with.
pub(super) async fn tree_of(lease: &Lease, size: u64) -> Result<GrowingTree, TreeError> {
    let mut tiles = BTreeMap::new();
    for tile in Tile::right_edge(size) {
        let hashes = hashes(lease, tile).await?;
        tiles.insert(tile, hashes.ok_or(TreeError::Damaged("a leaf or a tile is missing"))?);
    }
    let tree = GrowingTree::resume(size, |tile| Ok::<_, Infallible>(tiles.remove(&tile).unwrap_or_default()));
    tree.map_err(|_| TreeError::Damaged("the hashes of its edge are not as many as they must be"))
}

/// The hashes of a tile from what is below it; `None` when not all of them are there.
pub(super) async fn hashes(lease: &Lease, tile: Tile) -> Result<Option<Vec<u8>>, TreeError> {
    let first = tile.index.saturating_mul(256);
    let mut bytes = Vec::with_capacity(tile.bytes());
    if tile.level == 0 {
        for entry in entries(lease, first, tile.width).await? {
            bytes.extend_from_slice(leaf_hash(&entry).as_bytes());
        }
    } else {
        let below = i16::from(tile.level) - 1;
        let (first, end) = (stored(first), stored(first.saturating_add(u64::from(tile.width))));
        for root in column(lease, ROOTS, &[&below, &first, &end], "root").await? {
            let root = Hash::from_slice(&root).ok_or(TreeError::Damaged("a root is no hash"))?;
            bytes.extend_from_slice(root.as_bytes());
        }
    }
    Ok((bytes.len() == tile.bytes()).then_some(bytes))
}

/// So many entries from a place on, or as many as there are.
pub(super) async fn entries(lease: &Lease, first: u64, many: u16) -> Result<Vec<Vec<u8>>, TreeError> {
    let (first, end) = (stored(first), stored(first.saturating_add(u64::from(many))));
    column(lease, LEAVES, &[&first, &end], "entry").await
}

async fn column(
    lease: &Lease,
    sql: &'static str,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    name: &'static str,
) -> Result<Vec<Vec<u8>>, TreeError> {
    let asked = lease.ask(sql, params).await.map_err(|error| Error::from_driver(&error, "audit_tree.edge"))?;
    Ok(asked.rows.iter().map(|row| row.get(name)).collect::<Result<_, _>>()?)
}
