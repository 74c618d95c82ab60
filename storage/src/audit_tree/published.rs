//! What is published of the tree: checkpoints, tiles, and bundles of entries.

use residency_tlog::{Bundle, Hash, Tile, push_entry};

use super::lease::Held;
use super::{TreeError, edge, stored};
use crate::{Error, RegionPool};

/// The same one again changes nothing. The database refuses one that is not larger than the last.
const KEEP: &str = "INSERT INTO audit_checkpoints (size, root, note, token)
    SELECT $1::bigint, $2::bytea, $3::text, $4::bigint
    WHERE NOT EXISTS (SELECT FROM audit_checkpoints WHERE size = $1 AND root = $2)";
const NEWEST: &str = "SELECT size, root, note, date_part('epoch', clock_timestamp() - signed_at) AS age
    FROM audit_checkpoints ORDER BY size DESC LIMIT 1";
const OF_SIZE: &str = "SELECT note FROM audit_checkpoints WHERE size = $1";
const TILE: &str = "SELECT hashes FROM audit_tiles WHERE level = $1 AND number = $2";

/// The statements of this file.
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("audit_tree.keep_checkpoint", KEEP),
    ("audit_tree.newest_checkpoint", NEWEST),
    ("audit_tree.checkpoint_of", OF_SIZE),
    ("audit_tree.tile", TILE),
];

/// A checkpoint that was signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// How long ago, in seconds by the database's clock.
    pub age_seconds: f64,
}

impl RegionPool {
    /// Keeps a checkpoint over so many leaves. Only what is committed may be signed.
    pub async fn keep_audit_checkpoint(
        &self,
        held: Held,
        (size, root): (u64, Hash),
        note: &str,
    ) -> Result<(), TreeError> {
        let root = root.as_bytes().as_slice();
        self.ask("audit_tree.keep_checkpoint", KEEP, &[&stored(size), &root, &note, &held.token]).await?;
        Ok(())
    }

    /// The newest checkpoint; none before the first record was written.
    pub async fn audit_checkpoint(&self) -> Result<Option<Signed>, TreeError> {
        let asked = self.ask("audit_tree.newest_checkpoint", NEWEST, &[]).await?;
        let Some(row) = asked.rows.first() else { return Ok(None) };
        let size: i64 = row.get("size")?;
        let root: &[u8] = row.get("root")?;
        Ok(Some(Signed {
            size: u64::try_from(size).map_err(|_| Error::Row { column: "size" })?,
            root: Hash::from_slice(root).ok_or(Error::Row { column: "root" })?,
            note: row.get("note")?,
            age_seconds: row.get("age")?,
        }))
    }

    /// The signed note over so many leaves, if one was kept.
    pub async fn audit_checkpoint_of(&self, size: u64) -> Result<Option<String>, TreeError> {
        let asked = self.ask("audit_tree.checkpoint_of", OF_SIZE, &[&stored(size)]).await?;
        Ok(asked.rows.first().map(|row| row.get("note")).transpose()?)
    }

    /// The bytes of a tile; `None` when the tree has not all of its hashes.
    pub async fn audit_tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, TreeError> {
        // No tree of this database is so high.
        if tile.level > 6 {
            return Ok(None);
        }
        if tile.is_full() {
            let place: (i16, i64) = (i16::from(tile.level), stored(tile.index));
            let asked = self.ask("audit_tree.tile", TILE, &[&place.0, &place.1]).await?;
            return Ok(asked.rows.first().map(|row| row.get("hashes")).transpose()?);
        }
        let lease = self.0.connections.lease().await?;
        let hashes = edge::hashes(&lease, tile).await?;
        lease.give_back();
        Ok(hashes)
    }

    /// The bytes of a bundle of entries; `None` when the log has not all of them.
    pub async fn audit_entries(&self, bundle: Bundle) -> Result<Option<Vec<u8>>, TreeError> {
        let lease = self.0.connections.lease().await?;
        let first = bundle.index.saturating_mul(256);
        let entries = edge::entries(&lease, first, bundle.width).await?;
        lease.give_back();
        if entries.len() != usize::from(bundle.width) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        for entry in &entries {
            push_entry(&mut bytes, entry).map_err(|_| TreeError::Damaged("an entry is too long"))?;
        }
        Ok(Some(bytes))
    }
}
