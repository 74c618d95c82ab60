//! The log that strangers can check: which access record is which leaf of the region's tree (RFC 6962), its tiles (C2SP
//! tlog-tiles) and its checkpoints.
//!
//! One node at a time adds leaves, in steps of one transaction each: it reads the records that are committed and that no
//! transaction under way can come before, gives them the next places, and stores their leaves and the tiles that became
//! full. After the commit it signs a checkpoint over what is committed. So whatever it is killed between, nothing has to be
//! undone: a tree without its last checkpoint is signed by whoever comes next.
//!
//! What must stay true:
//! - Where the log has come to is its last leaf, and nothing else remembers it.
//! - A record gets its place after everything that could come before it in the order (xid, id) has ended. A cursor over a
//!   sequence or a clock would skip what commits late.
//! - Who lost the lease adds nothing: the database compares tokens in the transaction that adds
//!   (`V2026112351__audit_tree.sql`).
//! - Nothing is signed that is not committed.
//! - Nothing is added to a tree that does not begin with what is known of it. It is looked at in the transaction that adds:
//!   the server that answers may be another one than a moment ago.

mod edge;
mod extend;
mod lease;
mod published;
mod records;

pub use extend::{Extended, Point};
pub use lease::Held;
pub use published::Signed;

use residency_tlog::Hash;

use crate::Error;

/// How many leaves the tree had, and its root then.
pub type Known = (u64, Hash);

/// The statements of these files.
pub(crate) const STATEMENTS: &[&[(&str, &str)]] =
    &[edge::STATEMENTS, extend::STATEMENTS, lease::STATEMENTS, published::STATEMENTS, records::STATEMENTS];

/// Why the tree was not extended, or not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Another node holds the lease. What was begun was undone.
    #[error("another node holds the lease")]
    Fenced,
    /// The tree has fewer leaves than it had: the database is of an older backup, or another one took over too early.
    #[error("the stored tree has fewer leaves than it had")]
    Behind,
    /// The tree is not the one that it was.
    #[error("the stored tree has another root than it had")]
    Forked,
    /// What is stored is no tree: somebody changed it.
    #[error("the stored tree is not whole: {0}")]
    Damaged(&'static str),
    /// From the database.
    #[error(transparent)]
    Storage(Error),
}

impl From<Error> for TreeError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Constraint { constraint } if constraint.ends_with("_fenced") => Self::Fenced,
            _ => Self::Storage(error),
        }
    }
}

/// A number of leaves as the database counts them. No tree is larger (`residency_tlog::SIZE_MAX`).
fn stored(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
