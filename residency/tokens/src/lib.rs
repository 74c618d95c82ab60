//! Access tokens as routers and nodes read them: JSON Web Tokens (RFC 7519) with Ed25519 (RFC 8037).
//!
//! A crate of its own because the router must know whether somebody is signed in before it says where a patient lives, and
//! may link nothing of a node. What makes tokens is in `node-signin`.

pub mod cookie;
pub mod device;
mod living;
pub mod patient;
pub mod ring_provider;
mod verify;

use residency_policy::{OrgId, Role, SessionId, UserId};
use serde::{Deserialize, Serialize};

pub use living::{NotLiving, living};
pub use verify::{TOKEN_LEN_MAX, Verifier};

/// Who issues the tokens of a cluster, and for whom.
pub fn name_of(cluster: &str) -> String {
    format!("domicile:{cluster}")
}

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
