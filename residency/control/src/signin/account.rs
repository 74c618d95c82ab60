//! What is replicated of who signs in: verifiers only. Whoever reads all of it can sign in as nobody.

use std::fmt;

use residency_policy::{OrgId, Region, Role, SessionId, SigningKeyId, UserId};
use serde::{Deserialize, Serialize};

use super::LoginName;
use crate::command::{must_be_replicated, record};

record! {
    /// An Argon2id hash (RFC 9106) and what it was made with.
    pub struct PasswordVerifier {
        /// Memory, in KiB.
        pub memory_kib: u32,
        /// Passes over it.
        pub passes: u32,
        /// Lanes.
        pub lanes: u32,
        /// The salt.
        pub salt: [u8; 16],
        /// The tag.
        pub hash: [u8; 32],
    }
}

record! {
    /// The secret of an authenticator (RFC 6238), sealed with AES-256-GCM under a key that every node was given and the
    /// control plane never has.
    pub struct TotpVerifier {
        /// The number of the key that sealed it.
        pub sealed_under: u32,
        /// The nonce.
        pub nonce: [u8; 12],
        /// The secret, sealed.
        pub secret: [u8; 20],
        /// The seal's tag.
        pub tag: [u8; 16],
        /// Whether its holder has shown a code of it. Before that it is asked of nobody.
        pub confirmed: bool,
        /// The last time step of which a code was taken: neither it nor an earlier one is taken again.
        pub last_step: u64,
    }
}

record! {
    /// Codes for whoever lost their authenticator, each good once.
    pub struct RecoveryCodes {
        /// SHA-256 of each. A code has 120 random bits (older ones 80), so there is nothing for a slow hash to slow down.
        pub sha256: Box<[[u8; 32]; 10]>,
        /// Which were used, one bit each.
        pub used: u16,
    }
}

record! {
    /// A link that lets its holder choose a password, once.
    pub struct Invitation {
        /// SHA-256 of the link's secret.
        pub secret_sha256: [u8; 32],
        /// The second after the Unix epoch from which it is refused.
        pub expires: i64,
    }
}

record! {
    /// How one user signs in at one organisation. A user who works for two has two accounts, so that an administrator who
    /// gives out a new password at one opens nothing at the other.
    pub struct Account {
        /// The organisation.
        pub org: OrgId,
        /// The user.
        pub user: UserId,
        /// The name, of which the organisation has no second.
        pub name: LoginName,
        /// One more with every change of what signs in. The state counts.
        pub version: u64,
        /// The password's verifier; none before an invitation was accepted.
        pub password: Option<PasswordVerifier>,
        /// The authenticator.
        pub totp: Option<TotpVerifier>,
        /// The codes that stand in for it.
        pub recovery: Option<RecoveryCodes>,
        /// The open invitation.
        pub invitation: Option<Invitation>,
        /// Failed attempts in a row.
        pub failures: u32,
        /// The second after the Unix epoch before which no attempt is looked at.
        pub not_before: i64,
    }
}

record! {
    /// One session. It is gone from the state when it has ended.
    pub struct Session {
        /// Its id.
        pub id: SessionId,
        /// Where they signed in.
        pub org: OrgId,
        /// Who.
        pub user: UserId,
        /// As what.
        pub role: Role,
        /// SHA-256 of the half of the refresh token that never changes.
        pub family_sha256: [u8; 32],
        /// SHA-256 of the half that changes with every refresh.
        pub refresh_sha256: [u8; 32],
        /// How often it was refreshed.
        pub rotations: u32,
        /// How sure it is who it is: 1 with a password, 2 with a second factor as well (NIST SP 800-63B).
        pub assurance: u16,
        /// When they signed in, in seconds after the Unix epoch.
        pub created: i64,
        /// The second from which it cannot be refreshed.
        pub expires: i64,
        /// The second at which it ends however often it is refreshed.
        pub ends: i64,
    }
}

record! {
    /// The public half of a key with which a region's node signs access tokens (Ed25519, RFC 8032).
    #[derive(Debug)]
    pub struct SigningKey {
        /// Its id, the `kid` of its tokens.
        pub id: SigningKeyId,
        /// Whose.
        pub region: Region,
        /// The key.
        pub public: [u8; 32],
        /// The second after the Unix epoch from which it signs.
        pub not_before: i64,
        /// The second from which nothing that it signed is good.
        pub not_after: i64,
    }
}

/// What was shown beside the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecondFactor {
    /// Nothing, because nothing is enrolled.
    None,
    /// A code of the authenticator, of this time step.
    Totp(u64),
    /// The recovery code at this place.
    Recovery(u16),
    /// Nothing, by somebody who has passkeys and no authenticator: this session of theirs was begun with one.
    Held(SessionId),
}

impl Account {
    /// An account that nothing signs in to yet.
    pub fn new(org: OrgId, user: UserId, name: LoginName) -> Self {
        Self {
            org,
            user,
            name,
            version: 1,
            password: None,
            totp: None,
            recovery: None,
            invitation: None,
            failures: 0,
            not_before: 0,
        }
    }

    /// Whether codes of an authenticator are asked for.
    pub fn has_authenticator(&self) -> bool {
        self.totp.as_ref().is_some_and(|totp| totp.confirmed)
    }
}

impl RecoveryCodes {
    /// The place of an unused code with this digest.
    pub fn place(&self, sha256: &[u8; 32]) -> Option<u16> {
        // Of 80 random bits at least: how long looking takes tells nobody a code.
        let at = self.sha256.iter().position(|known| known == sha256)?;
        u16::try_from(at).ok().filter(|at| self.used & (1 << at) == 0)
    }
}

/// Verifiers are left out of every log, and so is who has them.
macro_rules! redacted {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )+};
}

redacted!(PasswordVerifier, TotpVerifier, RecoveryCodes, Invitation, Account, Session);
