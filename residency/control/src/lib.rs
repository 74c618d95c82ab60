//! The replicated control plane: who lives where, and what every region must agree on.
//!
//! Each region runs one voter, each router a learner; together they replicate one small state machine with Raft
//! (openraft 0.9.25). A patient is a random id with a home, an epoch and a state here, and nothing else.
//! [`command`] is the whole list of what crosses borders.
//!
//! What must stay true:
//! - **No PHI can get in** (R7). Every field of a command has a type from a sealed list. There is no text in it but
//!   network names, the public names of organisations, the names of their staff (and those they sign in with) and of
//!   clinicians and the numbers of their licences, and no bytes but digests, signatures, verifiers and sealed secrets.
//! - **Nothing acknowledged is lost** (R10). Log and vote are fsynced, in one order, by one thread, before anything
//!   is answered. The first failed fsync latches: the member never writes again, [`Control::fatal`] resolves, and
//!   the process must end. Restarting it is safe, going on is not.
//! - **A refusal is honest.** [`ProposeError::NoQuorum`] means that nothing was handed to a log, and
//!   [`ProposeError::Timeout`] that nobody knows. A proposal is only ever repeated when it is certain that the
//!   earlier attempt did nothing: that it reached no log, not even one from which it was cut off again.
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
//! - *The state in memory, a snapshot as one file.* A clone shares with the living state what neither has changed, so
//!   that building a snapshot stops nobody; the file is written, sent, received and read piece by piece, and synced as
//!   it grows. A database for the state would have made every read a disk read.
//! - *Linearizable reads share rounds to the quorum*, as changes share log entries. One round each is what openraft
//!   does by itself.
//! - *openraft behind this crate only.* Version 0.10 changes its traits, and nobody else should notice.
//! - *A node id is used once, with one disk.* Every call says which disk it comes from and which it means, so that a
//!   wiped disk is found out before it votes, and a member that was removed is told so.
//!
//! Limits: a certificate that was revoked counts until it expires or its authority is replaced, and a disk that was
//! copied is not told from its copy. Which disk a member has is noted once the leader has heard it, for the first voters
//! a second or so after the cluster was made: one that is wiped before that, or before it was ever heard, is not found
//! out.

pub mod api_keys;
pub mod audit_log;
pub mod calendar;
pub mod command;
mod directory;
mod facilities;
mod forget_keys;
mod host;
mod id_batch;
mod jurisdictions;
pub mod keys;
mod legal_basis;
pub mod machine;
mod membership;
mod organisations;
pub mod peer;
mod provider;
mod provider_changes;
mod provider_index;
mod provider_lists;
mod provider_name;
mod public_name;
#[doc(hidden)]
pub mod raft;
mod reader;
mod refusal;
pub mod rules;
mod seats;
mod server;
mod sheets;
mod signature;
pub mod signin;
pub mod snapshot;
mod snapshot_file;
mod staff_name;
pub mod system;
mod users;
mod writer;

pub use api_keys::KeyStanding;
pub use command::{
    Command, KeyVerifier, Organisation, Outcome, PolicyVersion, Proposed, Refusal, RegionEntry, Signature64,
    User,
};
pub use directory::{AlreadyKnown, Directory, Key};
pub use host::{Endpoint, Host, NotAHost, NotAnEndpoint};
pub use id_batch::{IdBatch, NotABatch};
pub use jurisdictions::JurisdictionSet;
pub use legal_basis::{LegalBasis, Recorded, Recorder};
pub use membership::{Membership, Memberships, NotMemberships, RoleSet};
pub use organisations::OrganisationMark;
pub use provider::Provider;
pub use provider_index::{ProviderRank, Providers, Wanted};
pub use provider_lists::{
    Language, Languages, NotALanguage, NotLanguages, NotProviderOrgs, NotTaxonomies, ProviderOrgs, Taxonomies,
};
pub use provider_name::{NotAProviderName, ProviderName};
pub use public_name::{NotAPublicName, PublicName};
pub use raft::disk::OpenError;
pub use raft::membership::MembershipError;
pub use raft::types::Member;
pub use reader::{Reader, StillNot};
pub use server::{
    CAUGHT_UP_WITHIN, Config, Control, FatalReason, MemberLine, MemberReport, MemberStatus, Roster,
    RosterChange, Standing, StartError, Status, Timings,
};
pub use sheets::Sheets;
pub use staff_name::{NotAStaffName, StaffName};
pub use writer::{ProposeError, Writer};
