//! What must be remembered between asking for a challenge and bringing what an authenticator made of it. The caller keeps it,
//! sealed under a key of its own.

use residency_policy::{Entropy, OrgId, SessionId, UserId};
use serde::{Deserialize, Serialize};
use webauthn_rs_core::proto::{AuthenticationState, RegistrationState};

use crate::NotSignedIn;
use crate::refresh_token::sha256;
use crate::sealing::SealingKeys;

/// How long a ceremony is good, in seconds (WebAuthn Level 3, section 15.1, recommends up to ten minutes).
pub(crate) const SECONDS: i64 = 300;
/// The longest text that is opened: what is in it has bounds, and is sealed, of all its parts.
const LEN_MAX: usize = 12_288;
const BOUND_TO: &[u8] = b"signin: passkey ceremony v1";

/// A ceremony that was begun. It has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ceremony {
    /// What it is for, and the challenge.
    pub(crate) aim: Aim,
    /// SHA-256 of the challenge, with what it is for: what is remembered of a ceremony that was used.
    pub(crate) once_sha256: [u8; 32],
    /// The second after the Unix epoch from which it is refused.
    pub(crate) ends: i64,
}

/// What a ceremony is for.
#[derive(Serialize, Deserialize)]
pub(crate) enum Aim {
    /// To sign in, whoever it is.
    SignIn(AuthenticationState),
    /// To add a passkey to an account.
    Enrol {
        org: OrgId,
        user: UserId,
        /// Which session asked.
        session: SessionId,
        /// The version of the account that was looked at.
        expected: u64,
        state: RegistrationState,
    },
}

impl Ceremony {
    /// A ceremony with this challenge, from now on.
    pub(crate) fn begun(aim: Aim, challenge: &[u8], now: i64) -> Self {
        let once_sha256 = sha256(&[BOUND_TO, challenge].concat());
        Self { aim, once_sha256, ends: now.saturating_add(SECONDS) }
    }

    /// The ceremony as its caller keeps it. There is none where no key was given.
    pub(crate) fn seal(&self, keys: &SealingKeys, entropy: &dyn Entropy) -> Result<String, NotSignedIn> {
        let value = serde_json::to_vec(self).ok();
        let sealed = value.and_then(|value| keys.ceremonies().seal_text(BOUND_TO, value, entropy));
        sealed.ok_or(NotSignedIn::NoPasskeys)
    }

    /// Reads it again, if it is whole and its time is not over.
    pub(crate) fn open(keys: &SealingKeys, text: &str, now: i64) -> Option<Self> {
        let value = keys.ceremonies().open_text(BOUND_TO, text, LEN_MAX)?;
        serde_json::from_slice(&value).ok().filter(|ceremony: &Self| now < ceremony.ends)
    }
}
