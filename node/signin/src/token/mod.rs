//! Access tokens: JSON Web Tokens with Ed25519.

pub mod caller;
pub mod issuer;
mod ring_provider;
pub mod verify;

use serde::{Deserialize, Serialize};

use residency_policy::{OrgId, Role, SessionId, UserId};

/// What an access token says (RFC 7519 section 4).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The cluster whose node signed it.
    pub iss: String,
    /// The cluster that it is good for.
    pub aud: String,
    /// Who.
    pub sub: UserId,
    /// Which session.
    pub sid: SessionId,
    /// Where they signed in.
    pub org: OrgId,
    /// As what.
    pub role: Role,
    /// How sure it is: 1 with a password, 2 with a second factor.
    pub aal: u16,
    /// How far in the replicated log the session is. A node that has not come so far waits for it.
    pub idx: u64,
    /// When it was signed, in seconds after the Unix epoch.
    pub iat: i64,
    /// The second from which it is refused.
    pub exp: i64,
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims").field("sid", &self.sid).finish_non_exhaustive()
    }
}
