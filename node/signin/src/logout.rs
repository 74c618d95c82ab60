//! Ends a session.

use residency_control::signin::SignInChange;
use residency_policy::SessionId;

use crate::NotSignedIn;
use crate::desk::Desk;
use crate::refresh::held;
use crate::refresh_token::RefreshToken;

/// The session of a refresh token, old ones included: who has one may end what it belongs to.
pub fn session_of(desk: &Desk, text: &str) -> Option<SessionId> {
    held(desk, &RefreshToken::parse(text)?).map(|session| session.id)
}

/// Ends a session, for every node.
pub async fn end(desk: &Desk, session: SessionId) -> Result<u64, NotSignedIn> {
    Ok(desk.propose(SignInChange::EndSession(session)).await??)
}
