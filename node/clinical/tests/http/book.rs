//! A control plane in memory: what a node sees of it, and how it takes changes, or does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use node_access::{
    ChangeRefused, Changes, Check, Checks, Credential, Directory, LogIndex, NewOrganisation, NotRecognised,
    OrgView, Readiness, RegionView,
};
use node_signin::token::caller::caller_of;
use residency_control::calendar::Ledger;
use residency_control::machine::{State, apply};
use residency_control::signin::SignIns;
use residency_control::{
    Command, KeyStanding, LegalBasis, Organisation, Outcome, ProposeError, Proposed, Recorded, User,
};
use residency_policy::{OrgId, PatientId, Placement, ProviderId, Region, Ruleset, UserId};
use residency_tokens::Verifier;

use crate::support::jurisdiction;

/// A directory that tests write.
pub(crate) struct Book {
    pub(crate) placements: Mutex<HashMap<PatientId, Placement>>,
    pub(crate) keys: Mutex<HashMap<String, Credential>>,
    pub(crate) state: Mutex<State>,
    pub(crate) stale: AtomicBool,
    pub(crate) quorum: AtomicBool,
    /// Changes of the control plane are never answered.
    pub(crate) hangs: AtomicBool,
    /// Before and after how many changes of the control plane whoever asks for them is still there.
    pub(crate) steps: AtomicI64,
    /// Told when whoever asked is gone.
    pub(crate) gone: tokio::sync::Notify,
    /// Whoever stands still goes on when this is told.
    pub(crate) back: tokio::sync::Notify,
    pub(crate) rules: Arc<Ruleset>,
    pub(crate) index: AtomicU64,
    pub(crate) tokens: Verifier,
}

impl Directory for Book {
    fn placement(&self, patient: PatientId) -> Option<Placement> {
        self.placements.lock().expect("a lock").get(&patient).copied()
    }

    fn view_age(&self) -> Duration {
        if self.stale.load(Ordering::SeqCst) { Duration::from_hours(1) } else { Duration::ZERO }
    }

    fn rules(&self) -> Option<Arc<Ruleset>> {
        Some(Arc::clone(&self.rules))
    }

    fn authenticate(&self, bearer: &str, now: Timestamp) -> Result<Credential, NotRecognised> {
        if let Some(known) = self.keys.lock().expect("a lock").get(bearer) {
            return Ok(*known);
        }
        let (state, now) = (self.state.lock().expect("a lock").clone(), now.as_second());
        let key = |id| state.signin().signing_key(id).cloned();
        let claims = self.tokens.claims(bearer, now, key).ok_or(NotRecognised::Nobody)?;
        caller_of(&claims, &state, self.applied(), now)
    }

    fn reached(&self, index: u64) -> futures::future::BoxFuture<'_, ()> {
        Box::pin(async move {
            while self.applied() < index {
                tokio::task::yield_now().await;
            }
        })
    }

    fn signins(&self) -> SignIns {
        self.state.lock().expect("a lock").signin().clone()
    }

    fn keys_of(&self, org: OrgId) -> Vec<KeyStanding> {
        self.state.lock().expect("a lock").keys_of(org).collect()
    }

    fn region(&self, region: Region) -> Option<RegionView> {
        self.regions().into_iter().find(|view| view.region == region)
    }

    fn audit_logs(&self) -> Vec<residency_control::audit_log::AuditLog> {
        Vec::new()
    }

    fn regions(&self) -> Vec<RegionView> {
        ["US-TX", "US-CA", "US-NY"]
            .map(|code| RegionView {
                region: Region(jurisdiction(code)),
                url: format!("https://{}.example.net", code.to_lowercase()),
            })
            .to_vec()
    }

    fn organisation(&self, org: OrgId) -> Option<OrgView> {
        self.organisations().into_iter().find(|view| view.id == org)
    }

    fn legal_basis(&self, org: OrgId) -> Option<LegalBasis> {
        self.state.lock().expect("a lock").legal_basis(org).copied()
    }

    fn legal_basis_recorded(&self, org: OrgId) -> Option<Recorded> {
        self.state.lock().expect("a lock").legal_basis_recorded(org).copied()
    }

    fn organisations(&self) -> Vec<OrgView> {
        let state = self.state.lock().expect("a lock");
        let view = |org: &Organisation| OrgView {
            id: org.id,
            name: org.name.to_string(),
            org_type: org.org_type,
            serves: org.serves.iter().collect(),
            facility: state.facility(org.id),
            active: org.active,
            version: state.mark(org.id).version,
            closed: state.mark(org.id).closed,
        };
        state.organisations().values().map(view).collect()
    }

    fn user(&self, user: UserId) -> Option<Arc<User>> {
        self.state.lock().expect("a lock").user(user).cloned()
    }

    fn users_of(&self, org: OrgId, after: Option<UserId>, at_most: usize) -> Vec<Arc<User>> {
        self.state.lock().expect("a lock").users_of(org, after).take(at_most).cloned().collect()
    }

    fn clinician(&self, user: UserId, org: OrgId) -> Option<ProviderId> {
        self.state.lock().expect("a lock").clinician(user, org)
    }

    fn applied(&self) -> u64 {
        self.index.load(Ordering::SeqCst)
    }

    fn ledger(&self) -> (LogIndex, Ledger) {
        let state = self.state.lock().expect("a lock");
        (LogIndex(self.index.load(Ordering::SeqCst)), state.ledger().clone())
    }

    fn providers(&self) -> (LogIndex, Arc<residency_control::Providers>) {
        let state = self.state.lock().expect("a lock");
        (LogIndex(self.index.load(Ordering::SeqCst)), Arc::clone(state.providers()))
    }
}

impl Book {
    /// Whoever asks stands still here when their steps are over: nothing of what they would have done is done, unless
    /// they are told to go on.
    async fn step(&self) {
        if self.steps.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.gone.notify_one();
            self.back.notified().await;
        }
    }
}

impl Changes for Book {
    fn add_organisation(
        &self,
        new: NewOrganisation,
    ) -> futures::future::BoxFuture<'_, Result<LogIndex, ChangeRefused>> {
        Box::pin(async move {
            let NewOrganisation { id, name, org_type, serves, facility } = new;
            let name = name.parse().map_err(|_| ChangeRefused::BadName)?;
            let serves = serves.iter().collect();
            let organisation = Organisation { id, name, org_type, serves, active: true };
            let command = match facility {
                Some(facility) => Command::AddFacility { organisation, facility },
                None => Command::AddOrganisation(organisation),
            };
            let proposed = self.propose(command).await;
            match proposed.map_err(|_| ChangeRefused::NoQuorum)? {
                Proposed { index, outcome: Outcome::Done } => Ok(LogIndex(index)),
                _ => Err(ChangeRefused::AlreadyExists),
            }
        })
    }

    fn propose(&self, command: Command) -> futures::future::BoxFuture<'_, Result<Proposed, ProposeError>> {
        Box::pin(async move {
            self.barrier().await?;
            self.step().await;
            let outcome = apply(&mut self.state.lock().expect("a lock"), command);
            let index = self.index.fetch_add(1, Ordering::SeqCst);
            self.step().await;
            Ok(Proposed { index, outcome })
        })
    }

    fn barrier(&self) -> futures::future::BoxFuture<'_, Result<u64, ProposeError>> {
        Box::pin(async move {
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let quorum = self.quorum.load(Ordering::SeqCst);
            if quorum { Ok(self.index.load(Ordering::SeqCst)) } else { Err(ProposeError::NoQuorum) }
        })
    }
}

impl Readiness for Book {
    fn check(&self) -> futures::future::BoxFuture<'_, Checks> {
        let control = if self.quorum.load(Ordering::SeqCst) {
            Check::Right
        } else {
            Check::Wrong("the control plane has no quorum: start another of its members")
        };
        let right = Check::Right;
        Box::pin(async move {
            Checks {
                database: right,
                keys: right,
                control,
                rules: right,
                policies: right,
                certificates: right,
                audit_log: right,
            }
        })
    }
}
