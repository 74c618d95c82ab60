//! Which records come next, and the leaves that stand for them.

use jiff::Timestamp;
use residency_tlog::commitment::{LEAF_BYTES, Leaf, Salt};
use uuid::Uuid;

use super::TreeError;
use super::extend::Last;
use crate::canonical::AuditRecord;
use crate::lend::Lease;
use crate::{Error, Row};

/// Of every organisation: the function is the only way to see them together.
const COMMITTED: &str = "SELECT r.*, r.xid::text AS transaction
    FROM records_to_sequence($1::text::xid8, $2, $3) AS r ORDER BY r.xid, r.id";
const WAITING: &str = "SELECT waiting, since FROM records_waiting($1::text::xid8, $2, $3)";

/// The statements of this file.
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("audit_tree.committed", COMMITTED), ("audit_tree.waiting", WAITING)];

/// How many records that wait are counted. More need not be told apart.
const COUNTED_MAX: i64 = 10_000;

/// A record and its leaf.
pub(super) struct Entry {
    pub(super) xid: String,
    pub(super) record: Uuid,
    pub(super) data: [u8; LEAF_BYTES],
}

/// At most so many records after the last leaf's that nothing can come before any more.
pub(super) async fn committed(lease: &Lease, last: &Last, at_most: u32) -> Result<Vec<Entry>, TreeError> {
    let asked = lease.ask(COMMITTED, &[&last.xid, &last.record, &i64::from(at_most)]).await;
    let asked = asked.map_err(|error| Error::from_driver(&error, "audit_tree.committed"))?;
    Ok(asked.rows.iter().map(entry).collect::<Result<_, _>>()?)
}

fn entry(row: &Row) -> Result<Entry, Error> {
    let record = AuditRecord::of(row)?;
    let leaf = Leaf::of(&Salt::new(record.salt), &record.canonical());
    Ok(Entry { xid: row.get("transaction")?, record: record.id, data: *leaf.as_bytes() })
}

/// How many records wait for their place, and when the oldest of them was written.
pub(super) async fn waiting(lease: &Lease, last: &Last) -> Result<(u64, Option<Timestamp>), TreeError> {
    let asked = lease.ask(WAITING, &[&last.xid, &last.record, &COUNTED_MAX]).await;
    let asked = asked.map_err(|error| Error::from_driver(&error, "audit_tree.waiting"))?;
    let row = asked.rows.first().ok_or(Error::NotOneRow)?;
    let waiting: i64 = row.get("waiting")?;
    Ok((waiting.unsigned_abs(), row.get("since")?))
}
