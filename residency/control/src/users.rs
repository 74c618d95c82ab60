//! The people who work for organisations, and the keys that are theirs.

use std::sync::Arc;

use residency_policy::{OrgId, ProviderId, Role, UserId};

use crate::command::{KeyVerifier, Refusal, User};
use crate::machine::{self, State};
use crate::signin;

impl State {
    /// One user.
    pub fn user(&self, user: UserId) -> Option<&Arc<User>> {
        self.users.get(&user)
    }

    /// Users of an organisation after this one, ascending by id.
    pub fn users_of(&self, org: OrgId, after: Option<UserId>) -> impl Iterator<Item = &Arc<User>> {
        let first = UserId::from_bytes([0; 16]);
        self.members
            .iter_from(&(org, after.unwrap_or(first)))
            .map(|(member, ())| member)
            .take_while(move |(of, _)| *of == org)
            .filter(move |(_, user)| Some(*user) != after)
            .filter_map(|(_, user)| self.users.get(user))
    }

    /// Whether the user of a key may be what the key says, now: they work, and have that role in that organisation.
    pub(crate) fn may(&self, user: UserId, key: &KeyVerifier) -> bool {
        self.users.get(&user).is_some_and(|user| user.may_be(key.org, key.role))
    }

    /// Whether a user may be this at an active organisation, now.
    pub fn may_be(&self, user: UserId, org: OrgId, role: Role) -> bool {
        self.organisations.get(&org).is_some_and(|org| org.active)
            && self.users.get(&user).is_some_and(|user| user.may_be(org, role))
    }

    /// Whether an organisation's kind may have somebody of this role. Whoever shows a key or a token is asked, and no
    /// change is while it is applied: what was agreed on before this was asked comes out the same at every member, and
    /// opens nothing.
    pub fn may_have(&self, org: OrgId, role: Role) -> bool {
        self.organisations.get(&org).is_some_and(|org| org.org_type.may_have(role))
    }

    /// Which clinician somebody is at an organisation.
    pub fn clinician(&self, user: UserId, org: OrgId) -> Option<ProviderId> {
        self.clinicians.get(&(org, user)).copied()
    }

    /// Puts a user and what finds them by organisation.
    pub(crate) fn insert_user(&mut self, user: User) {
        let members = Arc::make_mut(&mut self.members);
        for past in self.users.get(&user.id).iter().flat_map(|past| past.memberships.as_slice()) {
            members.remove(&(past.org, user.id));
        }
        members.extend(user.memberships.as_slice().iter().map(|one| ((one.org, user.id), ())));
        Arc::make_mut(&mut self.users).insert(user.id, Arc::new(user));
    }
}

impl User {
    /// Whether they work there, as this, now.
    pub fn may_be(&self, org: OrgId, role: Role) -> bool {
        let there = self.memberships.of(org);
        self.active && there.is_some_and(|there| there.active && there.roles.contains(role))
    }
}

/// Adds a user. The same one again changes nothing; another one with this id is refused.
pub(crate) fn add(state: &mut State, user: User) -> Result<(), Refusal> {
    let user = User { version: 1, ..user };
    match state.users.get(&user.id) {
        Some(known) if **known == user => return Ok(()),
        Some(_) => return Err(Refusal::AlreadyKnown),
        None if state.users.len() >= State::USERS_MAX => return Err(Refusal::Full),
        None => {}
    }
    insert_member_of_known(state, user)
}

/// Replaces a user who was read at this version.
pub(crate) fn change(state: &mut State, user: User, expected: u64) -> Result<(), Refusal> {
    let known = Arc::clone(state.users.get(&user.id).ok_or(Refusal::UnknownUser)?);
    let present = known.version;
    if present != expected {
        return Err(Refusal::StaleVersion);
    }
    let version = present.checked_add(1).ok_or(Refusal::Full)?;
    let id = user.id;
    insert_member_of_known(state, User { version, ..user })?;
    let worked_for: Vec<OrgId> = known.memberships.as_slice().iter().map(|one| one.org).collect();
    signin::act::end_what_may_not_be(state, id, &worked_for);
    free_clinicians(state, id, &worked_for);
    Ok(())
}

fn insert_member_of_known(state: &mut State, user: User) -> Result<(), Refusal> {
    if user.memberships.as_slice().iter().any(|one| !state.organisations.contains_key(&one.org)) {
        return Err(Refusal::UnknownOrg);
    }
    state.insert_user(user);
    Ok(())
}

/// Says which clinician somebody is at an organisation where they and the clinician work, and raises the user's version.
/// The same again changes nothing; a clinician who is somebody else there is refused.
pub(crate) fn bind(
    state: &mut State,
    user: UserId,
    org: OrgId,
    provider: Option<ProviderId>,
) -> Result<(), Refusal> {
    let known = Arc::clone(state.users.get(&user).ok_or(Refusal::UnknownUser)?);
    let there = known.memberships.of(org).ok_or(Refusal::NotAMember)?;
    if let Some(provider) = provider {
        if !there.roles.contains(Role::Provider) {
            return Err(Refusal::NotAMember);
        }
        if !state.providers.get(provider).is_some_and(|known| known.orgs.contains(org)) {
            return Err(Refusal::UnknownProvider);
        }
        let first = (org, UserId::from_bytes([0; 16]));
        let of_org = state.clinicians.iter_from(&first).take_while(|((of, _), _)| *of == org);
        if of_org.into_iter().any(|((_, who), one)| *one == provider && *who != user) {
            return Err(Refusal::AlreadyKnown);
        }
    }
    if state.clinician(user, org) == provider {
        return Ok(());
    }
    let version = known.version.checked_add(1).ok_or(Refusal::Full)?;
    state.insert_user(User { version, ..User::clone(&known) });
    let all = Arc::make_mut(&mut state.clinicians);
    match provider {
        Some(provider) => all.insert((org, user), provider),
        None => all.remove(&(org, user)),
    };
    Ok(())
}

/// Says which clinician a user is who was read at this version.
pub(crate) fn change_clinician(
    state: &mut State,
    user: UserId,
    (org, provider): (OrgId, Option<ProviderId>),
    expected: u64,
) -> Result<(), Refusal> {
    let known = state.users.get(&user).ok_or(Refusal::UnknownUser)?;
    if known.version != expected {
        return Err(Refusal::StaleVersion);
    }
    bind(state, user, org, provider)
}

/// Whoever does not work somewhere as a provider any more is no clinician there: somebody else may be the same one.
fn free_clinicians(state: &mut State, id: UserId, orgs: &[OrgId]) {
    let works = |org| state.users.get(&id).is_some_and(|user| user.may_be(org, Role::Provider));
    let over: Vec<OrgId> =
        orgs.iter().copied().filter(|org| state.clinician(id, *org).is_some() && !works(*org)).collect();
    for org in over {
        Arc::make_mut(&mut state.clinicians).remove(&(org, id));
    }
}

/// Adds or replaces a key that belongs to a user. A key's user never changes: records name both.
pub(crate) fn put_key(state: &mut State, verifier: KeyVerifier, user: UserId) -> Result<(), Refusal> {
    let known = state.users.get(&user).ok_or(Refusal::UnknownUser)?;
    if !known.memberships.of(verifier.org).is_some_and(|there| there.roles.contains(verifier.role)) {
        return Err(Refusal::NotAMember);
    }
    let key = verifier.key;
    match state.key_users.get(&key) {
        Some(holder) if *holder != user => return Err(Refusal::AlreadyKnown),
        // What the key did before, nobody can be named for.
        None if state.keys.contains_key(&key) => return Err(Refusal::AlreadyKnown),
        _ => {}
    }
    machine::put_key(state, verifier)?;
    Arc::make_mut(&mut state.key_users).insert(key, user);
    Ok(())
}
