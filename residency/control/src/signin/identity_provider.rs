//! What is replicated of the servers that organisations let say who somebody is.

use std::fmt;

use residency_policy::{IdentityProviderId, OrgId, SessionId, UserId};
use serde::{Deserialize, Serialize};

use super::{ClientId, IssuerUrl, LoginName, Session};
use crate::Host;
use crate::command::{must_be_replicated, record};

residency_policy::words! {
    /// What is known of a kind of provider before it is asked.
    Preset, NotAPreset, "an identity provider's kind" {
        /// Any that speaks OpenID Connect.
        Custom = "custom",
        /// Google.
        Google = "google",
        /// Okta.
        Okta = "okta",
        /// Microsoft Entra ID, one tenant.
        Entra = "entra",
        /// Amazon Cognito, one user pool.
        Cognito = "cognito",
        /// GitHub, or a GitHub Enterprise Server: OAuth 2 without OpenID Connect.
        Github = "github",
    }
}

record! {
    /// A secret of at most 126 bytes, padded and sealed with AES-256-GCM under a key that every node was given and the
    /// control plane never has.
    pub struct SealedSecret {
        /// The number of the key that sealed it.
        pub sealed_under: u32,
        /// The nonce.
        pub nonce: [u8; 12],
        /// The secret, sealed: its length in two bytes, itself, and zeros.
        pub sealed: Box<[[u8; 32]; 4]>,
        /// The seal's tag.
        pub tag: [u8; 16],
    }
}

record! {
    /// A server that one organisation lets say who somebody is.
    #[derive(Debug)]
    pub struct IdentityProvider {
        /// Its id, which is in the address where signing in begins.
        pub id: IdentityProviderId,
        /// Whose.
        pub org: OrgId,
        /// Which kind.
        pub preset: Preset,
        /// What it signs with.
        pub issuer: IssuerUrl,
        /// What it calls us.
        pub client: ClientId,
        /// What proves to it that it is us. None for a client that only PKCE (RFC 7636) proves.
        pub secret: Option<SealedSecret>,
        /// The domain whose verified addresses it may vouch for: somebody who shows one that is a login name of the
        /// organisation is linked to that account. Without one, only an invitation or a session links anybody.
        pub mail_domain: Option<Host>,
        /// Whether anybody may come in through it.
        pub active: bool,
        /// 1 when added, and one more with every change. The state counts.
        pub version: u64,
    }
}

record! {
    /// Whom an identity provider calls what.
    pub struct IdentityLink {
        /// Where.
        pub org: OrgId,
        /// Who.
        pub user: UserId,
        /// The provider.
        pub provider: IdentityProviderId,
        /// SHA-256 of the issuer and of what it calls them, which nobody else learns.
        pub subject_sha256: [u8; 32],
    }
}

/// What makes a subject of a provider somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Joining {
    /// They were linked before.
    Linked,
    /// The provider showed a verified address that is their login name.
    ByMail,
    /// They showed an invitation, whose digest this is.
    Invited([u8; 32]),
    /// They are signed in, with this session.
    SignedIn(SessionId),
}

record! {
    /// Somebody comes in through a provider.
    pub struct Entrance {
        /// The session that begins.
        pub session: Session,
        /// The version of the account that was looked at.
        pub expected: u64,
        /// Through which provider.
        pub provider: IdentityProviderId,
        /// SHA-256 of the issuer and the subject.
        pub subject_sha256: [u8; 32],
        /// What makes the subject this user.
        pub joining: Joining,
        /// Whether the provider says that it asked for a second factor.
        pub second: bool,
        /// SHA-256 of the flow's state, which is good once.
        pub flow_sha256: [u8; 32],
        /// The second after the Unix epoch from which the flow is refused.
        pub flow_ends: i64,
    }
}

impl IdentityProvider {
    /// Whether a verified address makes whoever shows it the account of that name.
    pub fn vouches_for(&self, name: &LoginName) -> bool {
        let domain = name.as_str().split_once('@').map(|(_, domain)| domain);
        domain.is_some() && domain == self.mail_domain.as_ref().map(Host::as_str)
    }
}

/// What is in them is left out of every log.
macro_rules! redacted {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )+};
}

redacted!(SealedSecret, IdentityLink, Entrance);
