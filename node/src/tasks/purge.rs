//! Forgets the answers that were kept for requests which may be repeated.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use residency_policy::Clock;

use crate::wiring::Node;

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(72);
const EVERY: Duration = Duration::from_hours(1);

/// Forgets for ever, once at the start and then every hour.
pub fn purge(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let (pool, clock) = (node.pool.clone(), Arc::clone(&node.clock));
    async move {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tick.tick().await;
            match pool.purge_answers(before(&*clock)).await {
                Ok(0) => {}
                Ok(purged) => tracing::info!(purged, "answers kept for repeated requests were forgotten"),
                Err(error) => tracing::warn!(%error, "old answers could not be forgotten; it is tried again"),
            }
        }
    }
}

/// Answers from before this are forgotten.
fn before(clock: &dyn Clock) -> Timestamp {
    clock.now().saturating_sub(KEPT).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(Timestamp);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[test]
    fn an_answer_is_kept_for_three_days() {
        let now: Timestamp = "2026-03-04T12:00:00Z".parse().expect("a time");
        assert_eq!(before(&At(now)).to_string(), "2026-03-01T12:00:00Z");
        assert_eq!(before(&At(Timestamp::MIN)), Timestamp::MIN, "a clock that is wrong forgets nothing");
    }
}
