//! The replicated control plane: who lives where, and what every region must agree on.
//!
//! Each region runs one voter, each router a learner; together they replicate one small state machine with Raft
//! (openraft 0.9.25). A patient is a random id with a home, an epoch and a state here, and nothing else.
//! [`command`] is the whole list of what crosses borders.
//!
//! What must stay true:
//! - **No PHI can get in** (R7). Every field of a command has a type from a sealed list. There is no text in it but
//!   network names and the public names of organisations, and no bytes but digests and signatures.
//! - **Nothing acknowledged is lost** (R10). Log and vote are fsynced, in one order, by one thread, before anything
//!   is answered. The first failed fsync latches: the member never writes again, [`Control::fatal`] resolves, and
//!   the process must end. Restarting it is safe, going on is not.
//! - **A refusal is honest.** [`ProposeError::NoQuorum`] means that nothing was handed to a log, and
//!   [`ProposeError::Timeout`] that nobody knows. A proposal is only ever repeated when it is certain that the
//!   earlier attempt did nothing.
//! - **A view knows its age.** [`Reader::age`] rests on monotonic clocks and a round trip, so neither a delayed
//!   message nor a leader without a quorum nor a stopped process makes an old view look new. Readers never wait.
//! - **A peer is who its certificate says**, in both directions, and speaks Raft only in its own name. Host names
//!   are where to dial, not whom to trust.
//! - **`apply` is pure**: the same commands give every member the same state, byte for byte in a snapshot.
//!
//! How it is laid out: [`machine`] and [`snapshot`] are the state and know nothing of Raft; `raft` binds them to
//! openraft and to redb; `server` is the running member, one act per file; [`peer`] is mutual TLS, which nodes and
//! routers use for their own traffic too; [`keys`] and [`rules`] are what others look up in the state.
//!
//! Decisions, and what was rejected:
//! - *One proposer task, many commands per entry.* openraft 0.9 fsyncs an entry per write; 64 writers reached
//!   1,078 commands/s with one command per entry and more than 15,000 with sixteen.
//! - *redb for the log.* A write-ahead log made for Raft was slower here and failed openraft's conformance suite.
//! - *The state in memory, a snapshot as one file.* A clone shares the directory's shards with the live state, so
//!   that building a snapshot stops nobody. A database for the state would have made every read a disk read.
//! - *openraft behind this crate only.* Version 0.10 changes its traits, and nobody else should notice.
//!
//! Limits: a snapshot is held in memory while it is sent or received; a disk that was wiped must get a new node id,
//! which only the operator can know; a certificate that was revoked counts until it expires or its authority is
//! replaced.

pub mod command;
mod directory;
mod host;
mod id_batch;
mod jurisdictions;
pub mod keys;
pub mod machine;
pub mod peer;
mod public_name;
#[doc(hidden)]
pub mod raft;
mod reader;
pub mod rules;
mod server;
pub mod snapshot;
mod snapshot_file;
pub mod system;
mod writer;

pub use command::{
    Command, KeyVerifier, Organisation, Outcome, PolicyVersion, Proposed, Refusal, RegionEntry, Signature64,
};
pub use directory::Directory;
pub use host::{Endpoint, Host, NotAHost, NotAnEndpoint};
pub use id_batch::{IdBatch, NotABatch};
pub use jurisdictions::JurisdictionSet;
pub use public_name::{NotAPublicName, PublicName};
pub use raft::disk::OpenError;
pub use raft::membership::MembershipError;
pub use raft::types::Member;
pub use reader::{Reader, StillNot};
pub use server::{Config, Control, FatalReason, MemberStatus, Standing, StartError, Status, Timings};
pub use writer::{ProposeError, Writer};
