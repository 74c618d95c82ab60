//! The bodies of the peer routes, in postcard.

use http::{HeaderMap, HeaderName, HeaderValue};
use openraft::error::{Fatal, InstallSnapshotError, RaftError};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use residency_policy::DiskId;
use serde::{Deserialize, Serialize};

use super::freshness::{Proof, Stamp};
use super::types::TypeConfig;
use crate::command::{Command, Outcome};

pub(crate) const APPEND: &str = "/raft/append";
pub(crate) const VOTE: &str = "/raft/vote";
pub(crate) const SNAPSHOT: &str = "/raft/snapshot";
pub(crate) const PROPOSE: &str = "/control/propose";
pub(crate) const BARRIER: &str = "/control/barrier";
pub(crate) const REPORT: &str = "/control/report";
pub(crate) const ROSTER: &str = "/control/roster";
pub(crate) const LEAD: &str = "/control/lead";

/// Every route, to tell one that is not for the caller from one that is not there.
pub(crate) const ROUTES: [&str; 8] = [APPEND, VOTE, SNAPSHOT, PROPOSE, BARRIER, REPORT, ROSTER, LEAD];

/// In every call and every answer: the disk of the member that sends it.
pub(crate) const DISK: HeaderName = HeaderName::from_static("domicile-disk");
/// In a call, where the caller knows it: the disk of the member that is called.
pub(crate) const DISK_EXPECTED: HeaderName = HeaderName::from_static("domicile-disk-expected");

/// A disk as a header.
pub(crate) fn disk_value(disk: DiskId) -> Option<HeaderValue> {
    HeaderValue::try_from(disk.to_string()).ok()
}

/// The disk that a header names, if it names one.
pub(crate) fn disk_of(headers: &HeaderMap, name: &HeaderName) -> Option<DiskId> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// An append, with what proves the follower's view.
#[derive(Serialize, Deserialize)]
pub(crate) struct Append {
    pub(crate) proof: Option<Proof>,
    pub(crate) rpc: AppendEntriesRequest<TypeConfig>,
}

/// The answer to an append, with a stamp that the next append brings back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Appended {
    pub(crate) stamp: Stamp,
    pub(crate) response: AppendEntriesResponse<u64>,
}

pub(crate) type VoteAsked = VoteRequest<u64>;
pub(crate) type Voted = VoteResponse<u64>;
pub(crate) type Chunk = InstallSnapshotRequest<TypeConfig>;
pub(crate) type ChunkTaken = InstallSnapshotResponse<u64>;

/// What a member answers to Raft's own calls. Its inner errors stay at home: they hold text.
#[derive(Serialize, Deserialize)]
pub(crate) enum Answer<T> {
    Done(T),
    /// A chunk of a snapshot was expected at another place: start again.
    Mismatch,
    /// The member has stopped.
    Stopped,
}

impl<T> Answer<T> {
    pub(crate) fn of<E>(result: Result<T, RaftError<u64, E>>) -> Self
    where
        E: IsMismatch,
    {
        match result {
            Ok(value) => Self::Done(value),
            Err(RaftError::APIError(error)) if error.is_mismatch() => Self::Mismatch,
            Err(
                RaftError::APIError(_)
                | RaftError::Fatal(Fatal::StorageError(_) | Fatal::Panicked | Fatal::Stopped),
            ) => Self::Stopped,
        }
    }
}

pub(crate) trait IsMismatch {
    fn is_mismatch(&self) -> bool;
}

impl IsMismatch for openraft::error::Infallible {
    fn is_mismatch(&self) -> bool {
        false
    }
}

impl IsMismatch for InstallSnapshotError {
    fn is_mismatch(&self) -> bool {
        matches!(self, Self::SnapshotMismatch(_))
    }
}

/// Commands of one member, forwarded to the leader.
#[derive(Serialize, Deserialize)]
pub(crate) struct Forwarded(pub(crate) Vec<Command>);

/// What the leader made of forwarded commands, or of a barrier (then without outcomes).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Led {
    /// They are in the log at this index, applied.
    Done { index: u64, outcomes: Vec<Outcome> },
    /// Nothing was done: this member does not lead.
    NotLeader,
    /// Nothing was done: this member has no quorum.
    NoQuorum,
    /// It was proposed, and nothing more is known.
    Unknown,
    /// Nothing was done: too many or too large.
    TooLarge,
    /// Nothing was done: this member is stopping.
    Stopping,
}
