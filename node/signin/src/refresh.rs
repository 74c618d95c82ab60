//! Goes on with a session.

use std::net::IpAddr;

use residency_control::Refusal;
use residency_control::signin::{Session, SignInChange};

use crate::NotSignedIn;
use crate::desk::{Desk, IDLE_SECONDS, Opened};
use crate::hashing::equal;
use crate::refresh_token::RefreshToken;

/// Takes a refresh token and gives the next one. One that was used before ends its session: whoever shows it, or whoever
/// used it before, was not meant to have it.
pub async fn refresh(desk: &Desk, text: &str, from: Option<IpAddr>) -> Result<Opened, NotSignedIn> {
    let token = RefreshToken::parse(text).ok_or(NotSignedIn::Nobody)?;
    let session = held(desk, &token).ok_or(NotSignedIn::Nobody)?;
    let now = desk.now();
    if now >= session.expires || !desk.roles(session.user, session.org).contains(&session.role) {
        return Err(NotSignedIn::Nobody);
    }
    let shown = token.current_sha256();
    if !equal(&shown, &session.refresh_sha256) {
        // Another node may have replaced it, of which this one has not heard. Only the log knows which came first.
        desk.changes.barrier().await?;
        let now_held = held(desk, &token).ok_or(NotSignedIn::Nobody)?;
        if !equal(&shown, &now_held.refresh_sha256) {
            return reused(desk, &token).await;
        }
    }
    // Only now: a token that comes again ends its session from wherever it comes.
    desk.admit(session.org, from)?;
    let next = token.next(&*desk.entropy);
    let expires = session.ends.min(now + IDLE_SECONDS);
    let to = next.current_sha256();
    let change = SignInChange::Refresh { session: token.session, from: shown, to, expires };
    match desk.propose(change).await? {
        Ok(index) => {
            let session = Session { refresh_sha256: to, expires, ..session };
            desk.tokens(session, index, &next, now)
        }
        // It was right when it was looked at, and somebody else came first.
        Err(Refusal::StaleVersion) => reused(desk, &token).await,
        Err(refusal) => Err(refusal.into()),
    }
}

/// The session of a token whose half that stays is right.
pub(crate) fn held(desk: &Desk, token: &RefreshToken) -> Option<Session> {
    let session = desk.directory.signins().session(token.session).map(|session| Session::clone(session))?;
    equal(&token.family_sha256(), &session.family_sha256).then_some(session)
}

async fn reused(desk: &Desk, token: &RefreshToken) -> Result<Opened, NotSignedIn> {
    tracing::warn!("a refresh token came a second time; its session was ended");
    // Ending one that has ended is no refusal.
    let _ended = desk.propose(SignInChange::EndSession(token.session)).await?;
    Err(NotSignedIn::Nobody)
}
