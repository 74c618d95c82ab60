//! Memory-speed local reads of what this member has applied.

use std::sync::Arc;
use std::time::Duration;

use residency_policy::{KeyId, OrgId, PatientId, Placement, Region};

use crate::server::{Core, Status};
use crate::{KeyVerifier, Organisation, PolicyVersion, RegionEntry};

/// Reads this member's view. Cheap to clone; never waits for the network.
#[derive(Clone)]
pub struct Reader {
    core: Arc<Core>,
}

/// The view was not as asked in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the view of the control plane was not as asked in time")]
pub struct StillNot;

impl Reader {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Where a patient lives.
    pub fn placement(&self, patient: PatientId) -> Option<Placement> {
        self.core.view.read(|a| a.state.placement(patient))
    }

    /// How many ids are in the directory.
    pub fn placements_len(&self) -> usize {
        self.core.view.read(|a| a.state.directory().len())
    }

    /// Every placement that is no longer as it was claimed: retired, or at a later epoch.
    pub fn changed_placements(&self) -> Vec<Placement> {
        self.core.view.read(|a| a.state.directory().changed().collect())
    }

    /// Where a region is reached.
    pub fn region(&self, region: Region) -> Option<RegionEntry> {
        self.core.view.read(|a| a.state.regions().get(&region).cloned())
    }

    /// Every region.
    pub fn regions(&self) -> Vec<RegionEntry> {
        self.core.view.read(|a| a.state.regions().values().cloned().collect())
    }

    /// One organisation.
    pub fn organisation(&self, id: OrgId) -> Option<Organisation> {
        self.core.view.read(|a| a.state.organisations().get(&id).cloned())
    }

    /// Every organisation, ascending by id.
    pub fn organisations(&self) -> Vec<Organisation> {
        self.core.view.read(|a| a.state.organisations().values().cloned().collect())
    }

    /// One API key's verifier, revoked and expired ones included.
    pub fn key(&self, key: KeyId) -> Option<KeyVerifier> {
        self.core.view.read(|a| a.state.keys().get(&key).cloned())
    }

    /// Which rules the control plane says are in force.
    pub fn policy(&self) -> Option<PolicyVersion> {
        self.core.view.read(|a| a.state.policy().cloned())
    }

    /// How long ago this view was shown to be what a quorum holds: everything that was acknowledged to anybody
    /// before that is in it. [`Duration::MAX`] before it was shown the first time.
    pub fn age(&self) -> Duration {
        self.core.view.freshness.age().unwrap_or(Duration::MAX)
    }

    /// The index of the last log entry in this view.
    pub fn applied(&self) -> u64 {
        self.core.view.index()
    }

    /// Waits until the view is past an index, and tells the index that it is at.
    pub async fn applied_after(&self, index: u64) -> u64 {
        let mut seen = self.core.view.watch();
        let past = seen.wait_for(|now| *now > index).await.map(|now| *now).ok();
        match past {
            Some(now) => now,
            // Whoever holds the reader holds the view as well.
            None => std::future::pending().await,
        }
    }

    /// This member as an operator sees it.
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// Waits until the view is as asked; looks again after every change and every few milliseconds, since the
    /// view's age and the leader change without a change of the state.
    pub async fn wait(&self, what: impl Fn(&Self) -> bool, within: Duration) -> Result<(), StillNot> {
        let mut index = self.core.view.watch();
        let waited = tokio::time::timeout(within, async {
            while !what(self) {
                let _ = tokio::time::timeout(Duration::from_millis(10), index.changed()).await;
            }
        });
        waited.await.map_err(|_| StillNot)
    }
}
