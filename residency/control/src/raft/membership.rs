//! Who belongs to the control plane.

use std::collections::BTreeMap;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::error::{ChangeMembershipError, ClientWriteError, InitializeError, RaftError};
use residency_policy::NodeId;
use serde::{Deserialize, Serialize};

use super::types::{Member, Raft};

/// Why the membership is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum MembershipError {
    /// The cluster was initialised before.
    #[error("the control plane is initialised already")]
    AlreadyInitialized,
    /// Only the leader changes the membership.
    #[error("this node does not lead the control plane")]
    NotLeader(Option<NodeId>),
    /// This node is not one of the voters named.
    #[error("this node is not among the voters named")]
    NotAVoter,
    /// There would be no voter left.
    #[error("a control plane needs a voter")]
    NoVoters,
    /// Another change is under way.
    #[error("another change of the membership is under way")]
    InProgress,
    /// Routers stand at the edge and do not vote.
    #[error("node {0} is a router, and routers do not vote")]
    RouterCannotVote(NodeId),
    /// A voter must be a learner first.
    #[error("node {0} is not a learner yet")]
    UnknownNode(NodeId),
    /// The id belonged to a member that is gone.
    #[error("node {0} was a member before, and a node id is never used again: take one that is new")]
    IdUsed(NodeId),
    /// The id belongs to a member that is there.
    #[error("node {0} is a member already, of another kind or at another address")]
    OtherMember(NodeId),
    /// A member that does not answer would only weaken the quorum as a voter.
    #[error("node {0} does not answer the leader, so it cannot vote yet")]
    Silent(NodeId),
    /// A member that has not caught up would hold up every change as a voter.
    #[error("node {node} has not caught up: {missing} log entries are missing there")]
    Behind {
        /// Which member.
        node: NodeId,
        /// How many entries of the leader's log it has not got.
        missing: u64,
    },
    /// Without this voter those that are left could decide nothing.
    #[error(
        "without node {node} there would be {left} voters, of which {needed} must answer for any change, \
         and only {answering} do now"
    )]
    WouldLoseQuorum {
        /// Who was to be removed.
        node: NodeId,
        /// How many voters would be left.
        left: usize,
        /// How many of those answer now.
        answering: usize,
        /// How many of them must.
        needed: usize,
    },
    /// The leader was to be removed and found nobody to lead after it.
    #[error("node {0} leads, and no other voter could take the lead; try again")]
    StillLeads(NodeId),
    /// Nobody leads.
    #[error("the control plane has no quorum; nothing was changed")]
    NoQuorum,
    /// Not in time: it may or may not take effect.
    #[error("the change was not committed in time; it may or may not take effect")]
    Timeout,
    /// This node is stopping.
    #[error("this node is stopping")]
    ShuttingDown,
}

/// Makes a new cluster. Once, on one node: two calls on two nodes could make two clusters of the same ids.
pub(crate) async fn initialize(raft: &Raft, voters: BTreeMap<NodeId, Member>) -> Result<(), MembershipError> {
    if voters.is_empty() {
        return Err(MembershipError::NoVoters);
    }
    let voters: BTreeMap<u64, Member> = voters.into_iter().map(|(id, member)| (id.0, member)).collect();
    raft.initialize(voters).await.map_err(|error| match error {
        RaftError::APIError(InitializeError::NotAllowed(_)) => MembershipError::AlreadyInitialized,
        RaftError::APIError(InitializeError::NotInMembers(_)) => MembershipError::NotAVoter,
        RaftError::Fatal(_) => MembershipError::ShuttingDown,
    })
}

/// Adds a member that receives the log and does not vote, or changes where a member is reached.
pub(crate) async fn add_learner(
    raft: &Raft,
    node: NodeId,
    member: Member,
    within: Duration,
) -> Result<(), MembershipError> {
    let known = raft.metrics().borrow().membership_config.membership().get_node(&node.0).cloned();
    let change = match known {
        Some(known) if known == member => return Ok(()),
        Some(_) => ChangeMembers::SetNodes(BTreeMap::from([(node.0, member)])),
        None => ChangeMembers::AddNodes(BTreeMap::from([(node.0, member)])),
    };
    change_members(raft, change, true, within).await
}

/// Makes one change. Voters that lose their vote stay on as learners where `retain` says so.
pub(crate) async fn change_members(
    raft: &Raft,
    change: ChangeMembers<u64, Member>,
    retain: bool,
    within: Duration,
) -> Result<(), MembershipError> {
    let result = tokio::time::timeout(within, raft.change_membership(change, retain)).await;
    match result.map_err(|_| MembershipError::Timeout)? {
        Ok(_) => Ok(()),
        Err(RaftError::Fatal(_)) => Err(MembershipError::ShuttingDown),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
            Err(MembershipError::NotLeader(to.leader_id.map(NodeId)))
        }
        Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error))) => Err(match error {
            ChangeMembershipError::InProgress(_) => MembershipError::InProgress,
            ChangeMembershipError::EmptyMembership(_) => MembershipError::NoVoters,
            ChangeMembershipError::LearnerNotFound(unknown) => {
                MembershipError::UnknownNode(NodeId(unknown.node_id))
            }
        }),
    }
}
