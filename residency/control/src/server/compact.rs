//! When a snapshot is worth its while. One costs as much as the state is large, so a member with a large directory
//! makes one after more log entries than a member with a small one.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::propose::LOOK_AGAIN;

/// The directory for which the configured number of entries is meant. One of twice as many ids waits for twice as many
/// entries, so that what snapshots write stays in proportion to what the log writes.
const IDS: u64 = 1_000_000;

/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_millis(100);

/// After how many entries the next snapshot is due.
fn distance(entries: u64, ids: u64) -> u64 {
    entries.saturating_mul(1 + ids / IDS)
}

/// Asks for snapshots until the member stops.
pub(super) async fn run(core: Arc<Core>) {
    let (metrics, mut stopping) = (core.raft.metrics(), core.stopping.subscribe());
    let mut asked_at = 0;
    while !*stopping.borrow_and_update() {
        let (applied, last) = {
            let metrics = metrics.borrow();
            (metrics.last_applied.map_or(0, |id| id.index), metrics.snapshot.map_or(0, |id| id.index))
        };
        let (ids, settled) = core.view.read(|applied| {
            let directory = applied.state.directory();
            (directory.len() as u64, directory.is_settled())
        });
        // One that is being built need not be asked for again, and one that failed is, after as many entries. What came
        // during the last one finds its place first: otherwise it would pile up under changes that never pause.
        if settled && applied >= last.max(asked_at).saturating_add(distance(core.timings.snapshot_entries, ids))
        {
            asked_at = applied;
            if core.raft.trigger().snapshot().await.is_err() {
                return;
            }
        }
        // Not at every entry: they come faster than that, and a few more before a snapshot do no harm.
        let look = if settled { LOOK } else { LOOK_AGAIN };
        let _ = tokio::time::timeout(look, stopping.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_directory_waits_longer() {
        assert_eq!(distance(5_000, 0), 5_000);
        assert_eq!(distance(5_000, 999_999), 5_000);
        assert_eq!(distance(5_000, 10_000_000), 55_000);
        assert_eq!(distance(u64::MAX, 300_000_000), u64::MAX);
    }
}
