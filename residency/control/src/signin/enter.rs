//! What a change about identity providers does. Pure: the times are in the commands.

use std::sync::Arc;

use residency_policy::{IdentityProviderId, OrgId, UserId};

use super::account::{Account, Session};
use super::act::{account, changed, end_all_of, make_room};
use super::federation::Federation;
use super::identity_provider::{Entrance, IdentityLink, IdentityProvider, Joining};
use super::role_mapping::RoleMapping;
use crate::command::Refusal;
use crate::forget_keys;
use crate::machine::State;

/// A used flow is forgotten so long after its end: a clock that is wrong by less lets nobody use it twice.
const FORGOTTEN_AFTER_SECONDS: i64 = 3_600;
/// How many of those are forgotten at once.
const FORGOTTEN_AT_ONCE: usize = 64;

/// Adds a provider. The same one again changes nothing.
pub(super) fn add(state: &mut State, new: IdentityProvider) -> Result<(), Refusal> {
    let new = IdentityProvider { version: 1, ..new };
    match state.signin.federation().provider(new.id) {
        Some(known) if **known == new => return Ok(()),
        Some(_) => return Err(Refusal::AlreadyKnown),
        None => {}
    }
    if !state.organisations.contains_key(&new.org) {
        return Err(Refusal::UnknownOrg);
    }
    if state.signin.federation().providers_of(new.org).count() >= Federation::PROVIDERS_EACH_MAX {
        return Err(Refusal::Full);
    }
    state.signin.federation_mut().put_provider(new);
    Ok(())
}

/// Adds a provider or replaces what of it may change, with what its groups make of people. The same new one again changes
/// nothing. Who is signed in stays what they are until they come in again.
pub(super) fn put(
    state: &mut State,
    new: IdentityProvider,
    mapping: Option<RoleMapping>,
    expected: u64,
) -> Result<(), Refusal> {
    let id = new.id;
    let federation = state.signin.federation();
    if expected > 0 {
        change(state, new, expected)?;
    } else if federation.provider(id).is_some() && federation.mapping(id).map(|one| &**one) != mapping.as_ref()
    {
        return Err(Refusal::AlreadyKnown);
    } else {
        add(state, new)?;
    }
    state.signin.federation_mut().put_mapping(id, mapping);
    Ok(())
}

fn own(state: &State, org: OrgId, id: IdentityProviderId) -> Result<Arc<IdentityProvider>, Refusal> {
    let known = state.signin.federation().provider(id).filter(|one| one.org == org);
    known.cloned().ok_or(Refusal::UnknownIdentityProvider)
}

/// Replaces a provider's secret or domain, or sets it aside. Who it is stays: links rest on that.
pub(super) fn change(state: &mut State, new: IdentityProvider, expected: u64) -> Result<(), Refusal> {
    let known = own(state, new.org, new.id)?;
    if (known.preset, &known.issuer, &known.client) != (new.preset, &new.issuer, &new.client) {
        return Err(Refusal::AlreadyKnown);
    }
    if known.version != expected {
        return Err(Refusal::StaleVersion);
    }
    let version = expected.checked_add(1).ok_or(Refusal::Full)?;
    let (org, id, active) = (new.org, new.id, new.active);
    state.signin.federation_mut().put_provider(IdentityProvider { version, ..new });
    if !active {
        let linked = state.signin.federation().linked_through(id);
        end_sessions(state, org, &linked);
    }
    Ok(())
}

/// Removes a provider with its links. Whoever came in through it may have, so their sessions end.
pub(super) fn remove(state: &mut State, org: OrgId, id: IdentityProviderId) -> Result<(), Refusal> {
    own(state, org, id)?;
    let linked = state.signin.federation_mut().remove_provider(org, id);
    end_sessions(state, org, &linked);
    Ok(())
}

/// Forgets what a provider calls one user. They may have come in through it, so their sessions end.
pub(super) fn unlink(
    state: &mut State,
    org: OrgId,
    user: UserId,
    provider: IdentityProviderId,
) -> Result<(), Refusal> {
    own(state, org, provider)?;
    if state.signin.federation().subject_of(org, user, provider).is_none() {
        return Err(Refusal::UnknownAccount);
    }
    // What was looked at before rests on the link.
    let known = changed(account(state, org, user)?)?;
    state.signin.federation_mut().unlink(org, user, provider);
    state.signin.put_account(known);
    end_all_of(state, org, user, |_| true);
    Ok(())
}

fn end_sessions(state: &mut State, org: OrgId, users: &[UserId]) {
    for user in users {
        end_all_of(state, org, *user, |_| true);
    }
}

/// Lets somebody in, and links them where they were not linked. The flow is used up in the same step. A second factor
/// counts from when it was shown, where that is said, and otherwise from now, as earlier releases meant it.
pub(super) fn enter(state: &mut State, entrance: Entrance, shown_at: Option<i64>) -> Result<(), Refusal> {
    let Entrance { session, expected, provider, subject_sha256, joining, second, flow_sha256, flow_ends } =
        entrance;
    let (org, user) = (session.org, session.user);
    if state.signin.federation().is_spent(flow_ends, &flow_sha256) {
        // The same proposal again; anything else is a flow that is used a second time.
        let same = state.signin.session(session.id).is_some_and(|there| **there == session);
        return if same { Ok(()) } else { Err(Refusal::CodeUsed) };
    }
    let through = own(state, org, provider)?;
    if !through.active {
        return Err(Refusal::UnknownIdentityProvider);
    }
    if session.created >= flow_ends || state.signin.session(session.id).is_some() {
        return Err(Refusal::Lapsed);
    }
    let known = account(state, org, user)?;
    if known.version != expected {
        return Err(Refusal::StaleVersion);
    }
    if !state.may_be(user, org, session.role) {
        return Err(Refusal::NotAMember);
    }
    let link = IdentityLink { org, user, provider, subject_sha256 };
    let (known, fresh) = joined(state, known, &through, &link, joining, &session)?;
    if !fresh && state.signin.asks_for_more(&known) && !second {
        return Err(Refusal::StaleVersion);
    }
    room_for_flow(state, session.created)?;
    // It is no surer than the one that asks for a link, which may be ended here to make room.
    let asking = match joining {
        Joining::SignedIn(id) => state.signin.session(id).filter(|held| held.assurance >= 2),
        Joining::Linked | Joining::ByMail | Joining::Invited(_) => None,
    };
    let said = shown_at.map(|at| at.min(session.created));
    let (id, assured) = (session.id, asking.map(|held| state.signin.assured_at(held)).or(said));
    make_room(state, &session)?;
    forget_keys::long_over(state, session.created);

    if fresh {
        state.signin.federation_mut().unlink_all(org, user);
        state.signin.forget_devices(org, user);
        state.signin.forget_passkeys(org, user);
        end_all_of(state, org, user, |_| true);
    }
    // The new session takes the place of the one that asked for the link.
    if let Joining::SignedIn(before) = joining {
        state.signin.end(before);
    }
    spend_flow(state, session.created, flow_ends, flow_sha256);
    state.signin.federation_mut().link(&link);
    // Only where it says when: otherwise they could never show a fresh one.
    if shown_at.is_some_and(|at| at > 0) {
        state.signin.federation_mut().note_sure(org, user, provider);
    }
    state.signin.put_account(known);
    state.signin.put_session(session);
    if let Some(at) = assured {
        state.signin.note_assured(id, at);
    }
    Ok(())
}

/// Refuses where another flow that is used now could not be remembered.
pub(super) fn room_for_flow(state: &State, now: i64) -> Result<(), Refusal> {
    let federation = state.signin.federation();
    let full = federation.spent_len() >= Federation::SPENT_MAX;
    if full && !federation.forgets(now.saturating_sub(FORGOTTEN_AFTER_SECONDS)) {
        return Err(Refusal::Full);
    }
    Ok(())
}

/// Uses a flow up, and forgets some that ended long ago.
pub(super) fn spend_flow(state: &mut State, now: i64, ends: i64, flow_sha256: [u8; 32]) {
    let federation = state.signin.federation_mut();
    federation.forget_spent(now.saturating_sub(FORGOTTEN_AFTER_SECONDS), FORGOTTEN_AT_ONCE);
    federation.spend(ends, flow_sha256);
}

/// The account with the link, and whether everything that signed in before is forgotten.
fn joined(
    state: &State,
    known: Account,
    through: &IdentityProvider,
    link: &IdentityLink,
    joining: Joining,
    session: &Session,
) -> Result<(Account, bool), Refusal> {
    let federation = state.signin.federation();
    let holder = federation.linked(link.provider, &link.subject_sha256);
    if joining == Joining::Linked {
        return if holder == Some(link.user) { Ok((known, false)) } else { Err(Refusal::UnknownAccount) };
    }
    if holder.is_some_and(|holder| holder != link.user) {
        return Err(Refusal::IdentityTaken);
    }
    if federation.links_len() >= Federation::LINKS_MAX {
        return Err(Refusal::Full);
    }
    match joining {
        Joining::ByMail => {
            // An address that was given to somebody else does not take the account along.
            let linked = federation.subject_of(link.org, link.user, link.provider);
            // Nor does it stand in for an authenticator: whoever has one links it from a session of their own.
            if linked.is_some() || state.signin.asks_for_more(&known) || !through.vouches_for(&known.name) {
                return Err(Refusal::IdentityTaken);
            }
            Ok((changed(known)?, false))
        }
        Joining::SignedIn(id) => {
            let held = state.signin.session(id);
            let own = held.is_some_and(|held| {
                (held.org, held.user) == (link.org, link.user) && session.created < held.ends
            });
            if !own {
                return Err(Refusal::UnknownSession);
            }
            // What was linked once is not replaced: that takes an invitation.
            match federation.subject_of(link.org, link.user, link.provider) {
                Some(linked) if linked != link.subject_sha256 => Err(Refusal::IdentityTaken),
                _ => Ok((changed(known)?, false)),
            }
        }
        Joining::Invited(secret_sha256) => {
            let open = known.invitation.as_ref();
            if !open.is_some_and(|open| open.secret_sha256 == secret_sha256 && session.created < open.expires) {
                return Err(Refusal::Lapsed);
            }
            let Account { org, user, name, version, .. } = changed(known)?;
            Ok((Account { version, ..Account::new(org, user, name) }, true))
        }
        Joining::Linked => Err(Refusal::UnknownAccount),
    }
}
