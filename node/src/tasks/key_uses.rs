//! Tells the others when API keys were last used at this node.

use std::sync::Arc;
use std::time::Duration;

use residency_control::Command;
use residency_control::api_keys::{KeyChange, KeyUses};

use crate::wiring::Node;

/// How often. An administrator who asks whether a key is in use can wait that long.
const EVERY: Duration = Duration::from_mins(5);

/// Tells for ever. What could not be told is told with the next, as it was or later.
pub fn tell(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let (used, writer) = (Arc::clone(&node.used), node.control.writer());
    async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let mut left = used.take();
            while !left.is_empty() {
                let some = left.split_off(left.len().saturating_sub(KeyUses::LEN_MAX));
                let Ok(list) = KeyUses::new(some.clone()) else { continue };
                if let Err(error) = writer.propose(Command::Key(KeyChange::NoteUses(list))).await {
                    tracing::debug!(%error, "when keys were last used could not be told; it is told later");
                    for (key, at) in some.into_iter().chain(left.drain(..)) {
                        used.note(key, at);
                    }
                }
            }
        }
    }
}
