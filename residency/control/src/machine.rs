//! The replicated state, and the one function that changes it.
//!
//! [`apply`] is pure: no clock, no random source, no I/O, no order that depends on a hash. Every member applies the
//! same commands in the same order and must come to the same state, so whatever a command needs is in the command.

use std::collections::BTreeMap;
use std::sync::Arc;

use residency_policy::{
    DiskId, Epoch, Facility, Home, KeyId, NodeId, OrgId, PatientId, Placement, PlacementState, ProviderId,
    Region, UserId,
};

use crate::IdBatch;
use crate::api_keys::{self, KeyGrant};
use crate::audit_log::{self, AuditLog};
use crate::calendar::{self, Ledger};
use crate::command::{Command, KeyVerifier, Organisation, Outcome, PolicyVersion, Refusal, RegionEntry, User};
use crate::directory::{AlreadyKnown, Directory};
use crate::legal_basis::{self, LegalBasis, Recorded};
use crate::organisations::{self, OrganisationMark};
use crate::signin::{self, SignIns};
use crate::{Providers, Sheets, facilities, provider_changes, seats, users};

/// Everything that is replicated. A clone is cheap and shares what neither side has changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) regions: Arc<BTreeMap<Region, RegionEntry>>,
    pub(crate) organisations: Arc<Sheets<OrgId, Organisation>>,
    pub(crate) keys: Arc<Sheets<KeyId, KeyVerifier>>,
    pub(crate) policy: Option<PolicyVersion>,
    pub(crate) access_policies: Option<PolicyVersion>,
    pub(crate) directory: Directory,
    pub(crate) marks: Arc<Sheets<OrgId, OrganisationMark>>,
    pub(crate) users: Arc<Sheets<UserId, Arc<User>>>,
    pub(crate) key_users: Arc<Sheets<KeyId, UserId>>,
    pub(crate) providers: Arc<Providers>,
    /// Which clinician somebody is at an organisation.
    pub(crate) clinicians: Arc<Sheets<(OrgId, UserId), ProviderId>>,
    pub(crate) ledger: Ledger,
    pub(crate) seats: Arc<BTreeMap<NodeId, Option<DiskId>>>,
    pub(crate) signin: SignIns,
    /// What lets marketing organisations have anything of a patient.
    pub(crate) bases: Arc<Sheets<OrgId, LegalBasis>>,
    /// Who recorded that.
    pub(crate) bases_recorded: Arc<Sheets<OrgId, Recorded>>,
    /// What public registers call laboratories and pharmacies.
    pub(crate) facilities: Arc<Sheets<OrgId, Facility>>,
    /// Of the keys that organisations issued themselves.
    pub(crate) grants: Arc<Sheets<KeyId, KeyGrant>>,
    /// When keys were last used.
    pub(crate) key_uses: Arc<Sheets<KeyId, i64>>,
    /// Whose keys are whose; follows from `keys`.
    pub(crate) org_keys: Arc<Sheets<(OrgId, KeyId), ()>>,
    /// When issued keys end; follows from `keys` and `grants`.
    pub(crate) key_endings: Arc<Sheets<(i64, KeyId), ()>>,
    /// The heads of the regions' audit logs.
    pub(crate) audit_logs: Arc<BTreeMap<Region, AuditLog>>,
    /// Follows from `users`.
    pub(crate) members: Arc<Sheets<(OrgId, UserId), ()>>,
}

impl State {
    /// The most organisations.
    pub const ORGANISATIONS_MAX: usize = 100_000;
    /// The most API keys.
    pub const KEYS_MAX: usize = 1_000_000;
    /// The most clinicians.
    pub const PROVIDERS_MAX: usize = 1_000_000;
    /// The most users.
    pub const USERS_MAX: usize = 1_000_000;

    /// Where a patient lives.
    pub fn placement(&self, patient: PatientId) -> Option<Placement> {
        self.directory.get(patient)
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The regions.
    pub fn regions(&self) -> &BTreeMap<Region, RegionEntry> {
        &self.regions
    }

    /// The organisations.
    pub fn organisations(&self) -> &Sheets<OrgId, Organisation> {
        &self.organisations
    }

    /// How often an organisation was changed, and whether it is closed.
    pub fn mark(&self, org: OrgId) -> OrganisationMark {
        self.marks.get(&org).copied().unwrap_or(OrganisationMark::FIRST)
    }

    /// The API keys' verifiers.
    pub fn keys(&self) -> &Sheets<KeyId, KeyVerifier> {
        &self.keys
    }

    /// The clinicians.
    pub fn providers(&self) -> &Arc<Providers> {
        &self.providers
    }

    /// The calendars.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Who can sign in, and who is signed in.
    pub fn signin(&self) -> &SignIns {
        &self.signin
    }

    /// The rules in force.
    pub fn policy(&self) -> Option<&PolicyVersion> {
        self.policy.as_ref()
    }

    /// The access policies in force. `None` where those that come with the program are.
    pub fn access_policies(&self) -> Option<&PolicyVersion> {
        self.access_policies.as_ref()
    }
}

/// Applies one command. A command that is refused changes nothing at all.
pub fn apply(state: &mut State, command: Command) -> Outcome {
    let done = match command {
        Command::AddRegion(entry) => {
            Arc::make_mut(&mut state.regions).insert(entry.region, entry);
            Ok(())
        }
        Command::ClaimIds { region, ids } => claim_ids(state, region, &ids),
        Command::PutOrganisation(organisation) => organisations::put(state, organisation),
        Command::AddOrganisation(organisation) => organisations::add(state, organisation),
        Command::ChangeOrganisation { organisation, expected } => {
            organisations::change(state, organisation, expected)
        }
        Command::CloseOrganisation { org, reason, expected } => {
            organisations::close(state, org, reason, expected)
        }
        Command::PutLegalBasis { org, basis, expected } => {
            legal_basis::put(state, org, (basis, None), expected)
        }
        Command::RecordLegalBasis { org, basis, recorded, expected } => {
            legal_basis::put(state, org, (basis, Some(recorded)), expected)
        }
        Command::RemoveLegalBasis { org, expected } => legal_basis::remove(state, org, expected),
        Command::AddFacility { organisation, facility } => {
            let organisation = Organisation { org_type: facility.kind(), active: true, ..organisation };
            facilities::add(state, organisation, facility)
        }
        Command::AddUser(user) => users::add(state, user),
        Command::ChangeUser { user, expected } => users::change(state, user, expected),
        Command::PutUserKey { verifier, user } => users::put_key(state, verifier, user),
        Command::BindClinician { user, org, provider } => users::bind(state, user, org, provider),
        Command::ChangeClinician { user, org, provider, expected } => {
            users::change_clinician(state, user, (org, provider), expected)
        }
        Command::PutFirstProvider { provider, expected } => {
            provider_changes::put(state, provider.into(), expected)
        }
        Command::PutProvider { provider, expected } => provider_changes::put(state, provider, expected),
        Command::VerifyLicences { npi, licences } => provider_changes::verify(state, npi, &licences),
        Command::Enlist { node, disk } => seats::enlist(state, node, disk),
        Command::Calendar(change) => calendar::change::apply(state, change),
        Command::SignIn(change) => signin::act::apply(state, change),
        Command::AuditLog(change) => audit_log::apply(state, &change),
        Command::PutKey(verifier) => put_key(state, verifier),
        Command::Key(change) => api_keys::apply(state, change),
        Command::RevokeKey(key) => revoke_key(state, key),
        Command::PutPolicy(policy) => put_policy(state, policy),
        Command::PutAccessPolicies(policy) => put_access_policies(state, policy),
        Command::Retire { patient, expected } => retire(state, patient, expected),
    };
    done.map_or_else(Outcome::Refused, |()| Outcome::Done)
}

/// All or nothing: a batch with one known id would leave its claimer unsure which ids are its own.
fn claim_ids(state: &mut State, region: Region, ids: &IdBatch) -> Result<(), Refusal> {
    if !state.regions.contains_key(&region) {
        return Err(Refusal::UnknownRegion);
    }
    if state.directory.len() + ids.len() > Directory::LEN_MAX {
        return Err(Refusal::Full);
    }
    state.directory.claim(ids.as_slice(), Home(region)).map_err(|AlreadyKnown| Refusal::AlreadyKnown)
}

pub(crate) fn put_key(state: &mut State, mut verifier: KeyVerifier) -> Result<(), Refusal> {
    if !state.organisations.contains_key(&verifier.org) {
        return Err(Refusal::UnknownOrg);
    }
    match state.keys.get(&verifier.key) {
        Some(known) if known.org != verifier.org => return Err(Refusal::OtherOrg),
        // A late or repeated command must not bring a revoked key back to life.
        Some(known) => verifier.revoked |= known.revoked,
        None if state.keys.len() >= State::KEYS_MAX => return Err(Refusal::Full),
        None => {}
    }
    // Whoever puts another secret means that no earlier one is good.
    if let Some(grant) = state.grants.get(&verifier.key).cloned() {
        Arc::make_mut(&mut state.grants).insert(verifier.key, KeyGrant { previous: None, ..grant });
    }
    state.insert_key(verifier);
    Ok(())
}

fn revoke_key(state: &mut State, key: KeyId) -> Result<(), Refusal> {
    if !state.keys.contains_key(&key) {
        return Err(Refusal::UnknownKey);
    }
    if let Some(verifier) = Arc::make_mut(&mut state.keys).get_mut(&key) {
        verifier.revoked = true;
    }
    Ok(())
}

fn put_policy(state: &mut State, policy: PolicyVersion) -> Result<(), Refusal> {
    // The first file of rules says itself which version it is.
    let present = state.policy.as_ref().map_or(policy.version.saturating_sub(1), |present| present.version);
    state.policy = Some(next_version(present, policy)?);
    Ok(())
}

fn put_access_policies(state: &mut State, policy: PolicyVersion) -> Result<(), Refusal> {
    let present = state.access_policies.as_ref().map_or(0, |present| present.version);
    state.access_policies = Some(next_version(present, policy)?);
    Ok(())
}

/// Whoever may propose could otherwise put the last version of all in force, and nothing could come after it.
fn next_version(present: u64, policy: PolicyVersion) -> Result<PolicyVersion, Refusal> {
    match policy.version.checked_sub(present) {
        None | Some(0) => Err(Refusal::OldVersion),
        Some(1) => Ok(policy),
        Some(_) => Err(Refusal::SkippedVersion),
    }
}

/// That the id is the one that was claimed, and not another with the same key, is what the proposer has proved.
fn retire(state: &mut State, patient: PatientId, expected: Epoch) -> Result<(), Refusal> {
    let present = state.directory.get(patient).ok_or(Refusal::UnknownPatient)?;
    if present.epoch != expected {
        return Err(Refusal::StaleEpoch);
    }
    let epoch = Epoch(present.epoch.0.checked_add(1).ok_or(Refusal::Full)?);
    state.directory.set(Placement { epoch, state: PlacementState::Retired, ..present });
    Ok(())
}
