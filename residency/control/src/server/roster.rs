//! Who joins and who leaves, while everybody else goes on.
//!
//! Every change may be asked for again: what is so already is answered as done. So whoever got no answer repeats it.

use std::collections::BTreeSet;
use std::sync::Arc;

use openraft::ChangeMembers;
use residency_policy::NodeId;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::propose::LOOK_AGAIN;
use super::report::{self, MemberReport};
use super::{Core, Leads};
use crate::Control;
use crate::peer::PeerKind;
use crate::raft::membership::{self, MembershipError};
use crate::raft::types::Member;
use crate::raft::wire;

/// How many entries a member may be short of and still count as caught up: an entry is always under way somewhere.
pub const CAUGHT_UP_WITHIN: u64 = 100;

/// One change of who belongs to the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RosterChange {
    /// Adds a member, which receives the log and does not vote.
    Add {
        /// Its id, never used before.
        node: NodeId,
        /// What it is and where it is reached.
        member: Member,
    },
    /// Lets a member that has caught up vote.
    Promote(NodeId),
    /// Takes a member's vote, if it has one, and the member out.
    Remove(NodeId),
}

impl Control {
    /// Changes who belongs to the control plane. A member that does not lead passes it on to the one that does.
    /// Gives the last log entry that the answering member then had.
    pub async fn change_roster(&self, change: RosterChange) -> Result<u64, MembershipError> {
        let core = &self.core;
        // An election may lie in between, and each step of a change is a round to a quorum.
        let until = Instant::now() + core.timings.propose() * 2;
        loop {
            let result = match core.leads() {
                Leads::Stopped => return Err(MembershipError::ShuttingDown),
                Leads::Nobody => Err(MembershipError::NoQuorum),
                Leads::Here => core.change_here(change.clone()).await,
                Leads::There(leader, member) => {
                    let call = core.calls.call(leader, &member, wire::ROSTER, &change);
                    match tokio::time::timeout_at(until, call).await {
                        Ok(Ok(result)) => result,
                        Ok(Err(_)) | Err(_) => Err(MembershipError::Timeout),
                    }
                }
            };
            let again = matches!(
                result,
                Err(MembershipError::NotLeader(_)
                    | MembershipError::NoQuorum
                    | MembershipError::InProgress
                    | MembershipError::Timeout)
            );
            if !again || Instant::now() >= until {
                return result;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Core {
    /// Changes the membership as its leader. What was begun goes on when whoever asked has gone: a change of the voters
    /// has two steps, and nobody should be left between them.
    pub(super) async fn change_here(self: &Arc<Self>, change: RosterChange) -> Result<u64, MembershipError> {
        let core = self.clone();
        let changing = tokio::spawn(async move { core.change(change).await });
        changing.await.unwrap_or(Err(MembershipError::Timeout))
    }

    async fn change(self: &Arc<Self>, change: RosterChange) -> Result<u64, MembershipError> {
        let change = match change {
            RosterChange::Add { node, member } => self.adding(node, &member)?,
            RosterChange::Promote(node) => self.promoting(node).await?,
            RosterChange::Remove(node) => self.removing(node).await?,
        };
        if let Some(change) = change {
            membership::change_members(&self.raft, change, false, self.timings.propose()).await?;
        }
        Ok(self.view.index())
    }

    fn adding(
        &self,
        node: NodeId,
        member: &Member,
    ) -> Result<Option<ChangeMembers<u64, Member>>, MembershipError> {
        match self.members().get(&node.0) {
            Some((known, _)) if known == member => return Ok(None),
            Some(_) => return Err(MembershipError::OtherMember(node)),
            None => {}
        }
        if self.view.read(|applied| applied.state.seats().contains_key(&node)) {
            return Err(MembershipError::IdUsed(node));
        }
        Ok(Some(ChangeMembers::AddNodes([(node.0, member.clone())].into())))
    }

    async fn promoting(&self, node: NodeId) -> Result<Option<ChangeMembers<u64, Member>>, MembershipError> {
        match self.members().get(&node.0) {
            None => return Err(MembershipError::UnknownNode(node)),
            Some((member, _)) if matches!(member.kind, PeerKind::Router(_)) => {
                return Err(MembershipError::RouterCannotVote(node));
            }
            Some((_, true)) if !self.is_between_two() => return Ok(None),
            Some(_) => {}
        }
        let known = self.view.read(|applied| applied.state.seats().get(&node).copied().flatten());
        if known.is_none() || self.answering([node.0].into()).await == 0 {
            return Err(MembershipError::Silent(node));
        }
        let missing = self.missing(node);
        if missing > CAUGHT_UP_WITHIN {
            return Err(MembershipError::Behind { node, missing });
        }
        Ok(Some(ChangeMembers::AddVoterIds([node.0].into())))
    }

    async fn removing(
        self: &Arc<Self>,
        node: NodeId,
    ) -> Result<Option<ChangeMembers<u64, Member>>, MembershipError> {
        let members = self.members();
        let votes = match members.get(&node.0) {
            None if self.was_removed(node) => return Ok(None),
            None => return Err(MembershipError::UnknownNode(node)),
            Some((_, votes)) => *votes,
        };
        if !votes {
            return Ok(Some(ChangeMembers::RemoveNodes([node.0].into())));
        }
        let left: BTreeSet<u64> =
            members.iter().filter(|(id, (_, votes))| *votes && **id != node.0).map(|(id, _)| *id).collect();
        if left.is_empty() {
            return Err(MembershipError::NoVoters);
        }
        let (left, answering) = (left.len(), self.answering(left).await);
        let needed = left / 2 + 1;
        if answering < needed {
            return Err(MembershipError::WouldLoseQuorum { node, left, answering, needed });
        }
        if node.0 == self.id {
            // The next leader does it: one that removes itself would leave everybody without a leader for a while.
            let handed_over = self.hand_over().await;
            return Err(if handed_over {
                MembershipError::NotLeader(None)
            } else {
                MembershipError::StillLeads(node)
            });
        }
        Ok(Some(ChangeMembers::RemoveVoters([node.0].into())))
    }

    /// Whether a change of the voters was begun and not finished, for one because its leader died.
    fn is_between_two(&self) -> bool {
        self.raft.metrics().borrow().membership_config.membership().get_joint_config().len() > 1
    }

    /// How many of these answer now. They are asked: one that answered a moment ago may be gone, and a change that
    /// counted on it could be neither finished nor taken back.
    async fn answering(&self, who: BTreeSet<u64>) -> usize {
        let mut asking = JoinSet::new();
        for (id, (member, _)) in self.members().into_iter().filter(|(id, _)| who.contains(id) && *id != self.id)
        {
            let calls = Arc::clone(&self.calls);
            asking.spawn(async move {
                let asked = calls.call::<_, MemberReport>(id, &member, wire::REPORT, &());
                matches!(tokio::time::timeout(report::WITHIN, asked).await, Ok(Ok(_)))
            });
        }
        let others = asking.join_all().await.into_iter().filter(|answered| *answered).count();
        others + usize::from(who.contains(&self.id))
    }

    /// How many entries of the leader's log a member is short of.
    pub(super) fn missing(&self, node: NodeId) -> u64 {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let last = metrics.last_log_index.unwrap_or(0);
        let replicated = metrics.replication.as_ref().and_then(|all| all.get(&node.0).copied().flatten());
        last.saturating_sub(replicated.map_or(0, |id| id.index))
    }

    /// Whether a node was a member and is none any more.
    pub(super) fn was_removed(&self, node: NodeId) -> bool {
        self.view.read(|applied| {
            applied.state.seats().contains_key(&node)
                && applied.membership.membership().get_node(&node.0).is_none()
        })
    }
}
