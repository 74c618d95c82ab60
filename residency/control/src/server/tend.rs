//! What the leader does for the other members, and what a member asks that hears from nobody.

use std::sync::Arc;
use std::time::Duration;

use residency_policy::NodeId;

use super::report::{self, MemberReport};
use super::{Core, Leads};
use crate::command::Command;
use crate::raft::membership;
use crate::raft::wire;

const EVERY: Duration = Duration::from_millis(500);
/// How long a member hears nothing before it asks one after the other whether it is still one of them.
const SILENCE: Duration = Duration::from_secs(5);

/// Looks after the others while this member leads, and after itself when nobody does.
pub(super) async fn run(core: Arc<Core>) {
    let mut stopping = core.stopping.subscribe();
    let mut asked = 0;
    while !*stopping.borrow_and_update() {
        if matches!(core.leads(), Leads::Here) {
            add_learners(&core).await;
            enlist(&core).await;
        } else if core.view.freshness.shown().is_none_or(|age| age > SILENCE) {
            ask_someone(&core, asked).await;
            asked = asked.wrapping_add(1);
        }
        let _ = tokio::time::timeout(EVERY, stopping.changed()).await;
    }
}

/// Adds the learners that the configuration names, except those that were removed: a configuration is not read again,
/// and must not undo what an operator has done since.
async fn add_learners(core: &Core) {
    for (node, member) in core.learners.iter().filter(|(node, _)| !core.was_removed(**node)) {
        match membership::add_learner(&core.raft, *node, member.clone(), core.timings.propose()).await {
            Ok(()) => {}
            // Another leader, another change, or no quorum: the next round tries again.
            Err(error) => tracing::debug!(%error, learner.node = %node, "a learner was not added"),
        }
    }
}

/// Notes the disks of the members that have said which one they have.
async fn enlist(core: &Core) {
    let unknown: Vec<NodeId> = core.view.read(|applied| {
        let seats = applied.state.seats().iter();
        seats.filter(|(_, disk)| disk.is_none()).map(|(node, _)| *node).collect()
    });
    let commands: Vec<Command> = unknown
        .into_iter()
        .filter_map(|node| {
            let disk = if node.0 == core.id { Some(core.calls.disk) } else { core.calls.disk_of(node.0) };
            Some(Command::Enlist { node, disk: disk? })
        })
        .collect();
    if !commands.is_empty() {
        // As if it had been sent on already: who no longer leads has nothing to say here. The next round looks again.
        let _ = core.submit(commands, true).await;
    }
}

/// A member that was removed while it was away, or whose disk is another's, is told so by anybody it asks.
async fn ask_someone(core: &Core, turn: usize) {
    let members = core.members();
    let others: Vec<_> = members.iter().filter(|(id, _)| **id != core.id).collect();
    let Some((id, (member, _))) = others.get(turn % others.len().max(1)) else { return };
    let call = core.calls.call::<_, MemberReport>(**id, member, wire::REPORT, &());
    // What matters of the answer was seen by whoever read it.
    let _ = tokio::time::timeout(report::WITHIN, call).await;
}
