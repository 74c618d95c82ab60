//! Tells the other regions the head of this region's audit log, so that no other one can be shown for it later.

use std::sync::Arc;
use std::time::Duration;

use residency_control::audit_log::LogChange;
use residency_control::{Command, Outcome, Reader, Refusal, Writer};
use residency_policy::Region;

use crate::wiring::Node;
use crate::wiring::audit_log::{AuditLog, Stopped};

/// How often a head is told while the log grows.
const EVERY: Duration = Duration::from_secs(2);

/// Tells for ever, while this node sequences.
pub fn publish(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let (reader, writer) = (node.control.reader(), node.control.writer());
    let (log, region) = (Arc::clone(&node.audit_log), node.config.region.region());
    async move {
        loop {
            if log.standing().holds {
                tell(&reader, &writer, &log, region).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn tell(reader: &Reader, writer: &Writer, log: &AuditLog, region: Region) {
    let Some(change) = news(reader, log, region) else { return };
    // Nobody leads, mostly. The next head is told in its place.
    let Ok(proposed) = writer.propose(Command::AuditLog(change)).await else { return };
    match proposed.outcome {
        // A region that nobody knows yet has been announced a moment later.
        Outcome::Done | Outcome::Refused(Refusal::UnknownRegion) => {}
        Outcome::Refused(Refusal::SplitView) => log.stop(Stopped::Forked),
        Outcome::Refused(Refusal::AlreadyKnown | Refusal::NotSigned) => log.stop(Stopped::OtherKeys),
        Outcome::Refused(Refusal::Rewound) => {
            let published = reader.audit_log(region).and_then(|log| log.head().map(|head| head.size));
            // Another node of the region may have told a newer one meanwhile, which this database has too.
            if published > Some(log.standing().size) {
                log.stop(Stopped::Behind);
            }
        }
        Outcome::Refused(refusal) => tracing::error!(%refusal, "the audit log's head was not taken"),
    }
}

/// What the control plane does not know yet.
fn news(reader: &Reader, log: &AuditLog, region: Region) -> Option<LogChange> {
    let Some(known) = reader.audit_log(region) else { return Some(LogChange::Register(*log.keys())) };
    let head = log.standing().head?;
    let newer = known.head().is_none_or(|kept| kept.size < head.size || kept.root != head.root);
    newer.then_some(LogChange::Publish { region, head })
}
