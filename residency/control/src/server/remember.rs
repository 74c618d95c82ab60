//! Keeps on disk when the view was last proven, so that a member which restarts without a quorum knows how old it is.
//!
//! Rarely: an fsync for every heartbeat would cost more than all else that an idle member does. What is lost by that
//! makes the view look older than it is, never younger.

use std::sync::Arc;
use std::time::Duration;

use residency_policy::Clock;
use tokio::time::Instant;

use super::Core;
use crate::raft::disk::{Disk, Work};
use crate::raft::remembered::Remembered;

/// How often a member that goes on hearing from a quorum writes that down.
const EVERY: Duration = Duration::from_mins(1);
/// How long the first proof after a start is waited for between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Notes the proof now and then, and once more when the member stops. It holds the disk until then.
pub(super) async fn run(core: Arc<Core>, disk: Disk, clock: Arc<dyn Clock>) {
    let mut stopping = core.stopping.subscribe();
    let mut next = Instant::now();
    while !*stopping.borrow_and_update() {
        if Instant::now() >= next && note(&core, &disk, &*clock).await {
            next = Instant::now() + EVERY;
        }
        let look = next.max(Instant::now() + LOOK);
        let _ = tokio::time::timeout_at(look, stopping.changed()).await;
    }
    note(&core, &disk, &*clock).await;
}

/// Writes down the proof of this run, if there is one. A proof that was only remembered is on disk already.
async fn note(core: &Core, disk: &Disk, clock: &dyn Clock) -> bool {
    // In this order: what is applied after the proof was seen holds at least what was proven.
    let Some(age) = core.view.freshness.shown() else { return false };
    let applied = core.view.index();
    let Some(remembered) = Remembered::of(age, applied, clock.now()) else { return false };
    let Ok(bytes) = postcard::to_allocvec(&remembered) else { return false };
    // A disk that no longer takes writes has told the member so by itself.
    disk.write(Work::Remember(bytes)).await.is_ok()
}
