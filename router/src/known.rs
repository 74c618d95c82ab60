//! What the stages of a request know of the cluster: the replicated view, behind a small trait.
//!
//! The stages are generic over it, so that they can be tested without a cluster, and so that it is plain to see
//! how little they read: ids, homes, endpoints, rules. Nothing here waits for the network except
//! [`Known::advanced`], which waits for the view to move.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use rates::ClientAddress;
use residency_control::keys::Held;
use residency_control::machine::State;
use residency_control::rules::RulesInForce;
use residency_control::{JurisdictionSet, Reader, RegionEntry, keys};
use residency_policy::{Epoch, OrgId, PatientId, Placement, Region, Ruleset};
use residency_tokens::{NotLiving, Verifier, cookie, living, patient};

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
    /// Who shows an API key or a token, if the text is one that is valid now, of an organisation that is active.
    fn authenticate(&self, bearer: &str, now: Timestamp) -> Option<Caller>;
    /// Whether an organisation lets its people and keys come from this address.
    fn admits(&self, org: OrgId, from: Option<IpAddr>) -> bool;
    /// Waits until the view has the session that this text names, if a node of this cluster vouches for one that is yet to
    /// come. Says whether one came.
    fn arrives(&self, bearer: &str, now: Timestamp, within: Duration) -> impl Future<Output = bool> + Send;
    /// Waits until the view has another epoch for the patient than `past`. Says whether that came in time.
    fn advanced(&self, patient: PatientId, past: Epoch, within: Duration) -> impl Future<Output = bool> + Send;
}

/// What the router knows of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The jurisdictions that the key or session may ask for.
    pub serves: JurisdictionSet,
    /// Whose requests these are counted with. Of a patient only the home knows that, and counts them itself; here their
    /// address is counted, as everybody's is.
    pub counted: Option<rates::Caller>,
}

/// What a caller shows: a key or a token, or a browser's cookie.
pub(crate) fn shown(headers: &HeaderMap) -> Option<&str> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        let one = |name| cookie::cookie(headers, name);
        return one(cookie::ACCESS).or_else(|| one(cookie::PATIENT));
    };
    let (scheme, shown) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(shown.trim())
}

/// Whether a caller comes from where their organisation lets its people and keys come from.
pub(crate) fn admitted<K: Known>(known: &K, caller: Caller, head: &Parts) -> bool {
    let org = caller.counted.map(rates::Caller::org);
    org.is_none_or(|org| known.admits(org, head.extensions.get::<ClientAddress>().map(|from| from.0)))
}

/// Who shows what a patient's home gave out. Nobody knows here whether it is good, but it is good at that home only: on a
/// patient's path it is asked there and nowhere else, whoever is named ([`crate::identify::Identified::of_whomever`]).
pub(crate) fn at_home(headers: &HeaderMap) -> Option<Caller> {
    let home = patient::home(shown(headers)?)?;
    Some(Caller { serves: std::iter::once(home.0).collect(), counted: None })
}

/// The replica of the control plane that this process holds.
#[derive(Clone)]
pub struct Replica {
    reader: Reader,
    rules: Arc<RulesInForce>,
    tokens: Arc<Verifier>,
}

impl Replica {
    /// Reads through `reader`, with the rules that `rules` can prove.
    pub fn new(reader: Reader, rules: Arc<RulesInForce>) -> Self {
        Self { reader, rules, tokens: Arc::new(Verifier::of_any_name()) }
    }

    /// Whose session an access token is for.
    fn session(&self, text: &str, now: Timestamp) -> Result<Caller, NotLiving> {
        let key = |id| self.reader.at(|state| state.signin().signing_key(id).cloned()).1;
        let now = now.as_second();
        let claims = self.tokens.claims(text, now, key).ok_or(NotLiving::Ended)?;
        // Read before the state: a state that is further is no reason to wait.
        let index = self.reader.applied();
        let serves = |state: &State| {
            let session = living(&claims, state, index, now)?;
            let serves =
                state.organisations().get(&session.org).map(|org| org.serves).ok_or(NotLiving::Ended)?;
            Ok(Caller { serves, counted: Some(rates::Caller::Person(session.org)) })
        };
        self.reader.at(serves).1
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

    fn authenticate(&self, bearer: &str, now: Timestamp) -> Option<Caller> {
        if !bearer.starts_with(keys::PREFIX) {
            return self.session(bearer, now).ok();
        }
        keys::recognise(&self.reader, bearer, now).map(|Held { verifier: key, user, .. }| Caller {
            serves: key.jurisdictions,
            counted: Some(match user {
                Some(_) => rates::Caller::Person(key.org),
                None => rates::Caller::Service(key.org),
            }),
        })
    }

    fn admits(&self, org: OrgId, from: Option<IpAddr>) -> bool {
        self.reader.at(|state| state.signin().settings(org).is_none_or(|settings| settings.admit(from))).1
    }

    async fn arrives(&self, bearer: &str, now: Timestamp, within: Duration) -> bool {
        match self.session(bearer, now) {
            Err(NotLiving::NotYet(index)) => {
                self.reader.wait(|reader| reader.applied() >= index, within).await.is_ok()
            }
            _ => false,
        }
    }

    async fn advanced(&self, patient: PatientId, past: Epoch, within: Duration) -> bool {
        let moved = |reader: &Reader| reader.placement(patient).is_none_or(|placement| placement.epoch != past);
        self.reader.wait(moved, within).await.is_ok()
    }
}
