//! Gives the lead away in good order, before a leader ends or leaves.
//!
//! openraft 0.9 has no transfer of the lead. What it has is enough: the leader stops proposing and stops its
//! heartbeats, and asks a voter that has the whole log to stand. The leader itself grants that vote at once, since its
//! own lease is long over, so with three voters it takes one round; with more, the others' lease must run out first.
//!
//! It runs in a task of its own. Who asks for it may go away, for one a peer whose call is cut off, and a leader that
//! stays silent and never stands again would leave everybody without one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::ServerState;
use residency_policy::NodeId;
use tokio::time::Instant;

use super::propose::LOOK_AGAIN;
use super::{Core, Leads};
use crate::Control;
use crate::raft::types::Member;
use crate::raft::wire;

/// How long one voter has to become the leader before the next is asked.
const EACH: Duration = Duration::from_millis(500);

impl Control {
    /// Gives the lead to another voter, if this member has it. Proposals wait meanwhile and go to the next leader.
    /// Says whether somebody else leads, or nobody has to.
    pub async fn hand_over(&self) -> bool {
        match self.core.leads() {
            Leads::Here => self.core.hand_over().await,
            Leads::There(..) | Leads::Nobody | Leads::Stopped => true,
        }
    }
}

impl Control {
    /// Prepares for the end of this process: gives the lead away, answers what was proposed to it, and stands for no
    /// election any more. A member that is about to end and hears nobody would otherwise only raise the term for all.
    pub async fn retire(&self) -> bool {
        let handed = self.hand_over().await;
        let _ended = self.core.handing_over.lock().await;
        self.core.raft.runtime_config().elect(false);
        if handed {
            self.core.settle().await;
        }
        handed
    }
}

/// While it is there, a leader takes no proposals and lets the others elect somebody else.
struct Yielding<'a>(&'a Core);

impl<'a> Yielding<'a> {
    fn begin(core: &'a Core) -> Self {
        let yielding = Self(core);
        yielding.switch(true);
        yielding
    }

    fn switch(&self, yields: bool) {
        let Self(core) = self;
        core.yielding.store(yields, Ordering::Release);
        core.raft.runtime_config().heartbeat(!yields);
        core.raft.runtime_config().elect(!yields);
    }
}

impl Drop for Yielding<'_> {
    fn drop(&mut self) {
        self.switch(false);
    }
}

impl Core {
    /// Gives the lead away, also when nobody waits for it any more.
    pub(super) async fn hand_over(self: &Arc<Self>) -> bool {
        let core = self.clone();
        let handing = tokio::spawn(async move {
            let _alone = core.handing_over.lock().await;
            if !core.is_leading() {
                return true;
            }
            let _yielding = Yielding::begin(&core);
            // What was on its way is committed first, if it can be: nothing is appended once this has been seen.
            let wait = Duration::from_millis(core.timings.election_ms_max);
            drop(tokio::time::timeout(wait, core.appending.lock()).await);
            core.find_a_leader().await
        });
        handing.await.unwrap_or(false)
    }

    /// Waits until this member has applied all that is in its log now. What it appended as the leader and nobody had
    /// committed yet, the next leader commits, and only whoever proposed it here can be told. To close the door before
    /// would leave them without an answer. One that the next leader does not have is cut off, and not waited for long.
    async fn settle(&self) {
        let appended = self.raft.metrics().borrow().last_log_index.unwrap_or_default();
        let until = Instant::now() + Duration::from_millis(self.timings.election_ms_max);
        if !self.applied(appended, until).await {
            tracing::warn!("what was proposed last was not seen to be committed before this member ends");
        }
    }

    async fn find_a_leader(&self) -> bool {
        let until = Instant::now() + Duration::from_millis(self.timings.election_ms_max) * 2 + EACH;
        let mut metrics = self.raft.metrics();
        let (mut turn, mut unheard) = (0, 0);
        while Instant::now() < until {
            let ready = self.successors();
            // Whoever lacks an entry gets no vote, and would only have made this leader's term end.
            let whole =
                ready.iter().take_while(|(node, _)| !self.is_leading() || self.missing(*node) == 0).count();
            let (next, asked) = match ready.get(turn % whole.max(1)) {
                None => return false,
                Some(_) if whole == 0 => (until.min(Instant::now() + LOOK_AGAIN), None),
                Some(successor) => (until.min(Instant::now() + EACH), Some(successor)),
            };
            if let Some((node, member)) = asked {
                let call = self.calls.call::<_, bool>(node.0, member, wire::LEAD, &());
                let answered = matches!(tokio::time::timeout_at(next, call).await, Ok(Ok(_)));
                turn += 1;
                unheard = if answered { 0 } else { unheard + 1 };
                // Where everybody ends at the same time nobody is left to lead.
                if unheard > 2 * ready.len() {
                    return false;
                }
            }
            let others = metrics.wait_for(|now| now.current_leader.is_some_and(|leader| leader != self.id));
            if matches!(tokio::time::timeout_at(next, others).await, Ok(Ok(_))) {
                return true;
            }
        }
        false
    }

    fn is_leading(&self) -> bool {
        self.raft.metrics().borrow().state == ServerState::Leader
    }

    /// The other voters, those with most of the log first.
    fn successors(&self) -> Vec<(NodeId, Member)> {
        let mut ready: Vec<(NodeId, Member)> = self
            .members()
            .into_iter()
            .filter(|(id, (_, votes))| *votes && *id != self.id)
            .map(|(id, (member, _))| (NodeId(id), member))
            .collect();
        ready.sort_by_key(|(node, _)| (self.missing(*node), *node));
        ready
    }

    /// Stands for election because the leader asks for it, or one that has just ceased to be it.
    pub(super) async fn stand(&self, asked_by: NodeId) -> bool {
        let asked_by_leader =
            self.raft.metrics().borrow().current_leader.is_none_or(|leader| leader == asked_by.0);
        let votes = self.members().get(&self.id).is_some_and(|(_, votes)| *votes);
        asked_by_leader && votes && self.raft.trigger().elect().await.is_ok()
    }
}
