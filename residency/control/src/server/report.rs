//! How every member is doing, asked of each.

use std::sync::Arc;
use std::time::Duration;

use residency_policy::{DiskId, NodeId};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{Core, Standing};
use crate::Control;
use crate::peer::PeerId;
use crate::raft::types::Member;
use crate::raft::wire;

/// How long one member has to answer.
pub(super) const WITHIN: Duration = Duration::from_secs(2);

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Who it is.
    pub node: NodeId,
    /// What it is at the moment.
    pub standing: Standing,
    /// Raft's term.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The last log entry in its view.
    pub applied: u64,
    /// The last log entry on its disk.
    pub last_log: u64,
    /// How old its view is, in milliseconds.
    pub view_age_ms: Option<u64>,
    /// The second after the Unix epoch at which the certificate ends that it shows to the others.
    pub certificate_until: i64,
}

/// One member and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberLine {
    /// Who it is.
    pub node: NodeId,
    /// The same, as in its certificate.
    pub identity: String,
    /// Where it is reached.
    pub at: String,
    /// Whether it votes.
    pub voter: bool,
    /// The disk that it joined with, once that was noted.
    pub disk: Option<DiskId>,
    /// What it said.
    pub report: Option<MemberReport>,
    /// Why it said nothing.
    pub silent_because: Option<String>,
}

/// The whole control plane, as one member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Who was asked.
    pub asked: NodeId,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The last log entry that any member has on its disk.
    pub last_log: u64,
    /// The members, ascending by id.
    pub members: Vec<MemberLine>,
    /// Ids of members that were removed. None of them can come back.
    pub gone: Vec<NodeId>,
}

impl Control {
    /// Asks every member how it is doing.
    pub async fn roster(&self) -> Roster {
        let core = &self.core;
        let mut asking = JoinSet::new();
        for (id, (member, voter)) in core.members() {
            let core = Arc::clone(core);
            asking.spawn(async move { line(&core, id, &member, voter).await });
        }
        let mut members = asking.join_all().await;
        members.sort_by_key(|line| line.node);
        let gone = core.view.read(|applied| applied.state.seats().keys().copied().collect::<Vec<_>>());
        let own = core.report();
        let told = members.iter().filter_map(|line| line.report.as_ref()).map(|report| report.last_log);
        Roster {
            asked: own.node,
            leader: own.leader,
            last_log: told.max().unwrap_or(own.last_log),
            gone: gone.into_iter().filter(|node| core.was_removed(*node)).collect(),
            members,
        }
    }
}

async fn line(core: &Core, id: u64, member: &Member, voter: bool) -> MemberLine {
    let reached = core.calls.member(id, member);
    let said = if id == core.id {
        Ok(core.report())
    } else {
        match tokio::time::timeout(WITHIN, core.calls.call(id, member, wire::REPORT, &())).await {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    };
    let (report, silent_because) = match said {
        Ok(report) => (Some(report), None),
        Err(why) => (None, Some(why)),
    };
    MemberLine {
        node: NodeId(id),
        identity: PeerId { kind: member.kind, node: NodeId(id) }.to_string(),
        at: reached.endpoint().to_string(),
        voter,
        disk: core.view.read(|applied| applied.state.seats().get(&NodeId(id)).copied().flatten()),
        report,
        silent_because,
    }
}

impl Core {
    /// What this member says of itself.
    pub(super) fn report(&self) -> MemberReport {
        let status = self.status();
        MemberReport {
            node: status.node,
            standing: status.standing,
            term: status.term,
            leader: status.leader,
            applied: status.applied,
            last_log: status.last_log,
            view_age_ms: status.view_age_ms,
            certificate_until: self.calls.pool.tls().own_validity().until.as_second(),
        }
    }
}
