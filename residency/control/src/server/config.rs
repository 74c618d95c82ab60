//! What a member is made of, and why it may not start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use residency_policy::{Clock, NodeId};
use serde::{Deserialize, Serialize};

use crate::peer::{PeerId, PeerKind, PeerPool, PeerTls};
use crate::raft::disk::OpenError;
use crate::raft::types::Member;

/// How often and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timings {
    /// How often the leader shows that it is alive. An append must be answered within it, its fsync included.
    pub heartbeat_ms: u64,
    /// The shortest silence after which a voter stands for election.
    pub election_ms_min: u64,
    /// The longest silence after which a voter stands for election.
    pub election_ms_max: u64,
    /// How long a proposal or a barrier waits.
    pub propose_ms: u64,
    /// How many log entries lie between two snapshots.
    pub snapshot_entries: u64,
    /// How many log entries are kept below a snapshot.
    pub keep_entries: u64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat_ms: 250,
            election_ms_min: 750,
            election_ms_max: 1_500,
            propose_ms: 5_000,
            snapshot_entries: 5_000,
            keep_entries: 1_000,
        }
    }
}

impl Timings {
    /// How long a proposal or a barrier waits.
    pub fn propose(&self) -> Duration {
        Duration::from_millis(self.propose_ms)
    }

    /// How long a leader that hears nothing from a quorum still takes proposals. After it a proposal is refused
    /// outright, so that it can be called certain that nothing was changed.
    pub(super) fn quorum_patience(&self) -> Duration {
        Duration::from_millis(self.election_ms_max.saturating_mul(2))
    }
}

/// What a member is made of.
#[derive(Clone)]
pub struct Config {
    /// This member's id: never used before, not even by this machine with another disk.
    pub id: NodeId,
    /// Where log and snapshot lie. Created if it is not there.
    pub dir: PathBuf,
    /// The certificates.
    pub tls: PeerTls,
    /// Connections to the peers; the caller may share it.
    pub pool: PeerPool,
    /// Members that the configuration names. They may speak to this node before it has learnt the membership, and
    /// where they are reached goes before what the membership says.
    pub peers: BTreeMap<NodeId, Member>,
    /// Members, such as routers, that whichever voter leads adds as learners.
    pub learners: BTreeMap<NodeId, Member>,
    /// How often and how long.
    pub timings: Timings,
    /// The wall clock, asked only for how long ago another run of this member ended.
    pub clock: Arc<dyn Clock>,
}

/// Why a member cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate is another node's.
    #[error("this is to be node {expected}, but the certificate is for {found}")]
    Certificate {
        /// Who the certificate names.
        found: PeerId,
        /// Who the configuration names.
        expected: NodeId,
    },
    /// The certificate and the configuration disagree about what this node is.
    #[error("the certificate is for {found}, but the configuration lists node {} as something else", found.node)]
    Kind {
        /// Who the certificate names.
        found: PeerId,
    },
    /// A router is named among the learners with a region's identity, or the like.
    #[error("node {0} is named both as a peer and as a learner, with different identities")]
    Twice(NodeId),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The snapshot cannot be used.
    #[error("the control plane's snapshot cannot be used: {0}")]
    Snapshot(String),
    /// The timings contradict one another.
    #[error("the control plane's timings: {0}")]
    Timings(String),
    /// Raft does not start from what is on disk.
    #[error("the control plane cannot start from its disk: {0}")]
    Raft(String),
}

impl Config {
    /// Who this node is, if certificate and configuration agree.
    pub(super) fn check(&self) -> Result<PeerId, StartError> {
        let found = self.tls.own_id();
        if found.node != self.id {
            return Err(StartError::Certificate { found, expected: self.id });
        }
        let named = self.peers.get(&self.id).or_else(|| self.learners.get(&self.id));
        if named.is_some_and(|member| member.kind != found.kind) {
            return Err(StartError::Kind { found });
        }
        for (node, learner) in &self.learners {
            if self.peers.get(node).is_some_and(|peer| peer.kind != learner.kind) {
                return Err(StartError::Twice(*node));
            }
        }
        Ok(found)
    }
}

impl PeerKind {
    /// Whether such a member may vote and propose. Routers stand at the edge: they read.
    pub fn is_region(self) -> bool {
        matches!(self, Self::Region(_))
    }
}

/// Why this member can no longer take part. The process must say so and end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FatalReason {
    /// Its log, or Raft itself, can not go on.
    #[error("the control plane's member stopped: {0}")]
    Stopped(String),
    /// The others have removed it.
    #[error("node {0} was removed from the control plane, and a node id is never used again")]
    Removed(NodeId),
    /// The others know the id with another disk.
    #[error(
        "node {0} is known to the control plane with another disk than this one: a disk that was wiped or replaced has \
         forgotten its votes, so it needs a node id that was never used"
    )]
    OtherDisk(NodeId),
}
