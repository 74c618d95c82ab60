//! A transparency log, as far as it is computation: RFC 6962 trees, and the texts and files that C2SP defines around them.
//!
//! Everything here is pure: no I/O, no clock, no random source, nothing asynchronous. Bytes come in, bytes and verdicts go
//! out. The node that keeps a log, the regions that witness it and the auditor's program that trusts neither use the same
//! code, and strangers check what it writes with theirs (`tests/strangers.rs`).
//!
//! | act | where |
//! | --- | --- |
//! | hash leaves and nodes | [`Hash`], [`leaf_hash`], [`node_hash`] |
//! | append to a tree, make its tiles | [`Edge`], [`GrowingTree`] |
//! | make proofs from tiles | [`prove_inclusion`], [`prove_consistency`], [`TileNodes`] |
//! | verify proofs | [`verify_inclusion`], [`verify_consistency`] |
//! | name, write and read tiles and entries | [`Tile`], [`Bundle`], [`Resource`], [`Entries`] |
//! | sign and open notes | [`Note`], [`SigningKey`], [`VerifierKey`] |
//! | heads of a log | [`Checkpoint`] |
//! | witness another's log | [`witness`] |
//! | prove one record to somebody who is offline | [`ProofFile`] |
//! | publish a record without saying anything of it | [`commitment`] |
//!
//! What must stay true:
//! - No input makes it panic, and every parser has a limit on size. What is wrong with an input is named with its line or
//!   byte ([`Malformed`]).
//! - A text has one spelling: what parses is written back to the same bytes.
//!
//! Sources: RFC 6962 and RFC 9162; C2SP `signed-note`, `tlog-checkpoint`, `tlog-cosignature`, `tlog-tiles`,
//! `tlog-witness`, `tlog-proof`, each as of 2026-07-22.

mod bundle;
mod checkpoint;
pub mod commitment;
mod edge;
mod grow;
mod hash;
mod keys;
mod lines;
mod malformed;
mod note;
mod proof_file;
mod prove;
mod resource;
mod tile;
mod verify;
pub mod witness;

pub use bundle::{Bundle, ENTRY_BYTES_MAX, Entries, EntryTooLong, push_entry};
pub use checkpoint::{Checkpoint, Opened};
pub use edge::{Edge, Node, NotAnEdge};
pub use grow::GrowingTree;
pub use hash::{EMPTY_ROOT, HASH_BYTES, Hash, leaf_hash, node_hash};
pub use keys::{KeyKind, SigningKey, VerifierKey, key_id, skey_text};
pub use malformed::{At, Malformed, Wrong};
pub use note::{
    NOTE_BYTES_MAX, Note, OpenError, SIGNATURES_MAX, SignError, SignatureLine, TEXT_BYTES_MAX, Verified,
};
pub use proof_file::{ProofFile, ProofFileError, Shown, Trust};
pub use prove::{
    ProveError, ReadNodes, TileNodes, consistency_nodes, inclusion_nodes, prove_consistency, prove_inclusion,
    root_of, tiles_holding,
};
pub use resource::Resource;
pub use tile::{TILE_BYTES, TILE_WIDTH, Tile, new_bundles, new_tiles, read_tile, tile_root, tiles_of};
pub use verify::{ProofError, verify_consistency, verify_inclusion};

/// The largest tree: what a signed 64-bit number holds, as every implementation of C2SP's texts takes it.
pub const SIZE_MAX: u64 = i64::MAX as u64;
/// The most hashes a proof in a text may have (C2SP tlog-witness).
pub const PROOF_LINES_MAX: usize = 63;
