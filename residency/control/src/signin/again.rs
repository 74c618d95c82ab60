//! What a change does that somebody confirmed with what they sign in with. Pure: the times are in the commands.

use residency_policy::{OrgId, SessionId, UserId};

use super::account::{Account, PasswordVerifier, SecondFactor, Session};
use super::act::{account, changed, end_all_of, shown};
use crate::command::Refusal;
use crate::machine::State;

/// Who showed what, beside their password.
pub(super) struct Again {
    pub(super) org: OrgId,
    pub(super) user: UserId,
    pub(super) second: SecondFactor,
    pub(super) expected: u64,
    pub(super) at: i64,
}

/// Replaces a password. The session that asked goes on, and every other one of theirs ends.
pub(super) fn change_password(
    state: &mut State,
    again: &Again,
    password: PasswordVerifier,
    session: SessionId,
) -> Result<(), Refusal> {
    let known = account(state, again.org, again.user)?;
    // The same proposal again: no other has its salt.
    if known.password.as_ref() == Some(&password) {
        return Ok(());
    }
    let held = state.signin.session(session);
    if !held.is_some_and(|held| (held.org, held.user) == (again.org, again.user) && again.at < held.ends) {
        return Err(Refusal::UnknownSession);
    }
    if known.password.is_none() {
        return Err(Refusal::UnknownAccount);
    }
    let known = changed(confirmed(state, known, again)?)?;
    state.signin.put_account(Account { password: Some(password), failures: 0, not_before: 0, ..known });
    end_all_of(state, again.org, again.user, |one| one.id != session);
    Ok(())
}

/// Uses up a code.
pub(super) fn use_code(state: &mut State, again: &Again) -> Result<(), Refusal> {
    let known = confirmed(state, account(state, again.org, again.user)?, again)?;
    state.signin.put_account(known);
    Ok(())
}

/// Notes that somebody showed a second factor in a session of theirs. What they show is used up.
pub(super) fn step_up(state: &mut State, again: &Again, session: SessionId) -> Result<(), Refusal> {
    let held = state.signin.session(session).cloned().ok_or(Refusal::UnknownSession)?;
    if (held.org, held.user) != (again.org, again.user) || again.at >= held.ends {
        return Err(Refusal::UnknownSession);
    }
    // Nothing shown is no second factor, although an account without one asks for none; neither is what was shown before.
    if matches!(again.second, SecondFactor::None | SecondFactor::Held(_)) {
        return Err(Refusal::CodeUsed);
    }
    let known = confirmed(state, account(state, again.org, again.user)?, again)?;
    state.signin.put_account(known);
    state.signin.put_session(Session { assurance: 2, ..Session::clone(&held) });
    state.signin.note_assured(session, again.at);
    Ok(())
}

/// The account after its holder showed what signs them in, unless it was changed since or is waiting.
fn confirmed(state: &State, known: Account, again: &Again) -> Result<Account, Refusal> {
    if known.version != again.expected {
        return Err(Refusal::StaleVersion);
    }
    if again.at < known.not_before {
        return Err(Refusal::TooSoon);
    }
    shown(state, known, again.second, again.at)
}
