//! Data keys: made, wrapped by the region's KMS key, kept outside the PHI's Postgres, opened for a moment.
//!
//! ```text
//! region KMS key  --wraps-->  data key of (patient, category)  --seals-->  cells
//!   RegionKms                   Keyring (wrapped), Envelope (open, at most 60 s)
//! ```
//!
//! What must stay true:
//! - A data key is durable in the keyring before anything is sealed under it.
//! - The encryption context names cluster, region, patient, category and use. A wrapped key that is moved to another
//!   patient, category or region does not open.
//! - The keyring is neither in the PHI's Postgres nor in its backups: destroying a patient's keys destroys every old
//!   backup's copy of the PHI too.

pub mod cipher;
pub mod connect;
mod context;
mod data_key;
pub mod embedded;
mod envelope;
mod keyring;
mod kms;
pub mod local;
pub mod postgres;

pub use context::{KeyContext, KeyUse};
pub use data_key::{DataKey, DataKeyId, Wrapped};
pub use envelope::{Envelope, EnvelopeError, EnvelopeLimits, OpenKey, Rewrapped};
pub use keyring::{KeyOwner, KeyRecord, Keyring, KeyringError};
pub use kms::{KmsError, RegionKms};
