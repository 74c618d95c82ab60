//! The binding to openraft: its types, its log on redb, the state machine it drives, and its network.
//!
//! Nothing of openraft is visible outside this crate; `#[doc(hidden)]` parts are public for the crate's own tests
//! in `tests/`, which run openraft's conformance suite and the power cuts against the real store.

#![expect(clippy::result_large_err, reason = "openraft's own error type is that large")]

pub mod disk;
pub(crate) mod freshness;
pub(crate) mod kept;
pub mod log;
pub mod machine_adapter;
pub(crate) mod membership;
pub(crate) mod network;
mod recent;
pub(crate) mod remembered;
pub mod spool;
pub(crate) mod suspect;
pub mod types;
pub(crate) mod wire;
