//! What a member does on its own while it runs: notice its end, add learners.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use tokio::sync::watch;

use super::{Core, FatalReason, Leads};
use crate::raft::disk::Latched;
use crate::raft::membership;
use crate::raft::types::{Member, Raft};

const LEARNERS_EVERY: Duration = Duration::from_millis(500);

/// Follows Raft's state until the member ends.
pub(super) async fn run(core: Arc<Core>, mut latched: watch::Receiver<Option<Latched>>) {
    let mut metrics = core.raft.metrics();
    let mut stopping = core.stopping.subscribe();
    let mut tick = tokio::time::interval(Duration::from_millis(core.timings.heartbeat_ms));
    loop {
        if *stopping.borrow_and_update() {
            return;
        }
        if let Some(latched) = latched.borrow_and_update().clone() {
            return core.stop_for(latched.to_string());
        }
        if let Err(fatal) = look(&core, &mut metrics) {
            return core.stop_for(fatal);
        }
        tokio::select! {
            changed = metrics.changed() => if changed.is_err() && !*stopping.borrow() {
                return core.stop_for("raft has stopped".to_owned());
            },
            // A closed channel means that the disk is closed, which the other channels tell of as well.
            Ok(()) = latched.changed() => {}
            _ = stopping.changed() => {}
            _ = tick.tick() => {}
        }
    }
}

/// Sees that Raft still runs. A voter that is alone has nobody whose answers could prove its view.
fn look(core: &Core, metrics: &mut watch::Receiver<openraft::RaftMetrics<u64, Member>>) -> Result<(), String> {
    let metrics = metrics.borrow_and_update();
    if let Err(fatal) = &metrics.running_state {
        return Err(fatal.to_string());
    }
    let own_term = metrics.last_applied.is_some_and(|id| id.leader_id.term == metrics.current_term);
    let alone = metrics.membership_config.voter_ids().eq([core.id]);
    if metrics.state == ServerState::Leader && own_term && alone {
        core.view.freshness.alone();
    }
    Ok(())
}

impl Core {
    fn stop_for(&self, reason: String) {
        if !*self.stopping.borrow() {
            tracing::error!(%reason, "this member of the control plane can no longer take part");
            self.fatal.send_replace(Some(FatalReason(reason)));
        }
    }
}

/// Adds the learners that the configuration names, whenever this member leads.
pub(super) async fn keep_learners(core: Arc<Core>) {
    let mut stopping = core.stopping.subscribe();
    while !core.learners.is_empty() && !*stopping.borrow_and_update() {
        if matches!(core.leads(), Leads::Here) {
            add_missing(&core, &core.raft).await;
        }
        let _ = tokio::time::timeout(LEARNERS_EVERY, stopping.changed()).await;
    }
}

async fn add_missing(core: &Core, raft: &Raft) {
    for (node, member) in &core.learners {
        match membership::add_learner(raft, *node, member.clone(), core.timings.propose()).await {
            Ok(()) => {}
            // Another leader, another change, or no quorum: the next round tries again.
            Err(error) => tracing::debug!(%error, learner.node = %node, "a learner was not added"),
        }
    }
}
