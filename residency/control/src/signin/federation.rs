//! The identity providers that there are, whom they call what, and which flows were used.

use std::sync::Arc;

use residency_policy::{IdentityProviderId, OrgId, UserId};

use super::identity_provider::{IdentityLink, IdentityProvider};
use super::role_mapping::RoleMapping;
use crate::Sheets;

/// Everything about identity providers that is replicated. A clone is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Federation {
    providers: Arc<Sheets<IdentityProviderId, Arc<IdentityProvider>>>,
    /// Whose providers are whose; follows from the providers.
    owned: Arc<Sheets<(OrgId, IdentityProviderId), ()>>,
    /// What groups make of people, at the providers where they decide.
    mappings: Arc<Sheets<IdentityProviderId, Arc<RoleMapping>>>,
    links: Arc<Sheets<(OrgId, UserId, IdentityProviderId), [u8; 32]>>,
    /// Who a subject is; follows from the links.
    subjects: Arc<Sheets<(IdentityProviderId, [u8; 32]), UserId>>,
    /// Who showed a second factor at which provider that says when.
    sure: Arc<Sheets<(OrgId, UserId, IdentityProviderId), ()>>,
    /// When used flows end, and their digests.
    spent: Arc<Sheets<(i64, [u8; 32]), ()>>,
}

impl Federation {
    /// The most providers of one organisation.
    pub const PROVIDERS_EACH_MAX: usize = 8;
    /// The most links.
    pub const LINKS_MAX: usize = 2_000_000;
    /// The most used flows that are remembered.
    pub const SPENT_MAX: usize = 1_000_000;

    /// One provider.
    pub fn provider(&self, id: IdentityProviderId) -> Option<&Arc<IdentityProvider>> {
        self.providers.get(&id)
    }

    /// Every provider.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &Arc<IdentityProvider>> {
        self.providers.values()
    }

    /// The providers of an organisation, ascending by id.
    pub fn providers_of(&self, org: OrgId) -> impl Iterator<Item = &Arc<IdentityProvider>> {
        let first = (org, IdentityProviderId::from_bytes([0; 16]));
        let own = self.owned.iter_from(&first).map(|(place, ())| *place).take_while(move |(of, _)| *of == org);
        own.filter_map(|(_, id)| self.providers.get(&id))
    }

    /// What a provider's groups make of people; nothing, where the organisation says what they are.
    pub fn mapping(&self, id: IdentityProviderId) -> Option<&Arc<RoleMapping>> {
        self.mappings.get(&id)
    }

    /// Every such table.
    pub(crate) fn mappings(&self) -> impl Iterator<Item = (IdentityProviderId, &Arc<RoleMapping>)> {
        self.mappings.iter().map(|(id, mapping)| (*id, mapping))
    }

    /// Puts such a table in place of the one before, or takes it away.
    pub(crate) fn put_mapping(&mut self, id: IdentityProviderId, mapping: Option<RoleMapping>) {
        let mappings = Arc::make_mut(&mut self.mappings);
        match mapping {
            Some(mapping) => mappings.insert(id, Arc::new(mapping)),
            None => mappings.remove(&id),
        };
    }

    /// Who a subject of a provider is.
    pub fn linked(&self, provider: IdentityProviderId, subject_sha256: &[u8; 32]) -> Option<UserId> {
        self.subjects.get(&(provider, *subject_sha256)).copied()
    }

    /// What a provider calls a user.
    pub fn subject_of(&self, org: OrgId, user: UserId, provider: IdentityProviderId) -> Option<[u8; 32]> {
        self.links.get(&(org, user, provider)).copied()
    }

    /// Whether somebody showed a second factor at a provider that is asked now: they can show one again.
    pub fn has_second_factor(&self, org: OrgId, user: UserId) -> bool {
        let first = (org, user, IdentityProviderId::from_bytes([0; 16]));
        let own = self.sure.iter_from(&first).map(|(place, ())| *place);
        let mut own = own.take_while(|(of, whose, _)| (*of, *whose) == (org, user));
        own.any(|(.., id)| self.provider(id).is_some_and(|one| one.active))
    }

    /// Everybody who did.
    pub(crate) fn sure(&self) -> impl Iterator<Item = (OrgId, UserId, IdentityProviderId)> {
        self.sure.keys().copied()
    }

    /// Notes that somebody did.
    pub(crate) fn note_sure(&mut self, org: OrgId, user: UserId, provider: IdentityProviderId) {
        Arc::make_mut(&mut self.sure).insert((org, user, provider), ());
    }

    /// Every link.
    pub(crate) fn links(&self) -> impl Iterator<Item = IdentityLink> {
        self.links.iter().map(|((org, user, provider), subject_sha256)| IdentityLink {
            org: *org,
            user: *user,
            provider: *provider,
            subject_sha256: *subject_sha256,
        })
    }

    pub(super) fn links_len(&self) -> usize {
        self.links.len()
    }

    /// Every used flow that is remembered: when it ends, and its digest.
    pub(crate) fn spent(&self) -> impl Iterator<Item = (i64, [u8; 32])> {
        self.spent.keys().copied()
    }

    pub(super) fn is_spent(&self, ends: i64, flow_sha256: &[u8; 32]) -> bool {
        self.spent.contains_key(&(ends, *flow_sha256))
    }

    pub(super) fn spent_len(&self) -> usize {
        self.spent.len()
    }

    pub(crate) fn put_provider(&mut self, provider: IdentityProvider) {
        Arc::make_mut(&mut self.owned).insert((provider.org, provider.id), ());
        Arc::make_mut(&mut self.providers).insert(provider.id, Arc::new(provider));
    }

    /// Forgets a provider and everybody it was linked to, and tells who that was.
    pub(super) fn remove_provider(&mut self, org: OrgId, id: IdentityProviderId) -> Vec<UserId> {
        Arc::make_mut(&mut self.owned).remove(&(org, id));
        Arc::make_mut(&mut self.providers).remove(&id);
        self.put_mapping(id, None);
        let linked = self.linked_through(id);
        for user in &linked {
            self.unlink(org, *user, id);
        }
        linked
    }

    /// Everybody whom a provider is linked to.
    pub(super) fn linked_through(&self, id: IdentityProviderId) -> Vec<UserId> {
        let here = self.subjects.iter_from(&(id, [0; 32])).take_while(|((of, _), _)| *of == id);
        here.map(|(_, user)| *user).collect()
    }

    /// Links. Whatever the provider called the user before is forgotten, and whether they showed a second factor as that.
    pub(crate) fn link(&mut self, link: &IdentityLink) {
        if self.subject_of(link.org, link.user, link.provider) == Some(link.subject_sha256) {
            return;
        }
        self.unlink(link.org, link.user, link.provider);
        Arc::make_mut(&mut self.links).insert((link.org, link.user, link.provider), link.subject_sha256);
        Arc::make_mut(&mut self.subjects).insert((link.provider, link.subject_sha256), link.user);
    }

    pub(super) fn unlink(&mut self, org: OrgId, user: UserId, provider: IdentityProviderId) {
        if let Some(subject) = self.subject_of(org, user, provider) {
            Arc::make_mut(&mut self.links).remove(&(org, user, provider));
            Arc::make_mut(&mut self.subjects).remove(&(provider, subject));
            Arc::make_mut(&mut self.sure).remove(&(org, user, provider));
        }
    }

    /// Forgets every link of a user at an organisation.
    pub(super) fn unlink_all(&mut self, org: OrgId, user: UserId) {
        let first = (org, user, IdentityProviderId::from_bytes([0; 16]));
        let own = self.links.iter_from(&first).map(|(place, _)| *place);
        let own: Vec<_> = own.take_while(|(of, whose, _)| (*of, *whose) == (org, user)).collect();
        for (_, _, provider) in own {
            self.unlink(org, user, provider);
        }
    }

    pub(crate) fn spend(&mut self, ends: i64, flow_sha256: [u8; 32]) {
        Arc::make_mut(&mut self.spent).insert((ends, flow_sha256), ());
    }

    /// Whether some used flow ended before this second.
    pub(super) fn forgets(&self, before: i64) -> bool {
        self.spent.keys().next().is_some_and(|(ends, _)| *ends < before)
    }

    /// Forgets at most so many used flows that ended before this second.
    pub(super) fn forget_spent(&mut self, before: i64, at_most: usize) {
        let over: Vec<_> =
            self.spent.keys().take_while(|(ends, _)| *ends < before).take(at_most).copied().collect();
        for place in over {
            Arc::make_mut(&mut self.spent).remove(&place);
        }
    }
}
