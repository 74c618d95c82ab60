//! Memory-speed local reads of what this member has applied.

use std::sync::Arc;
use std::time::Duration;

use residency_policy::{KeyId, Npi, OrgId, PatientId, Placement, ProviderId, Region, UserId};

use crate::api_keys::{KeyGrant, KeyStanding};
use crate::audit_log::AuditLog;
use crate::calendar::{Book, Ledger};
use crate::machine::State;
use crate::server::{Core, Status};
use crate::{
    KeyVerifier, Organisation, OrganisationMark, PolicyVersion, Provider, Providers, RegionEntry, User,
};

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

    /// Grows whenever [`Reader::changed_placements`] may say something new.
    pub fn placement_turns(&self) -> u64 {
        self.core.view.read(|a| a.state.directory().turns())
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

    /// One organisation, and how often it was changed.
    pub fn marked_organisation(&self, id: OrgId) -> Option<(Organisation, OrganisationMark)> {
        self.core.view.read(|a| Some((a.state.organisations().get(&id)?.clone(), a.state.mark(id))))
    }

    /// One user.
    pub fn user(&self, id: UserId) -> Option<Arc<User>> {
        self.core.view.read(|a| a.state.user(id).cloned())
    }

    /// At most so many users of an organisation after this one, ascending by id.
    pub fn users_of(&self, org: OrgId, after: Option<UserId>, at_most: usize) -> Vec<Arc<User>> {
        self.core.view.read(|a| a.state.users_of(org, after).take(at_most).cloned().collect())
    }

    /// One clinician.
    pub fn provider(&self, id: ProviderId) -> Option<Arc<Provider>> {
        self.core.view.read(|a| a.state.providers().get(id).cloned())
    }

    /// One clinician, by NPI.
    pub fn provider_by_npi(&self, npi: Npi) -> Option<Arc<Provider>> {
        self.core.view.read(|a| a.state.providers().by_npi(npi).cloned())
    }

    /// Every clinician. Whoever holds it keeps no change from being made; a change copies what it touches.
    pub fn providers(&self) -> Arc<Providers> {
        self.core.view.read(|a| Arc::clone(a.state.providers()))
    }

    /// One provider's calendar with what stands in it.
    pub fn book(&self, provider: ProviderId) -> Option<Arc<Book>> {
        self.core.view.read(|a| a.state.ledger().book(provider).cloned())
    }

    /// Every calendar, and who waits. Whoever holds it keeps no change from being made.
    pub fn ledger(&self) -> Ledger {
        self.core.view.read(|a| a.state.ledger().clone())
    }

    /// Reads several things of one moment, and tells the index of the last log entry in them.
    pub fn at<T>(&self, read: impl FnOnce(&State) -> T) -> (u64, T) {
        self.core.view.read(|a| (a.last.map_or(0, |id| id.index), read(&a.state)))
    }

    /// Every organisation, ascending by id.
    pub fn organisations(&self) -> Vec<Organisation> {
        self.core.view.read(|a| a.state.organisations().values().cloned().collect())
    }

    /// One API key's verifier, revoked and expired ones included.
    pub fn key(&self, key: KeyId) -> Option<KeyVerifier> {
        self.core.view.read(|a| a.state.keys().get(&key).cloned())
    }

    /// An organisation's API keys, revoked and expired ones included.
    pub fn keys_of(&self, org: OrgId) -> Vec<KeyStanding> {
        self.core.view.read(|a| a.state.keys_of(org).collect())
    }

    /// One API key's verifier, whose it is, what was said when it was issued, and whether its organisation and its user let
    /// it be used now.
    pub(crate) fn holder(&self, key: KeyId) -> Option<(KeyVerifier, Option<UserId>, Option<KeyGrant>, bool)> {
        self.core.view.read(|a| {
            let verifier = a.state.keys().get(&key)?.clone();
            let user = a.state.key_users.get(&key).copied();
            let active = a.state.organisations().get(&verifier.org).is_some_and(|org| org.active);
            let may = active && a.state.may_have(verifier.org, verifier.role);
            let may = may && user.is_none_or(|user| a.state.may(user, &verifier));
            Some((verifier, user, a.state.grant(key).cloned(), may))
        })
    }

    /// Which rules the control plane says are in force.
    pub fn policy(&self) -> Option<PolicyVersion> {
        self.core.view.read(|a| a.state.policy().cloned())
    }

    /// Which access policies the control plane says are in force. `None` where those that come with the program are.
    pub fn access_policies(&self) -> Option<PolicyVersion> {
        self.core.view.read(|a| a.state.access_policies().cloned())
    }

    /// What is known of a region's audit log.
    pub fn audit_log(&self, region: Region) -> Option<AuditLog> {
        self.core.view.read(|a| a.state.audit_logs().get(&region).cloned())
    }

    /// What is known of every region's audit log.
    pub fn audit_logs(&self) -> Vec<AuditLog> {
        self.core.view.read(|a| a.state.audit_logs().values().cloned().collect())
    }

    /// How long ago this view was shown to be what a quorum holds: everything that was acknowledged to anybody
    /// before that is in it. A member that starts without a quorum goes by what its earlier run wrote down;
    /// [`Duration::MAX`] where that cannot be known.
    pub fn age(&self) -> Duration {
        self.core.view.freshness.age().unwrap_or(Duration::MAX)
    }

    /// Whether this member has heard from a quorum since it was started.
    pub fn has_heard(&self) -> bool {
        self.core.view.freshness.shown().is_some()
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
