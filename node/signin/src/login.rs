//! Begins a session.

use std::net::IpAddr;
use std::sync::Arc;

use residency_control::Command;
use residency_control::signin::{Account, LoginName, SecondFactor, Session, SignInChange};
use residency_policy::{OrgId, Role, SessionId};

use crate::desk::{Desk, IDLE_SECONDS, Opened, SESSION_SECONDS};
use crate::hashing::Password;
use crate::refresh_token::RefreshToken;
use crate::{NotSignedIn, devices};

/// What somebody shows.
#[derive(Clone)]
pub struct Shown {
    /// Where.
    pub org: OrgId,
    /// The name.
    pub name: LoginName,
    /// The password.
    pub password: Password,
    /// A code of the authenticator, or one that stands in for it.
    pub code: Option<String>,
    /// As what, where they may be several things.
    pub role: Option<Role>,
}

/// Begins a session for whoever shows the right things.
///
/// What is not known, not active, locked out or without a password costs a hash like everything else and is `Nobody`.
pub async fn login(
    desk: &Desk,
    shown: Shown,
    device: &devices::Shown,
    from: Option<IpAddr>,
) -> Result<Opened, NotSignedIn> {
    desk.admit(shown.org, from)?;
    // So that what is looked at is what everybody agreed on last: the password in force, and every failure that was
    // counted. Where failures cannot be counted, nobody may guess either.
    desk.changes.barrier().await?;
    let signins = desk.directory.signins();
    let account = signins.account_named(shown.org, &shown.name).cloned();
    drop(signins);
    let verifier = account.as_ref().and_then(|account| account.password.clone());
    let same = desk.hashing.verify(shown.password, verifier).await?;
    let now = desk.now();
    let account = account.ok_or(NotSignedIn::Nobody)?;
    // Others failed meanwhile, perhaps, and what was hashed may be in force no more.
    let account =
        desk.directory.signins().account(account.org, account.user).cloned().ok_or(NotSignedIn::Nobody)?;
    // During a lock-out nothing is looked at: neither does a failure make it longer, nor is a right password told.
    if now < account.not_before {
        return Err(NotSignedIn::Nobody);
    }
    if !same {
        note_failure(desk, &account, now);
        return Err(NotSignedIn::Nobody);
    }
    let second = second(desk, &account, shown.code.as_deref(), now)?;
    let role = role(&desk.roles(account.user, account.org), shown.role)?;
    if !devices::admitted(desk, (account.org, account.user), device) {
        // No session uses up the code here, and it is good once all the same.
        use_up(desk, &account, second, now).await?;
        return Err(devices::wait(desk, (account.org, account.user), device).await);
    }
    open(desk, &account, role, second, now).await
}

/// What the code is that was shown beside a password that was right.
pub(crate) fn second(
    desk: &Desk,
    account: &Account,
    code: Option<&str>,
    now: i64,
) -> Result<SecondFactor, NotSignedIn> {
    match (desk.directory.signins().asks_for_more(account), code) {
        (false, _) => Ok(SecondFactor::None),
        (true, None) => Err(NotSignedIn::CodeNeeded),
        (true, Some(code)) => desk.keys.second(account, code, now).ok_or_else(|| {
            note_failure(desk, account, now);
            NotSignedIn::Nobody
        }),
    }
}

/// The same, of somebody who is signed in and showed their password again. Whoever has passkeys and no authenticator has no code
/// to show; a session of theirs was begun with a passkey, which the control plane looks at.
pub(crate) fn second_again(
    desk: &Desk,
    account: &Account,
    session: SessionId,
    code: Option<&str>,
    now: i64,
) -> Result<SecondFactor, NotSignedIn> {
    let by_passkey = !account.has_authenticator() && desk.directory.signins().asks_for_more(account);
    if by_passkey && code.is_none() {
        return Ok(SecondFactor::Held(session));
    }
    second(desk, account, code, now)
}

/// Uses up a code, if one was shown.
pub(crate) async fn use_up(
    desk: &Desk,
    account: &Account,
    second: SecondFactor,
    at: i64,
) -> Result<(), NotSignedIn> {
    if second != SecondFactor::None {
        let (org, user, expected) = (account.org, account.user, account.version);
        desk.propose(SignInChange::UseCode { org, user, second, expected, at }).await??;
    }
    Ok(())
}

/// The one that they want, or the only one that they have.
pub(crate) fn role(there: &[Role], wanted: Option<Role>) -> Result<Role, NotSignedIn> {
    match (wanted, there) {
        (Some(wanted), _) if there.contains(&wanted) => Ok(wanted),
        (None, [only]) => Ok(*only),
        (Some(_), _) | (None, []) => Err(NotSignedIn::Nobody),
        (None, _) => Err(NotSignedIn::RoleNeeded),
    }
}

async fn open(
    desk: &Desk,
    account: &Account,
    role: Role,
    second: SecondFactor,
    now: i64,
) -> Result<Opened, NotSignedIn> {
    let token = RefreshToken::first(SessionId::random(&*desk.entropy), &*desk.entropy);
    let ends = now + SESSION_SECONDS;
    let session = Session {
        id: token.session,
        org: account.org,
        user: account.user,
        role,
        family_sha256: token.family_sha256(),
        refresh_sha256: token.current_sha256(),
        rotations: 0,
        assurance: if second == SecondFactor::None { 1 } else { 2 },
        created: now,
        expires: ends.min(now + IDLE_SECONDS),
        ends,
    };
    let change = SignInChange::OpenSession { session: session.clone(), expected: account.version, second };
    let index = desk.propose(change).await??;
    desk.tokens(session, index, &token, now)
}

/// Counts a failure, after the answer: one that waited for it would tell that there is such an account.
pub(crate) fn note_failure(desk: &Desk, account: &Account, at: i64) {
    let changes = Arc::clone(&desk.changes);
    let change = SignInChange::NoteFailure { org: account.org, user: account.user, at };
    tokio::spawn(async move {
        if let Err(error) = changes.propose(Command::SignIn(change)).await {
            tracing::warn!(%error, "a failed sign-in could not be counted");
        }
    });
}
