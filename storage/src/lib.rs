//! This region's data: the only way to SQL, and the only place where PHI is sealed and opened.
//!
//! ```text
//! Permit + Scope --begin--> RegionTx    --seal, unseal, blind, query--> RegionTx   --commit(accesses)----> Seen
//!                           fence, RLS settings                         access records, COMMIT
//! Permit + Scope --begin--> RegionRead  --unseal, blind, query--------> RegionRead --disclose(accesses)--> Seen
//!                           fence, RLS settings with every question     access records and COMMIT of many
//! ```
//!
//! What must stay true:
//! - A transaction on a patient begins with a [`residency_policy::Permit`], and its fence is read in that transaction.
//! - PHI is opened only with a [`Seen`], and only [`RegionTx::commit`] and [`RegionRead::disclose`] make one: when the
//!   access records are durable.
//! - No error of this crate holds a value: not a parameter, not a row, not Postgres' DETAIL.
//! - Without an organisation and a purpose, nothing is visible (row-level security, forced).

mod access_log;
mod ask;
pub mod audit_tree;
mod blind;
pub mod bookings;
pub mod canonical;
mod error;
mod fence;
pub mod idempotency;
pub mod ids;
mod lanes;
mod lend;
mod migrate;
mod migrate_back;
mod outbox;
mod phi;
mod pool;
pub mod portal;
mod provision;
mod read;
mod record;
mod row;
pub mod schema;
mod scope;
mod seal;
mod stamp;
#[cfg(feature = "testing")]
pub mod testing;
mod transact;
mod tx;

pub use access_log::{Access, AccessAction, AccessOutcome};
pub use blind::{BlindIndex, IndexField};
pub use error::{Error, OpenError, Retriable, Unavailable};
pub use migrate::{MigrateConfig, MigrateError, Migrated, Moved, migrate, migrate_to};
pub use migrate_back::Loss;
pub use outbox::{Event, EventName};
pub use phi::{Phi, Seen};
pub use pool::{PoolConfig, PoolStatus, RegionPool, Timeouts};
pub use provision::{APP, OWNER, Provision, ProvisionError, provision};
pub use read::{Reading, RegionRead};
pub use row::Row;
pub use scope::{Acting, Circumstances, Consent, Judge, Judged, Judging, Known, OnBehalf, Rules, Scope};
pub use seal::{Cell, Sealed};
pub use storage_keys::connect::{Secret, Server};
pub use tokio_postgres::types::{FromSql, ToSql};
pub use tx::{Ask, RegionTx};

/// Whether reads leave access records. False only in what `loadtest/unaudited` builds to measure their price; the
/// node's binary does not compile then.
pub const AUDITED: bool = !cfg!(feature = "unaudited");
