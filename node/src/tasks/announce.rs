//! Tells the control plane where this region is reached, at the first start and when the addresses have changed.

use std::time::Duration;

use residency_control::{Command, Outcome, RegionEntry};

use crate::wiring::Node;

const PAUSE: Duration = Duration::from_millis(500);

/// Proposes the region's entry until the directory has it.
pub fn announce(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let (reader, writer) = (node.control.reader(), node.control.writer());
    let entry = RegionEntry {
        region: node.config.region.region(),
        public: node.config.listen.advertise_public.clone(),
        peer: node.config.listen.advertise_peer.clone(),
    };
    async move {
        loop {
            if reader.region(entry.region).as_ref() == Some(&entry) {
                return;
            }
            match writer.propose(Command::AddRegion(entry.clone())).await {
                Ok(proposed) => match proposed.outcome {
                    Outcome::Done => {
                        tracing::info!(region = %entry.region, public = %entry.public, "the region was announced");
                        return;
                    }
                    Outcome::Refused(refusal) => {
                        tracing::error!(%refusal, "the control plane refused to announce this region");
                        return;
                    }
                },
                // Nobody leads yet, mostly. The next one is told as soon as there is one.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
