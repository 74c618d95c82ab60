//! Everything in the state but the directory, in pieces.

use std::iter;
use std::sync::Arc;

use residency_policy::{
    BookingHandle, DiskId, Facility, IdentityProviderId, KeyId, NodeId, OrgId, ProviderId, SessionId, UserId,
};
use serde::{Deserialize, Serialize};

use crate::api_keys::KeyGrant;
use crate::audit_log::AuditLog;
use crate::calendar::ledger::Image;
use crate::command::{FirstProvider, KeyVerifier, Organisation, PolicyVersion, Provider, RegionEntry, User};
use crate::legal_basis::{LegalBasis, Recorded};
use crate::machine::State;
use crate::organisations::OrganisationMark;
use crate::signin::{
    Account, Device, IdentityLink, IdentityProvider, Passkey, RoleMapping, Session, SignInSettings, SigningKey,
};

/// How many items a part has at most.
const ITEMS_MAX: usize = 1_000;

/// A piece of the state. There may be several of one kind; what is empty is left out. New kinds come last: their place
/// is their name.
#[derive(Serialize, Deserialize)]
pub(super) enum Part {
    /// Where regions are reached.
    Regions(Vec<RegionEntry>),
    /// Organisations.
    Organisations(Vec<Organisation>),
    /// API keys.
    Keys(Vec<KeyVerifier>),
    /// The rules in force.
    Policy(PolicyVersion),
    /// Organisations that were changed.
    Marks(Vec<(OrgId, OrganisationMark)>),
    /// Who works for them.
    Users(Vec<User>),
    /// Whose key is whose.
    KeyUsers(Vec<(KeyId, UserId)>),
    /// Clinicians, as releases wrote them that did not keep who entered a licence.
    FirstProviders(Vec<FirstProvider>),
    /// Every node id that was ever a member.
    Seats(Vec<(NodeId, Option<DiskId>)>),
    /// Calendars, what stands in them, and who waits.
    Calendars(Image),
    /// Handles under which nothing is held any more, and when they were given up.
    GivenUp(Vec<(OrgId, BookingHandle, i64)>),
    /// How people sign in.
    Accounts(Vec<Account>),
    /// Who is signed in.
    Sessions(Vec<Session>),
    /// The public halves of the keys that sign access tokens.
    SigningKeys(Vec<SigningKey>),
    /// The access policies in force.
    AccessPolicies(PolicyVersion),
    /// The servers that organisations let say who somebody is.
    IdentityProviders(Vec<IdentityProvider>),
    /// Whom they call what.
    IdentityLinks(Vec<IdentityLink>),
    /// Flows through them that were used: when each ends, and its digest.
    SpentFlows(Vec<(i64, [u8; 32])>),
    /// Which clinician somebody is at an organisation.
    Clinicians(Vec<((OrgId, UserId), ProviderId)>),
    /// What organisations ask of everybody who signs in there.
    SignInSettings(Vec<SignInSettings>),
    /// For what keys were issued.
    KeyGrants(Vec<(KeyId, KeyGrant)>),
    /// When keys were last used.
    KeyUses(Vec<(KeyId, i64)>),
    /// What people sign in with.
    Devices(Vec<Device>),
    /// What lets marketing organisations have anything of a patient.
    LegalBases(Vec<(OrgId, LegalBasis)>),
    /// When second factors were shown in sessions that had begun before.
    Assured(Vec<(SessionId, i64)>),
    /// Clinicians, in the order in which they were added.
    Providers(Vec<Provider>),
    /// What public registers call laboratories and pharmacies.
    Facilities(Vec<(OrgId, Facility)>),
    /// Their passkeys.
    Passkeys(Vec<Passkey>),
    /// What groups at identity providers make of people.
    RoleMappings(Vec<(IdentityProviderId, RoleMapping)>),
    /// Who showed a second factor at which provider.
    SureLinks(Vec<(OrgId, UserId, IdentityProviderId)>),
    /// Who recorded what lets marketing organisations have anything of a patient.
    BasesRecorded(Vec<(OrgId, Recorded)>),
    /// What is known of the regions' audit logs.
    AuditLogs(Vec<AuditLog>),
}

/// The parts of a state, each made when it is its turn. The same state has the same parts.
pub(super) fn of(state: &State) -> impl Iterator<Item = Part> {
    let federation = state.signin.federation();
    in_parts(state.regions.values().cloned(), Part::Regions)
        .chain(in_parts(state.organisations.values().cloned(), Part::Organisations))
        .chain(in_parts(state.keys.values().cloned(), Part::Keys))
        .chain(state.policy.iter().cloned().map(Part::Policy))
        .chain(in_parts(state.marks.iter().map(|(org, mark)| (*org, *mark)), Part::Marks))
        .chain(in_parts(state.users.values().map(|user| User::clone(user)), Part::Users))
        .chain(in_parts(state.key_users.iter().map(|(key, user)| (*key, *user)), Part::KeyUsers))
        .chain(in_parts(state.providers.iter().map(|one| Provider::clone(one)), Part::Providers))
        .chain(in_parts(state.seats.iter().map(|(node, disk)| (*node, *disk)), Part::Seats))
        .chain(state.ledger.images().map(Part::Calendars))
        .chain(in_parts(state.ledger.given_up(), Part::GivenUp))
        .chain(in_parts(state.signin.accounts().values().map(|one| Account::clone(one)), Part::Accounts))
        .chain(in_parts(state.signin.sessions().values().map(|one| Session::clone(one)), Part::Sessions))
        .chain(in_parts(state.signin.signing_keys().cloned(), Part::SigningKeys))
        .chain(state.access_policies.iter().cloned().map(Part::AccessPolicies))
        .chain(in_parts(
            federation.providers().map(|one| IdentityProvider::clone(one)),
            Part::IdentityProviders,
        ))
        .chain(in_parts(
            federation.mappings().map(|(id, mapping)| (id, RoleMapping::clone(mapping))),
            Part::RoleMappings,
        ))
        .chain(in_parts(federation.links(), Part::IdentityLinks))
        .chain(in_parts(federation.sure(), Part::SureLinks))
        .chain(in_parts(federation.spent(), Part::SpentFlows))
        .chain(in_parts(state.clinicians.iter().map(|(who, one)| (*who, *one)), Part::Clinicians))
        .chain(in_parts(
            state.signin.all_settings().map(|one| SignInSettings::clone(one)),
            Part::SignInSettings,
        ))
        .chain(in_parts(state.grants.iter().map(|(key, grant)| (*key, grant.clone())), Part::KeyGrants))
        .chain(in_parts(state.signin.devices().copied(), Part::Devices))
        .chain(in_parts(state.signin.passkeys().map(|one| Passkey::clone(one)), Part::Passkeys))
        .chain(in_parts(state.key_uses.iter().map(|(key, at)| (*key, *at)), Part::KeyUses))
        .chain(in_parts(state.bases.iter().map(|(org, basis)| (*org, *basis)), Part::LegalBases))
        .chain(in_parts(state.bases_recorded.iter().map(|(org, one)| (*org, *one)), Part::BasesRecorded))
        .chain(in_parts(state.signin.assured(), Part::Assured))
        .chain(in_parts(state.facilities.iter().map(|(org, one)| (*org, *one)), Part::Facilities))
        .chain(in_parts(state.audit_logs.values().cloned(), Part::AuditLogs))
}

fn in_parts<T>(mut items: impl Iterator<Item = T>, part: fn(Vec<T>) -> Part) -> impl Iterator<Item = Part> {
    iter::from_fn(move || {
        let some: Vec<T> = items.by_ref().take(ITEMS_MAX).collect();
        (!some.is_empty()).then(|| part(some))
    })
}

/// Puts a part where it was.
pub(super) fn put(state: &mut State, part: Part) {
    match part {
        Part::Regions(some) => {
            Arc::make_mut(&mut state.regions).extend(some.into_iter().map(|region| (region.region, region)));
        }
        Part::Organisations(some) => {
            Arc::make_mut(&mut state.organisations).extend(some.into_iter().map(|org| (org.id, org)));
        }
        Part::Keys(some) => some.into_iter().for_each(|key| state.insert_key(key)),
        Part::Policy(policy) => state.policy = Some(policy),
        Part::Marks(some) => Arc::make_mut(&mut state.marks).extend(some),
        Part::Users(some) => some.into_iter().for_each(|user| state.insert_user(user)),
        Part::KeyUsers(some) => Arc::make_mut(&mut state.key_users).extend(some),
        Part::FirstProviders(some) => put_providers(state, some.into_iter().map(Provider::from)),
        Part::Providers(some) => put_providers(state, some),
        Part::Seats(some) => Arc::make_mut(&mut state.seats).extend(some),
        Part::Calendars(image) => state.ledger.put(image),
        Part::GivenUp(some) => {
            for (org, handle, at) in some {
                state.ledger.give_up(org, handle, at);
            }
        }
        Part::Accounts(some) => some.into_iter().for_each(|account| state.signin.put_account(account)),
        Part::Sessions(some) => some.into_iter().for_each(|session| state.signin.put_session(session)),
        Part::SigningKeys(some) => some.into_iter().for_each(|key| state.signin.put_key(key)),
        Part::AccessPolicies(policy) => state.access_policies = Some(policy),
        Part::IdentityProviders(some) => {
            for one in some {
                state.signin.federation_mut().put_provider(one);
            }
        }
        Part::RoleMappings(some) => {
            for (id, mapping) in some {
                state.signin.federation_mut().put_mapping(id, Some(mapping));
            }
        }
        Part::IdentityLinks(some) => some.iter().for_each(|link| state.signin.federation_mut().link(link)),
        Part::SureLinks(some) => {
            for (org, user, provider) in some {
                state.signin.federation_mut().note_sure(org, user, provider);
            }
        }
        Part::Clinicians(some) => Arc::make_mut(&mut state.clinicians).extend(some),
        Part::SignInSettings(some) => some.into_iter().for_each(|one| state.signin.put_settings(one)),
        Part::Devices(some) => some.into_iter().for_each(|one| state.signin.put_device(one)),
        Part::KeyGrants(some) => some.into_iter().for_each(|(key, grant)| state.insert_grant(key, grant)),
        Part::Passkeys(some) => some.into_iter().for_each(|one| state.signin.put_passkey(one)),
        Part::KeyUses(some) => Arc::make_mut(&mut state.key_uses).extend(some),
        Part::LegalBases(some) => Arc::make_mut(&mut state.bases).extend(some),
        Part::BasesRecorded(some) => Arc::make_mut(&mut state.bases_recorded).extend(some),
        Part::Assured(some) => some.into_iter().for_each(|(id, at)| state.signin.note_assured(id, at)),
        Part::Facilities(some) => Arc::make_mut(&mut state.facilities).extend(some),
        Part::AuditLogs(some) => {
            Arc::make_mut(&mut state.audit_logs).extend(some.into_iter().map(|log| (log.keys().region, log)));
        }
        Part::SpentFlows(some) => {
            for (ends, flow) in some {
                state.signin.federation_mut().spend(ends, flow);
            }
        }
    }
}

fn put_providers(state: &mut State, some: impl IntoIterator<Item = Provider>) {
    let all = Arc::make_mut(&mut state.providers);
    some.into_iter().for_each(|provider| all.put(provider));
}
