//! One step of the log: records that are committed become leaves.

use std::time::Duration;

use jiff::Timestamp;
use residency_tlog::{GrowingTree, Hash, Tile, leaf_hash, read_tile, tile_root};
use uuid::Uuid;

use super::lease::{Held, renew};
use super::records::{self, Entry};
use super::{Known, TreeError, edge, stored};
use crate::error::Unavailable;
use crate::lend::Lease;
use crate::tx::COMMIT;
use crate::{Error, RegionPool};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const LAST: &str =
    "SELECT leaf_index, xid::text AS xid, record_id FROM audit_leaves ORDER BY leaf_index DESC LIMIT 1";
const ADD_LEAVES: &str = "INSERT INTO audit_leaves (leaf_index, xid, record_id, entry, token)
    SELECT $1::bigint + new.place - 1, new.xid::xid8, new.record_id, new.entry, $2::bigint
    FROM unnest($3::text[], $4::uuid[], $5::bytea[]) WITH ORDINALITY AS new (xid, record_id, entry, place)";
const ADD_TILES: &str = "INSERT INTO audit_tiles (level, number, hashes, root)
    SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[], $4::bytea[])";

/// The statements of this file.
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("audit_tree.last", LAST), ("audit_tree.add_leaves", ADD_LEAVES), ("audit_tree.add_tiles", ADD_TILES)];

/// How long a step may take.
const STEP_MAX: Duration = Duration::from_secs(20);

/// Between which acts a step is. A test ends one there as a crash would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The lease is renewed and locked.
    Locked,
    /// The records are read.
    Read,
    /// The leaves are added.
    Leaves,
    /// The tiles are added; next is the commit.
    Tiles,
    /// It is committed, and nobody was told.
    Committed,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended {
    /// How many leaves the tree has now.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// How many were added.
    pub added: usize,
    /// How many records wait for their place, of which at most a bounded number are counted.
    pub waiting: u64,
    /// When the oldest of them was written, by the clock of the node that wrote it.
    pub waiting_since: Option<Timestamp>,
}

/// Where the log has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) size: u64,
    /// The last leaf's record, as the cursor after which the next one is read.
    pub(super) xid: String,
    pub(super) record: Uuid,
}

impl RegionPool {
    /// Makes leaves of at most so many records, if the tree begins with what is `known` of it. `ends_at` is asked between any two acts whether to stop there, which
    /// leaves everything as a crash would.
    pub async fn extend_audit_tree(
        &self,
        held: Held,
        known: Option<Known>,
        at_most: u32,
        ends_at: &(dyn Fn(Point) -> bool + Sync),
    ) -> Result<Extended, TreeError> {
        let step = self.step(held, known, at_most, ends_at);
        tokio::time::timeout(STEP_MAX, step).await.unwrap_or(Err(slow()))
    }

    async fn step(
        &self,
        held: Held,
        known: Option<Known>,
        at_most: u32,
        ends_at: &(dyn Fn(Point) -> bool + Sync),
    ) -> Result<Extended, TreeError> {
        // A lease that is dropped closes its connection, and the server undoes what was not committed.
        let crash = |point| if ends_at(point) { Err(lost()) } else { Ok(()) };
        let lease = self.0.sequencer.lease().await?;
        begin(&lease).await?;
        renew(&lease, held).await?;
        crash(Point::Locked)?;
        let last = last(&lease).await?;
        let mut tree = edge::tree_of(&lease, last.size).await?;
        begins_with(&lease, &tree, known).await?;
        let entries = records::committed(&lease, &last, at_most).await?;
        crash(Point::Read)?;
        if let Some(newest) = entries.last() {
            add_leaves(&lease, held, last.size, &entries).await?;
            crash(Point::Leaves)?;
            for entry in &entries {
                tree.append(leaf_hash(&entry.data));
            }
            add_tiles(&lease, &mut tree).await?;
            let cursor = Last { size: tree.size(), xid: newest.xid.clone(), record: newest.record };
            return end(lease, &tree, &cursor, entries.len(), &crash).await;
        }
        end(lease, &tree, &last, 0, &crash).await
    }

    /// How many records wait for their place, of which at most a bounded number are counted, and when the oldest of them was
    /// written.
    pub async fn audit_waiting(&self) -> Result<(u64, Option<Timestamp>), TreeError> {
        let lease = self.0.sequencer.lease().await?;
        let last = last(&lease).await?;
        let waiting = records::waiting(&lease, &last).await?;
        lease.give_back();
        Ok(waiting)
    }

    /// The root of the tree as it was with so many leaves; `None` when it has fewer.
    pub async fn audit_root(&self, size: u64) -> Result<Option<Hash>, TreeError> {
        let lease = self.0.sequencer.lease().await?;
        let last = last(&lease).await?;
        let root = if size > last.size { None } else { Some(edge::tree_of(&lease, size).await?.root()) };
        lease.give_back();
        Ok(root)
    }
}

/// Mostly the tree is as it was left, and its root is at hand.
async fn begins_with(lease: &Lease, tree: &GrowingTree, known: Option<Known>) -> Result<(), TreeError> {
    let Some((size, root)) = known else { return Ok(()) };
    if tree.size() < size {
        return Err(TreeError::Behind);
    }
    let found = if tree.size() == size { tree.root() } else { edge::tree_of(lease, size).await?.root() };
    if found == root { Ok(()) } else { Err(TreeError::Forked) }
}

/// Commits, and tells what waits. Where nothing was added the commit is of the renewed lease.
async fn end(
    lease: Lease,
    tree: &GrowingTree,
    cursor: &Last,
    added: usize,
    crash: &(dyn Fn(Point) -> Result<(), TreeError> + Sync),
) -> Result<Extended, TreeError> {
    crash(Point::Tiles)?;
    let committed = lease.ask(COMMIT, &[]).await;
    committed.map_err(|error| Error::from_driver(&error, "audit_tree.commit"))?;
    crash(Point::Committed)?;
    let (waiting, waiting_since) = records::waiting(&lease, cursor).await?;
    lease.give_back();
    Ok(Extended { size: tree.size(), root: tree.root(), added, waiting, waiting_since })
}

async fn begin(lease: &Lease) -> Result<(), TreeError> {
    let begun = lease.ask(BEGIN, &[]).await;
    begun.map_err(|error| Error::from_driver(&error, "audit_tree.begin"))?;
    Ok(())
}

/// The last leaf. Before the first one the cursor is before every record.
async fn last(lease: &Lease) -> Result<Last, TreeError> {
    let asked = lease.ask(LAST, &[]).await.map_err(|error| Error::from_driver(&error, "audit_tree.last"))?;
    let Some(row) = asked.rows.first() else {
        return Ok(Last { size: 0, xid: "0".to_owned(), record: Uuid::nil() });
    };
    let index: i64 = row.get("leaf_index")?;
    let size = u64::try_from(index).map_err(|_| Error::Row { column: "leaf_index" })? + 1;
    Ok(Last { size, xid: row.get("xid")?, record: row.get("record_id")? })
}

async fn add_leaves(lease: &Lease, held: Held, from: u64, entries: &[Entry]) -> Result<(), TreeError> {
    let xids: Vec<&str> = entries.iter().map(|entry| entry.xid.as_str()).collect();
    let records: Vec<Uuid> = entries.iter().map(|entry| entry.record).collect();
    let data: Vec<&[u8]> = entries.iter().map(|entry| entry.data.as_slice()).collect();
    let added = lease.ask(ADD_LEAVES, &[&stored(from), &held.token, &xids, &records, &data]).await;
    added.map_err(|error| Error::from_driver(&error, "audit_tree.add_leaves"))?;
    Ok(())
}

/// Stores the tiles that became full. The others follow from what is there.
async fn add_tiles(lease: &Lease, tree: &mut GrowingTree) -> Result<(), TreeError> {
    let mut tiles = tree.take_tiles();
    tiles.retain(|(tile, _)| tile.is_full());
    if tiles.is_empty() {
        return Ok(());
    }
    let (mut levels, mut numbers, mut roots) = (Vec::new(), Vec::new(), Vec::new());
    for (tile, bytes) in &tiles {
        levels.push(i16::from(tile.level));
        numbers.push(stored(tile.index));
        roots.push(root(*tile, bytes)?);
    }
    let hashes: Vec<&[u8]> = tiles.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let roots: Vec<&[u8]> = roots.iter().map(|root| root.as_bytes().as_slice()).collect();
    let added = lease.ask(ADD_TILES, &[&levels, &numbers, &hashes, &roots]).await;
    added.map_err(|error| Error::from_driver(&error, "audit_tree.add_tiles"))?;
    Ok(())
}

fn root(tile: Tile, bytes: &[u8]) -> Result<Hash, TreeError> {
    let hashes =
        read_tile(tile, bytes).map_err(|_| TreeError::Damaged("a tile is not as wide as it must be"))?;
    Ok(tile_root(&hashes))
}

fn lost() -> TreeError {
    TreeError::Storage(Error::Unavailable(Unavailable::Lost))
}

fn slow() -> TreeError {
    TreeError::Storage(Error::Unavailable(Unavailable::Slow))
}
