//! What a handler knows of the node it runs in. The node's wiring fills it; nothing here reads a configuration.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use rates::Rates;
use residency_control::audit_log::AuditLog;
use residency_control::calendar::Ledger;
use residency_control::signin::{SignInSettings, SignIns};
use residency_control::{
    Command, KeyStanding, LegalBasis, ProposeError, Proposed, Provider, Providers, Recorded, User,
};
use residency_policy::{
    Clock, Closure, Entropy, Facility, Npi, OrgId, OrgType, PatientId, Placement, ProviderId, Region, Ruleset,
    UserId,
};
use storage::RegionPool;

use crate::policies::Policies;
use crate::{Admission, Credential, Jurisdictions, Metrics, NotRecognised, Secret};

/// The control plane's view as the API reads it: at memory speed, never over the network.
pub trait Directory: Send + Sync + 'static {
    /// Where a patient lives.
    fn placement(&self, patient: PatientId) -> Option<Placement>;
    /// How long ago this view was shown to be what a quorum holds.
    fn view_age(&self) -> Duration;
    /// The rules in force, when their digest and signature were checked here.
    fn rules(&self) -> Option<Arc<Ruleset>>;
    /// Whose API key or access token this is: not revoked, ended or expired, of an active organisation.
    fn authenticate(&self, bearer: &str, now: Timestamp) -> Result<Credential, NotRecognised>;
    /// Waits until this view has an entry of the replicated log.
    fn reached(&self, index: u64) -> BoxFuture<'_, ()>;
    /// Who can sign in and who is signed in. Little is copied.
    fn signins(&self) -> SignIns;
    /// What an organisation asks of everybody who acts for it; nothing, where it set nothing.
    fn settings(&self, org: OrgId) -> Option<Arc<SignInSettings>> {
        self.signins().settings(org).cloned()
    }
    /// An organisation's API keys, revoked and expired ones included.
    fn keys_of(&self, org: OrgId) -> Vec<KeyStanding>;
    /// One region.
    fn region(&self, region: Region) -> Option<RegionView>;
    /// Every region, in a fixed order.
    fn regions(&self) -> Vec<RegionView>;
    /// What every region's audit log is known by, and who has seen which head of it.
    fn audit_logs(&self) -> Vec<AuditLog>;
    /// One organisation.
    fn organisation(&self, org: OrgId) -> Option<OrgView>;
    /// What is recorded to let a marketing organisation have anything of a patient, whether it holds today or not.
    fn legal_basis(&self, org: OrgId) -> Option<LegalBasis>;
    /// Who recorded it, if that was kept.
    fn legal_basis_recorded(&self, org: OrgId) -> Option<Recorded>;
    /// Every organisation.
    fn organisations(&self) -> Vec<OrgView>;
    /// One user.
    fn user(&self, user: UserId) -> Option<Arc<User>>;
    /// At most so many users of an organisation after this one, ascending by id.
    fn users_of(&self, org: OrgId, after: Option<UserId>, at_most: usize) -> Vec<Arc<User>>;
    /// Which clinician a user is at an organisation.
    fn clinician(&self, user: UserId, org: OrgId) -> Option<ProviderId>;
    /// The index of the last entry of the replicated log that this view has.
    fn applied(&self) -> u64;
    /// Every clinician, and the index of the last entry of the replicated log in that. Nothing is copied.
    fn providers(&self) -> (LogIndex, Arc<Providers>);
    /// Every calendar and who waits, and the index of the last entry of the replicated log in that. Little is copied.
    fn ledger(&self) -> (LogIndex, Ledger);
    /// One clinician.
    fn provider(&self, id: ProviderId) -> Option<Arc<Provider>> {
        self.providers().1.get(id).cloned()
    }
    /// One clinician, by NPI.
    fn provider_by_npi(&self, npi: Npi) -> Option<Arc<Provider>> {
        self.providers().1.by_npi(npi).cloned()
    }
}

/// Changes of the control plane. Each is answered when it is durable on a quorum.
pub trait Changes: Send + Sync + 'static {
    /// Adds an organisation. Repeating the same one changes nothing.
    fn add_organisation(&self, new: NewOrganisation) -> BoxFuture<'_, Result<LogIndex, ChangeRefused>>;
    /// Has one command done, and says what it did. What it changed can be read here as soon as this returns.
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Proposed, ProposeError>>;
    /// Waits until this node's view has everything that was acknowledged to anybody before the call.
    fn barrier(&self) -> BoxFuture<'_, Result<u64, ProposeError>>;
}

/// Whether this node can serve, and what is wrong if not.
pub trait Readiness: Send + Sync + 'static {
    /// Looks at everything that a request needs. Bounded in time.
    fn check(&self) -> BoxFuture<'_, Checks>;
}

/// One part of readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It works.
    Right,
    /// It does not, and this is what an operator may do. A constant of the program.
    Wrong(&'static str),
}

/// The parts of readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// This region's Postgres.
    pub database: Check,
    /// The KMS and the keyring.
    pub keys: Check,
    /// The control plane, as this node sees it.
    pub control: Check,
    /// The rules in force.
    pub rules: Check,
    /// The access policies in force.
    pub policies: Check,
    /// The certificates. Callers are served whatever is said of them.
    pub certificates: Check,
    /// The region's audit log. Access records are written whatever is said of it.
    pub audit_log: Check,
}

/// Where in the replicated log a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogIndex(pub u64);

/// Why the control plane did not make a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// There is no quorum, or it did not answer in time. The change may still happen; repeating it is safe.
    #[error("the control plane has no quorum")]
    NoQuorum,
    /// The name is not one that the control plane may hold.
    #[error("the name is not a public name")]
    BadName,
    /// It is there already and is different.
    #[error("an organisation with this id exists")]
    AlreadyExists,
    /// There are as many organisations as callers may add.
    #[error("there are as many organisations as callers may add")]
    Full,
    /// A state that should not be reachable.
    #[error("the control plane refused the change")]
    Other,
}

/// An organisation to be added. Its name is public: the control plane refuses what does not look like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrganisation {
    /// Its id, chosen here so that a repeated change is the same change.
    pub id: OrgId,
    /// Its public name.
    pub name: String,
    /// What kind it is.
    pub org_type: OrgType,
    /// Where it serves.
    pub serves: Jurisdictions,
    /// What public registers call it: of the kind above, or of none.
    pub facility: Option<Facility>,
}

/// An organisation, as every caller may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgView {
    /// Its id.
    pub id: OrgId,
    /// Its public name.
    pub name: String,
    /// What kind it is.
    pub org_type: OrgType,
    /// Where it serves.
    pub serves: Jurisdictions,
    /// What public registers call it.
    pub facility: Option<Facility>,
    /// Whether its keys are good.
    pub active: bool,
    /// Raised by every change: the entity tag.
    pub version: u64,
    /// Why it was closed, if it was.
    pub closed: Option<Closure>,
}

/// A region, as every caller may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionView {
    /// Which.
    pub region: Region,
    /// Its public endpoint, such as `https://tx.example.net:8443`.
    pub url: String,
}

/// What is accepted.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest body.
    pub body_bytes_max: usize,
    /// The deepest JSON.
    pub json_depth_max: usize,
    /// How many items a page has when nobody says.
    pub page_items_default: u32,
    /// The largest page.
    pub page_items_max: u32,
    /// The oldest view of the directory on which a change may rest.
    pub view_age_max: Duration,
    /// How long a request may take in all. Its body must be there in half of that, so that what follows has as much.
    pub request_time_max: Duration,
}

impl Limits {
    /// How long a body may take to come.
    pub fn body_time_max(&self) -> Duration {
        self.request_time_max / 2
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 * 1024,
            json_depth_max: 8,
            page_items_default: 50,
            page_items_max: 200,
            view_age_max: Duration::from_secs(10),
            request_time_max: Duration::from_secs(30),
        }
    }
}

/// Everything a handler needs, by name.
pub struct Parts {
    /// The region that this node serves.
    pub region: Region,
    /// Its database.
    pub pool: RegionPool,
    /// The control plane's view.
    pub directory: Arc<dyn Directory>,
    /// Changes of the control plane.
    pub changes: Arc<dyn Changes>,
    /// Whether this node can serve.
    pub readiness: Arc<dyn Readiness>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What is accepted.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who may do what.
    pub policies: Arc<Policies>,
    /// How many a caller may ask for, of those that no router counted.
    pub rates: Arc<Rates>,
    /// How much is worked on at once.
    pub admission: Arc<Admission>,
}

/// The state of every route; cheap to clone.
#[derive(Clone)]
pub struct Here(Arc<Inner>);

struct Inner {
    parts: Parts,
    secret: Secret,
}

impl Here {
    /// Joins the parts.
    pub fn new(parts: Parts) -> Self {
        // From the region's own index key, so that it is the same on every node of the region and after a restart.
        let secret = Secret::new(parts.pool.fingerprint(b"node-access: the secret of cursors, v1"));
        Self(Arc::new(Inner { parts, secret }))
    }

    /// What seals cursors.
    pub fn secret(&self) -> &Secret {
        &self.0.secret
    }
}

impl Deref for Here {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}
