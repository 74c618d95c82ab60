//! The control plane as the API sees it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use node_access::{
    ChangeRefused, Changes, Credential, Directory, Jurisdictions, LogIndex, NewOrganisation, NotRecognised,
    OrgView, RegionView,
};
use node_signin::token::caller::caller_of;
use residency_control::audit_log::AuditLog;
use residency_control::calendar::Ledger;
use residency_control::keys::Held;
use residency_control::machine::State;
use residency_control::rules::RulesInForce;
use residency_control::signin::{SignInSettings, SignIns};
use residency_control::{
    Command, KeyStanding, LegalBasis, Organisation, Outcome, ProposeError, Proposed, Providers, Reader,
    Recorded, Refusal, RegionEntry, User, Writer, keys,
};
use residency_policy::{OrgId, PatientId, Placement, ProviderId, Region, Ruleset, UserId};
use residency_tokens::Verifier;

use super::used::Used;

/// Reads at memory speed.
pub struct ControlDirectory {
    reader: Reader,
    rules: Arc<RulesInForce>,
    tokens: Verifier,
    used: Arc<Used>,
}

impl ControlDirectory {
    /// Reads what this node has applied.
    pub fn new(reader: Reader, rules: Arc<RulesInForce>, tokens: Verifier, used: Arc<Used>) -> Self {
        Self { reader, rules, tokens, used }
    }

    fn by_key(&self, text: &str, now: Timestamp) -> Option<Credential> {
        let Held { verifier: verified, user, scopes } = keys::recognise(&self.reader, text, now)?;
        let org = self.reader.organisation(verified.org).filter(|org| org.active)?;
        self.used.note(verified.key, now.as_second());
        Some(Credential {
            key: verified.key,
            session: None,
            assurance: 1,
            second_factor: false,
            user,
            clinician: user.and_then(|user| self.clinician(user, verified.org)),
            org: verified.org,
            org_type: org.org_type,
            role: verified.role.into(),
            jurisdictions: verified.jurisdictions.iter().collect(),
            scopes,
        })
    }

    fn by_token(&self, text: &str, now: i64) -> Result<Credential, NotRecognised> {
        let key = |id| self.reader.at(|state| state.signin().signing_key(id).cloned()).1;
        let claims = self.tokens.claims(text, now, key).ok_or(NotRecognised::Nobody)?;
        // Read before the state: a state that is further is no reason to wait.
        let index = self.reader.applied();
        self.reader.at(|state| caller_of(&claims, state, index, now)).1
    }
}

impl Directory for ControlDirectory {
    fn placement(&self, patient: PatientId) -> Option<Placement> {
        self.reader.placement(patient)
    }

    fn view_age(&self) -> Duration {
        self.reader.age()
    }

    fn rules(&self) -> Option<Arc<Ruleset>> {
        self.rules.current(&self.reader)
    }

    fn authenticate(&self, bearer: &str, now: Timestamp) -> Result<Credential, NotRecognised> {
        if bearer.starts_with(keys::PREFIX) {
            self.by_key(bearer, now).ok_or(NotRecognised::Nobody)
        } else {
            self.by_token(bearer, now.as_second())
        }
    }

    fn reached(&self, index: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let _past = self.reader.applied_after(index.saturating_sub(1)).await;
        })
    }

    fn signins(&self) -> SignIns {
        self.reader.at(|state| state.signin().clone()).1
    }

    fn settings(&self, org: OrgId) -> Option<Arc<SignInSettings>> {
        self.reader.at(|state| state.signin().settings(org).cloned()).1
    }

    fn keys_of(&self, org: OrgId) -> Vec<KeyStanding> {
        self.reader.keys_of(org)
    }

    fn region(&self, region: Region) -> Option<RegionView> {
        self.reader.region(region).as_ref().map(region_view)
    }

    fn regions(&self) -> Vec<RegionView> {
        self.reader.regions().iter().map(region_view).collect()
    }

    fn audit_logs(&self) -> Vec<AuditLog> {
        self.reader.audit_logs()
    }

    fn organisation(&self, org: OrgId) -> Option<OrgView> {
        self.reader.at(|state| state.organisations().get(&org).map(|org| org_view(org, state))).1
    }

    fn legal_basis(&self, org: OrgId) -> Option<LegalBasis> {
        self.reader.at(|state| state.legal_basis(org).copied()).1
    }

    fn legal_basis_recorded(&self, org: OrgId) -> Option<Recorded> {
        self.reader.at(|state| state.legal_basis_recorded(org).copied()).1
    }

    fn organisations(&self) -> Vec<OrgView> {
        self.reader.at(|state| state.organisations().values().map(|org| org_view(org, state)).collect()).1
    }

    fn user(&self, user: UserId) -> Option<Arc<User>> {
        self.reader.user(user)
    }

    fn users_of(&self, org: OrgId, after: Option<UserId>, at_most: usize) -> Vec<Arc<User>> {
        self.reader.users_of(org, after, at_most)
    }

    fn clinician(&self, user: UserId, org: OrgId) -> Option<ProviderId> {
        self.reader.at(|state| state.clinician(user, org)).1
    }

    fn applied(&self) -> u64 {
        self.reader.applied()
    }

    fn ledger(&self) -> (LogIndex, Ledger) {
        let (index, ledger) = self.reader.at(|state| state.ledger().clone());
        (LogIndex(index), ledger)
    }

    fn providers(&self) -> (LogIndex, Arc<Providers>) {
        let (index, providers) = self.reader.at(|state| Arc::clone(state.providers()));
        (LogIndex(index), providers)
    }
}

fn region_view(entry: &RegionEntry) -> RegionView {
    RegionView { region: entry.region, url: format!("https://{}", entry.public) }
}

fn org_view(org: &Organisation, state: &State) -> OrgView {
    let mark = state.mark(org.id);
    OrgView {
        id: org.id,
        name: org.name.to_string(),
        org_type: org.org_type,
        serves: org.serves.iter().collect::<Jurisdictions>(),
        facility: state.facility(org.id),
        active: org.active,
        version: mark.version,
        closed: mark.closed,
    }
}

/// Proposes, and answers when a quorum has it.
pub struct ControlChanges {
    reader: Reader,
    writer: Writer,
}

impl ControlChanges {
    /// Proposes through this node's member.
    pub fn new(reader: Reader, writer: Writer) -> Self {
        Self { reader, writer }
    }

    async fn add(&self, new: NewOrganisation) -> Result<LogIndex, ChangeRefused> {
        let wanted = Organisation {
            id: new.id,
            name: new.name.parse().map_err(|_| ChangeRefused::BadName)?,
            org_type: new.org_type,
            serves: new.serves.iter().collect(),
            active: true,
        };
        // What is there was either put by this same request before, which is fine, or is somebody else's. This spares
        // a proposal; that two requests of one moment are told apart is up to the control plane, which has one order.
        let there =
            |state: &State| Some((state.organisations().get(&new.id)? == &wanted, state.facility(new.id)));
        let (there, known) = self.reader.at(|state| (there(state), state.organisations().len())).1;
        match there {
            Some((true, facility)) if facility == new.facility => return Ok(LogIndex(self.reader.applied())),
            Some(_) => return Err(ChangeRefused::AlreadyExists),
            None if !is_room(known) => return Err(ChangeRefused::Full),
            None => {}
        }
        let command = match new.facility {
            Some(facility) => Command::AddFacility { organisation: wanted, facility },
            None => Command::AddOrganisation(wanted),
        };
        // Whether it ran out of time, or there was no quorum to begin with, the caller does the same: try again.
        let proposed = self.writer.propose(command).await.map_err(|_| ChangeRefused::NoQuorum)?;
        added(proposed)
    }
}

/// Whether callers may add one more. The last tenth is the operator's, whom no caller can so keep from adding any.
fn is_room(known: usize) -> bool {
    known < State::ORGANISATIONS_MAX / 10 * 9
}

fn added(Proposed { index, outcome }: Proposed) -> Result<LogIndex, ChangeRefused> {
    match outcome {
        Outcome::Done => Ok(LogIndex(index)),
        Outcome::Refused(Refusal::AlreadyKnown) => Err(ChangeRefused::AlreadyExists),
        Outcome::Refused(Refusal::Full) => Err(ChangeRefused::Full),
        Outcome::Refused(_) => Err(ChangeRefused::Other),
    }
}

impl Changes for ControlChanges {
    fn add_organisation(&self, new: NewOrganisation) -> BoxFuture<'_, Result<LogIndex, ChangeRefused>> {
        Box::pin(self.add(new))
    }

    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Proposed, ProposeError>> {
        Box::pin(self.writer.propose(command))
    }

    fn barrier(&self) -> BoxFuture<'_, Result<u64, ProposeError>> {
        Box::pin(self.writer.barrier())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_control_plane_refuses_is_told_as_it_is() {
        let of = |outcome| added(Proposed { index: 7, outcome });
        assert_eq!(of(Outcome::Done), Ok(LogIndex(7)));
        assert_eq!(of(Outcome::Refused(Refusal::AlreadyKnown)), Err(ChangeRefused::AlreadyExists));
        assert_eq!(of(Outcome::Refused(Refusal::Full)), Err(ChangeRefused::Full));
        assert_eq!(of(Outcome::Refused(Refusal::UnknownOrg)), Err(ChangeRefused::Other));
    }

    #[test]
    fn callers_leave_the_operator_room() {
        assert!(is_room(0) && is_room(89_999));
        assert!(!is_room(90_000) && !is_room(State::ORGANISATIONS_MAX));
    }
}
