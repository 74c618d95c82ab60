//! A member as an operator and a metrics page see it.

use std::sync::atomic::Ordering;

use openraft::ServerState;
use residency_policy::NodeId;
use serde::{Deserialize, Serialize};

use super::Core;
use crate::raft::types::Member;

/// What a member is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Receives the log and does not vote.
    Learner,
    /// Votes and follows.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
    /// No longer runs.
    Stopped,
}

/// One member as the present membership has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Its id.
    pub node: NodeId,
    /// Whether it votes.
    pub voter: bool,
    /// Who it is and where it is reached.
    #[serde(flatten)]
    pub member: Member,
}

/// A member as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// This member's id.
    pub node: NodeId,
    /// What it is at the moment.
    pub standing: Standing,
    /// Raft's term.
    pub term: u64,
    /// Who leads.
    pub leader: Option<NodeId>,
    /// The last log entry in the view.
    pub applied: u64,
    /// The last log entry on disk.
    pub last_log: u64,
    /// The last log entry in the snapshot.
    pub snapshot: u64,
    /// The last log entry that was purged.
    pub purged: u64,
    /// How old the view is; `None` before it was ever shown to be what a quorum holds.
    pub view_age_ms: Option<u64>,
    /// How many ids are in the directory.
    pub placements: u64,
    /// Log entries that this member proposed as leader.
    pub entries_proposed: u64,
    /// Commands in those entries.
    pub commands_proposed: u64,
    /// Commands that this member forwarded to a leader.
    pub commands_forwarded: u64,
    /// Rounds to a quorum, or to the leader, for linearizable reads.
    pub read_rounds: u64,
    /// The membership.
    pub members: Vec<MemberStatus>,
    /// Why the member stopped, if it did.
    pub stopped_because: Option<String>,
}

impl Core {
    pub(crate) fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow().clone();
        let stopped_because = self.fatal.borrow().as_ref().map(ToString::to_string);
        let standing = match metrics.state {
            _ if metrics.running_state.is_err() || *self.stopping.borrow() => Standing::Stopped,
            ServerState::Learner => Standing::Learner,
            ServerState::Follower => Standing::Follower,
            ServerState::Candidate => Standing::Candidate,
            ServerState::Leader => Standing::Leader,
            ServerState::Shutdown => Standing::Stopped,
        };
        let members = crate::raft::machine_adapter::members(&metrics.membership_config);
        Status {
            node: NodeId(self.id),
            standing,
            term: metrics.current_term,
            leader: metrics.current_leader.map(NodeId),
            applied: self.view.index(),
            last_log: metrics.last_log_index.unwrap_or(0),
            snapshot: metrics.snapshot.map_or(0, |id| id.index),
            purged: metrics.purged.map_or(0, |id| id.index),
            view_age_ms: self
                .view
                .freshness
                .age()
                .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            placements: self.view.read(|a| a.state.directory().len() as u64),
            entries_proposed: self.counters.entries.load(Ordering::Relaxed),
            commands_proposed: self.counters.commands.load(Ordering::Relaxed),
            commands_forwarded: self.counters.forwarded.load(Ordering::Relaxed),
            read_rounds: self.counters.rounds.load(Ordering::Relaxed),
            members: members
                .into_iter()
                .map(|(id, (member, voter))| MemberStatus { node: NodeId(id), voter, member })
                .collect(),
            stopped_because,
        }
    }
}
