//! Notices a member's end: a failed disk, a Raft that stopped, or the word of another member that this one is none.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use tokio::sync::watch;

use super::{Core, FatalReason};
use crate::raft::disk::Latched;
use crate::raft::types::Member;

/// Follows Raft's state until the member ends. Every entry changes Raft's metrics several times; what matters here changes
/// with the member's part, ends with Raft, or is seen by looking now and then.
pub(super) async fn run(core: Arc<Core>, mut latched: watch::Receiver<Option<Latched>>) {
    let (metrics, mut part) = (core.raft.metrics(), core.raft.server_metrics());
    let (mut stopping, mut fatal) = (core.stopping.subscribe(), core.fatal.subscribe());
    let mut tick = tokio::time::interval(Duration::from_millis(core.timings.heartbeat_ms));
    loop {
        if *stopping.borrow_and_update() {
            return;
        }
        let told = fatal.borrow_and_update().clone();
        if let Some(reason) = told {
            tracing::error!(%reason, "this member of the control plane can no longer take part");
            // Whoever is no member must not vote, not even while the process comes to its end.
            let _ = core.raft.shutdown().await;
            return;
        }
        if let Some(latched) = latched.borrow_and_update().clone() {
            core.stop_for(FatalReason::Stopped(latched.to_string()));
            continue;
        }
        if let Err(fatal) = look(&core, &metrics) {
            core.stop_for(FatalReason::Stopped(fatal));
            continue;
        }
        tokio::select! {
            changed = part.changed() => if changed.is_err() && !*stopping.borrow() {
                let why = look(&core, &metrics).err();
                core.stop_for(FatalReason::Stopped(why.unwrap_or_else(|| "raft has stopped".to_owned())));
            },
            // A closed channel means that the disk is closed, which the other channels tell of as well.
            Ok(()) = latched.changed() => {}
            _ = stopping.changed() => {}
            _ = fatal.changed() => {}
            _ = tick.tick() => {}
        }
    }
}

/// Sees that Raft still runs. A voter that is alone has nobody whose answers could prove its view.
fn look(core: &Core, metrics: &watch::Receiver<openraft::RaftMetrics<u64, Member>>) -> Result<(), String> {
    let metrics = metrics.borrow();
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
    /// The first reason counts.
    pub(super) fn stop_for(&self, reason: FatalReason) {
        if !*self.stopping.borrow() && self.fatal.borrow().is_none() {
            self.fatal.send_replace(Some(reason));
        }
    }
}
