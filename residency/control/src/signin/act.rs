//! What a change about signing in does. Pure: the times are in the commands.

use std::sync::Arc;

use residency_policy::{OrgId, SessionId, SigningKeyId, UserId};

use super::account::{
    Account, Invitation, PasswordVerifier, RecoveryCodes, SecondFactor, Session, SigningKey, TotpVerifier,
};
use super::again::{self, Again};
use super::{LoginName, SignInChange, SignIns, devices, enter, passkeys, settings};
use crate::command::Refusal;
use crate::forget_keys;
use crate::machine::State;

/// So many failures in a row cost nothing.
const FREE_FAILURES: u32 = 4;
/// How long the next attempt waits after the first failure that costs something. Each further one doubles it.
const FIRST_DELAY_SECONDS: i64 = 30;
/// And no attempt waits longer, so that nobody can lock somebody else out for good.
const DELAY_SECONDS_MAX: i64 = 900;
/// How long a time step of an authenticator is (RFC 6238 section 4.1): of a code its step is known, which says when it was
/// shown.
const STEP_SECONDS: i64 = 30;
/// A session is forgotten so long after its end: a clock that is wrong by less ends nobody's session early.
const FORGOTTEN_AFTER_SECONDS: i64 = 86_400;
/// How many of those are forgotten at once.
const FORGOTTEN_AT_ONCE: usize = 64;

/// Applies one change. One that is refused changes nothing at all.
pub(crate) fn apply(state: &mut State, change: SignInChange) -> Result<(), Refusal> {
    match change {
        SignInChange::AddAccount(account) => add(state, account),
        SignInChange::Invite { org, user, name, invitation } => invite(state, org, user, name, invitation),
        SignInChange::Accept { org, user, secret_sha256, password, at } => {
            accept(state, (org, user), &secret_sha256, password, at)
        }
        SignInChange::NoteFailure { org, user, at } => note_failure(state, org, user, at),
        SignInChange::OpenSession { session, expected, second } => open(state, session, expected, second),
        SignInChange::Refresh { session, from, to, expires } => refresh(state, session, &from, to, expires),
        SignInChange::EndSession(session) => {
            state.signin.end(session);
            Ok(())
        }
        SignInChange::EnrolTotp { org, user, totp, recovery, expected } => {
            enrol(state, (org, user), totp, recovery, expected)
        }
        SignInChange::ConfirmTotp { org, user, step, session, expected } => {
            confirm(state, (org, user), step, session, expected)
        }
        SignInChange::AddSigningKey(key) => add_key(state, key),
        SignInChange::AddIdentityProvider(new) => enter::add(state, new),
        SignInChange::ChangeIdentityProvider { provider, expected } => enter::change(state, provider, expected),
        SignInChange::PutIdentityProvider { provider, mapping, expected } => {
            enter::put(state, provider, mapping, expected)
        }
        SignInChange::RemoveIdentityProvider { org, provider } => enter::remove(state, org, provider),
        SignInChange::Unlink { org, user, provider } => enter::unlink(state, org, user, provider),
        SignInChange::Enter(entrance) => enter::enter(state, entrance, None),
        SignInChange::EnterAssured { entrance, shown_at } => enter::enter(state, entrance, Some(shown_at)),
        SignInChange::NoteDevice(device) => devices::note(state, device),
        SignInChange::AdmitDevice { org, user, id } => devices::admit(state, org, user, id),
        SignInChange::RemoveDevice { org, user, id } => devices::remove(state, org, user, id),
        SignInChange::AddPasskey(added) => passkeys::add(state, added),
        SignInChange::ShowPasskey(shown) => passkeys::show(state, shown),
        SignInChange::RemovePasskey { org, user, id, session } => {
            passkeys::remove(state, (org, user), id, session)
        }
        SignInChange::PutSettings { settings, expected } => settings::put(state, settings, expected),
        SignInChange::ChangePassword { org, user, password, second, session, expected, at } => {
            again::change_password(state, &Again { org, user, second, expected, at }, password, session)
        }
        SignInChange::UseCode { org, user, second, expected, at } => {
            again::use_code(state, &Again { org, user, second, expected, at })
        }
        SignInChange::StepUp { org, user, second, session, expected, at } => {
            again::step_up(state, &Again { org, user, second, expected, at }, session)
        }
    }
}

pub(super) fn account(state: &State, org: OrgId, user: UserId) -> Result<Account, Refusal> {
    state.signin.account(org, user).map(|known| Account::clone(known)).ok_or(Refusal::UnknownAccount)
}

/// An account with one more change.
pub(super) fn changed(account: Account) -> Result<Account, Refusal> {
    Ok(Account { version: account.version.checked_add(1).ok_or(Refusal::Full)?, ..account })
}

/// Whether there may be a new account of this name.
fn may_add(state: &State, org: OrgId, user: UserId, name: &LoginName) -> Result<(), Refusal> {
    let works = state.users.get(&user).ok_or(Refusal::UnknownUser)?.memberships.of(org).is_some();
    if !works {
        return Err(Refusal::NotAMember);
    }
    if state.signin.account_named(org, name).is_some() {
        return Err(Refusal::LoginNameTaken);
    }
    if state.signin.accounts().len() >= SignIns::ACCOUNTS_MAX { Err(Refusal::Full) } else { Ok(()) }
}

fn add(state: &mut State, new: Account) -> Result<(), Refusal> {
    match state.signin.account(new.org, new.user) {
        Some(known) if known.name == new.name => return Ok(()),
        Some(_) => return Err(Refusal::AlreadyKnown),
        None => may_add(state, new.org, new.user, &new.name)?,
    }
    state.signin.put_account(Account { version: 1, ..new });
    Ok(())
}

fn invite(
    state: &mut State,
    org: OrgId,
    user: UserId,
    name: LoginName,
    invitation: Invitation,
) -> Result<(), Refusal> {
    let known = match state.signin.account(org, user) {
        Some(known) if known.name == name => Account::clone(known),
        Some(_) => return Err(Refusal::AlreadyKnown),
        None => {
            may_add(state, org, user, &name)?;
            Account::new(org, user, name)
        }
    };
    state.signin.put_account(Account { invitation: Some(invitation), ..known });
    Ok(())
}

fn accept(
    state: &mut State,
    (org, user): (OrgId, UserId),
    secret_sha256: &[u8; 32],
    password: PasswordVerifier,
    at: i64,
) -> Result<(), Refusal> {
    let known = account(state, org, user)?;
    let open = known.invitation.as_ref();
    if !open.is_some_and(|open| open.secret_sha256 == *secret_sha256 && at < open.expires) {
        return Err(Refusal::Lapsed);
    }
    let Account { name, version, .. } = changed(known)?;
    let fresh = Account { version, password: Some(password), ..Account::new(org, user, name) };
    state.signin.put_account(fresh);
    state.signin.federation_mut().unlink_all(org, user);
    state.signin.forget_devices(org, user);
    state.signin.forget_passkeys(org, user);
    end_all_of(state, org, user, |_| true);
    Ok(())
}

fn note_failure(state: &mut State, org: OrgId, user: UserId, at: i64) -> Result<(), Refusal> {
    let known = account(state, org, user)?;
    let failures = known.failures.saturating_add(1);
    let not_before = known.not_before.max(at.saturating_add(delay(failures)));
    state.signin.put_account(Account { failures, not_before, ..known });
    Ok(())
}

/// How long the next attempt waits after so many failures in a row, in seconds.
fn delay(failures: u32) -> i64 {
    match failures.checked_sub(FREE_FAILURES + 1) {
        None => 0,
        Some(doublings) => (FIRST_DELAY_SECONDS << doublings.min(8)).min(DELAY_SECONDS_MAX),
    }
}

fn open(state: &mut State, session: Session, expected: u64, second: SecondFactor) -> Result<(), Refusal> {
    let known = account(state, session.org, session.user)?;
    match state.signin.session(session.id) {
        Some(there) if **there == session => return Ok(()),
        Some(_) => return Err(Refusal::AlreadyKnown),
        None => {}
    }
    // A password that was changed since it was looked at opens nothing.
    if known.version != expected {
        return Err(Refusal::StaleVersion);
    }
    // Attempts that were made side by side are counted here, where they have one order.
    if session.created < known.not_before {
        return Err(Refusal::TooSoon);
    }
    if !state.may_be(session.user, session.org, session.role) {
        return Err(Refusal::NotAMember);
    }
    // What is held already opens nothing.
    if matches!(second, SecondFactor::Held(_)) {
        return Err(Refusal::CodeUsed);
    }
    let known = shown(state, known, second, session.created)?;
    make_room(state, &session)?;
    forget_keys::long_over(state, session.created);
    state.signin.put_account(Account { failures: 0, not_before: 0, ..known });
    state.signin.put_session(session);
    Ok(())
}

/// Forgets what is long over, and ends the oldest session where there would be one too many.
pub(super) fn make_room(state: &mut State, session: &Session) -> Result<(), Refusal> {
    for over in state.signin.over(session.created.saturating_sub(FORGOTTEN_AFTER_SECONDS), FORGOTTEN_AT_ONCE) {
        state.signin.end(over);
    }
    let mut others: Vec<(i64, SessionId)> =
        state.signin.sessions_of(session.org, session.user).map(|one| (one.created, one.id)).collect();
    if others.len() >= SignIns::SESSIONS_EACH_MAX {
        others.sort_unstable();
        let too_many = others.len() + 1 - SignIns::SESSIONS_EACH_MAX;
        for (_, oldest) in others.into_iter().take(too_many) {
            state.signin.end(oldest);
        }
    }
    if state.signin.sessions().len() >= SignIns::SESSIONS_MAX {
        return Err(Refusal::Full);
    }
    Ok(())
}

/// The account after its second factor was shown. Each code is good once, whichever nodes it is shown to.
pub(super) fn shown(
    state: &State,
    mut account: Account,
    second: SecondFactor,
    at: i64,
) -> Result<Account, Refusal> {
    match second {
        SecondFactor::None if state.signin.asks_for_more(&account) => Err(Refusal::StaleVersion),
        SecondFactor::None => Ok(account),
        SecondFactor::Held(id) => {
            let held = state.signin.session(id);
            let own = held.is_some_and(|held| (held.org, held.user) == (account.org, account.user));
            // What was shown long ago proves nobody who sits there now.
            let sure = own && held.is_some_and(|held| state.signin.is_sure(held, at));
            if sure && !account.has_authenticator() { Ok(account) } else { Err(Refusal::UnknownSession) }
        }
        SecondFactor::Totp(step) => {
            let totp = account.totp.as_mut().filter(|totp| totp.confirmed && step > totp.last_step);
            totp.ok_or(Refusal::CodeUsed)?.last_step = step;
            Ok(account)
        }
        SecondFactor::Recovery(at) => {
            let asks = account.has_authenticator();
            let codes = account
                .recovery
                .as_mut()
                .filter(|codes| asks && usize::from(at) < codes.sha256.len() && codes.used & (1 << at) == 0);
            codes.ok_or(Refusal::CodeUsed)?.used |= 1 << at;
            Ok(account)
        }
    }
}

fn refresh(
    state: &mut State,
    id: SessionId,
    from: &[u8; 32],
    to: [u8; 32],
    expires: i64,
) -> Result<(), Refusal> {
    let known = state.signin.session(id).ok_or(Refusal::UnknownSession)?;
    // The same proposal again.
    if known.refresh_sha256 == to {
        return Ok(());
    }
    if known.refresh_sha256 != *from {
        return Err(Refusal::StaleVersion);
    }
    let rotations = known.rotations.checked_add(1).ok_or(Refusal::Full)?;
    let expires = expires.min(known.ends);
    let session = Session { refresh_sha256: to, rotations, expires, ..Session::clone(known) };
    state.signin.put_session(session);
    Ok(())
}

fn enrol(
    state: &mut State,
    (org, user): (OrgId, UserId),
    mut totp: TotpVerifier,
    recovery: RecoveryCodes,
    expected: u64,
) -> Result<(), Refusal> {
    let known = account(state, org, user)?;
    if known.has_authenticator() {
        return Err(Refusal::AlreadyKnown);
    }
    if known.version != expected {
        return Err(Refusal::StaleVersion);
    }
    (totp.confirmed, totp.last_step) = (false, 0);
    let known = Account { totp: Some(totp), recovery: Some(recovery), ..changed(known)? };
    state.signin.put_account(known);
    Ok(())
}

fn confirm(
    state: &mut State,
    (org, user): (OrgId, UserId),
    step: u64,
    session: SessionId,
    expected: u64,
) -> Result<(), Refusal> {
    let mut known = account(state, org, user)?;
    let version = known.version;
    match known.totp.as_mut() {
        None => return Err(Refusal::UnknownAccount),
        Some(totp) if totp.confirmed => return Err(Refusal::AlreadyKnown),
        Some(_) if version != expected => return Err(Refusal::StaleVersion),
        Some(totp) => (totp.confirmed, totp.last_step) = (true, step),
    }
    let shown_at = i64::try_from(step).unwrap_or(0).saturating_mul(STEP_SECONDS);
    // Whoever has passkeys shows that they have one before another factor counts.
    if state.signin.passkeys_of(org, user).next().is_some() {
        shown(state, Account { totp: None, ..known.clone() }, SecondFactor::Held(session), shown_at)?;
    }
    let known = changed(known)?;
    state.signin.put_account(known);
    end_all_of(state, org, user, |one| one.id != session);
    let own = state.signin.session(session).filter(|one| (one.org, one.user) == (org, user));
    if let Some(own) = own.map(|own| Session { assurance: 2, ..Session::clone(own) }) {
        state.signin.put_session(own);
        state.signin.note_assured(session, shown_at);
    }
    Ok(())
}

fn add_key(state: &mut State, key: SigningKey) -> Result<(), Refusal> {
    match state.signin.signing_key(key.id) {
        Some(known) if *known == key => return Ok(()),
        Some(_) => return Err(Refusal::AlreadyKnown),
        None => {}
    }
    let (over, left): (Vec<&SigningKey>, Vec<&SigningKey>) = state
        .signin
        .signing_keys()
        .filter(|one| one.region == key.region)
        .partition(|one| one.not_after <= key.not_before);
    if left.len() >= SignIns::KEYS_EACH_MAX {
        return Err(Refusal::Full);
    }
    let over: Vec<SigningKeyId> = over.into_iter().map(|one| one.id).collect();
    for id in over {
        state.signin.forget_key(id);
    }
    state.signin.put_key(key);
    Ok(())
}

pub(super) fn end_all_of(state: &mut State, org: OrgId, user: UserId, which: impl Fn(&Session) -> bool) {
    let some: Vec<SessionId> =
        state.signin.sessions_of(org, user).filter(|one| which(one)).map(|one| one.id).collect();
    for id in some {
        state.signin.end(id);
    }
}

/// Ends what a user's sessions may no longer be, after the user was changed: a suspension that is taken back does not
/// bring them back.
pub(crate) fn end_what_may_not_be(state: &mut State, user: UserId, orgs: &[OrgId]) {
    let users = Arc::clone(&state.users);
    for org in orgs {
        let gone: Vec<SessionId> = state
            .signin
            .sessions_of(*org, user)
            .filter(|one| !users.get(&user).is_some_and(|user| user.may_be(*org, one.role)))
            .map(|one| one.id)
            .collect();
        for id in gone {
            state.signin.end(id);
        }
    }
}

/// Ends every session at an organisation.
pub(crate) fn end_all_at(state: &mut State, org: OrgId) {
    for id in state.signin.sessions_at(org) {
        state.signin.end(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_and_has_a_bound() {
        let delays: Vec<i64> = (0..12).map(delay).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(delay(u32::MAX), DELAY_SECONDS_MAX);
    }
}
