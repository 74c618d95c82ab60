//! What the stages of a request know of the cluster: the replicated view, behind a small trait.
//!
//! The stages are generic over it, so that they can be tested without a cluster, and so that it is plain to see
//! how little they read: ids, homes, endpoints, rules. Nothing here waits for the network except
//! [`Known::advanced`], which waits for the view to move.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use residency_control::rules::RulesInForce;
use residency_control::{JurisdictionSet, Reader, RegionEntry, keys};
use residency_policy::{Epoch, PatientId, Placement, Region, Ruleset};

/// The view that the stages read.
pub trait Known: Send + Sync + 'static {
    /// Where a patient lives.
    fn placement(&self, patient: PatientId) -> Option<Placement>;
    /// Where a region is reached.
    fn region(&self, region: Region) -> Option<RegionEntry>;
    /// Every region.
    fn regions(&self) -> Vec<RegionEntry>;
    /// The rules in force, if their signature and digest were checked here.
    fn rules(&self) -> Option<Arc<Ruleset>>;
    /// How long ago this view was shown to be what a quorum holds.
    fn age(&self) -> Duration;
    /// The jurisdictions of an API key, if the text is one that is valid now, of an organisation that is active.
    fn authenticate(&self, bearer: &str, now: Timestamp) -> Option<JurisdictionSet>;
    /// Waits until the view has another epoch for the patient than `past`. Says whether that came in time.
    fn advanced(&self, patient: PatientId, past: Epoch, within: Duration) -> impl Future<Output = bool> + Send;
}

/// The replica of the control plane that this process holds.
#[derive(Clone)]
pub struct Replica {
    reader: Reader,
    rules: Arc<RulesInForce>,
}

impl Replica {
    /// Reads through `reader`, with the rules that `rules` can prove.
    pub fn new(reader: Reader, rules: Arc<RulesInForce>) -> Self {
        Self { reader, rules }
    }
}

impl Known for Replica {
    fn placement(&self, patient: PatientId) -> Option<Placement> {
        self.reader.placement(patient)
    }

    fn region(&self, region: Region) -> Option<RegionEntry> {
        self.reader.region(region)
    }

    fn regions(&self) -> Vec<RegionEntry> {
        self.reader.regions()
    }

    fn rules(&self) -> Option<Arc<Ruleset>> {
        self.rules.current(&self.reader)
    }

    fn age(&self) -> Duration {
        self.reader.age()
    }

    fn authenticate(&self, bearer: &str, now: Timestamp) -> Option<JurisdictionSet> {
        keys::authenticate(&self.reader, bearer, now).map(|key| key.jurisdictions)
    }

    async fn advanced(&self, patient: PatientId, past: Epoch, within: Duration) -> bool {
        let moved = |reader: &Reader| reader.placement(patient).is_none_or(|placement| placement.epoch != past);
        self.reader.wait(moved, within).await.is_ok()
    }
}
