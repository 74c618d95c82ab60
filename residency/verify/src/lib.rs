//! Residency, checked by somebody who need not trust whoever runs the cluster.
//!
//! The program reads what the regions hold, with a role that changes nothing, and compares: the replicated log and
//! snapshot (who lives where), each region's Postgres (what is there), each keyring's inventory (which keys live), the
//! configuration and the catalogue. It asks no node of the cluster anything.
//!
//! **Its own reading.** It links none of `storage`, `storage-keys`, `residency-control`, `router` or `node`: whoever
//! reads with the code that wrote sees its faults as truths. The formats are written down here a second time
//! ([`shapes`] is the whole of what may be replicated). Of ours it links `residency-policy` for two plain tables: the
//! names and the order of jurisdictions and of categories. Signatures of policies are verified here and not there.
//! `tests/it/house/floors.rs` holds that.
//!
//! **Verdicts.** Each check passes, fails with evidence, or is not covered, and says why. Evidence is ids, names of
//! tables and settings, byte offsets: never a value of a row. Nothing is left out in silence.
//!
//! **What it cannot show.** A ciphertext's binding to its cell needs the key, which an auditor does not have. What a
//! machine holds beside the stores that were named is for `residency-verify scan`. And where a machine stands is
//! declared by whoever runs it.

pub mod checks;
pub mod cli;
pub mod directory;
pub mod html;
pub mod inventory;
pub mod look;
pub mod postcard;
pub mod readers;
pub mod shapes;
pub mod signed;
pub mod snapshot;
pub mod verdict;

pub use cli::{Asked, run};
