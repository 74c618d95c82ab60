//! What must be remembered between sending a browser away and its coming back. The browser keeps it, sealed
//! under a key of its own.

use data_encoding::BASE64URL_NOPAD;
use residency_policy::{Entropy, IdentityProviderId, OrgId, Role, SessionId, UserId};
use serde::{Deserialize, Serialize};

use crate::refresh_token::sha256;
use crate::sealing::SealingKeys;

/// The cookie. The prefix binds it to this host, over TLS (RFC 6265bis section 4.1.3.2).
pub(crate) const COOKIE: &str = "__Host-domicile-flow";
/// What takes it away.
pub(crate) const NO_COOKIE: &str = "__Host-domicile-flow=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax";
/// How long a flow is good, in seconds.
pub(crate) const SECONDS: i64 = 600;
/// The longest cookie that is opened: what is in it has bounds, and is sealed, of all its parts.
const LEN_MAX: usize = 3_500;
const BOUND_TO: &[u8] = b"signin: flow v1";

/// Somebody is on their way to a provider and back. Everything in it is secret; it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Flow {
    /// Which provider.
    pub(crate) provider: IdentityProviderId,
    /// What comes back in the address, and in nobody else's.
    pub(crate) state: String,
    /// What comes back in the ID token.
    pub(crate) nonce: String,
    /// The verifier of PKCE.
    pub(crate) verifier: String,
    /// Where the provider was told to send the browser.
    pub(crate) callback: String,
    /// As what they want to sign in.
    pub(crate) role: Option<Role>,
    /// Where the browser goes afterwards.
    pub(crate) return_to: String,
    /// The second after the Unix epoch from which it is refused.
    pub(crate) ends: i64,
    /// What they showed beside.
    pub(crate) beside: Beside,
    /// Whether they are to show a second factor there, now. A flow that an earlier release began asks for none.
    #[serde(default)]
    pub(crate) step_up: bool,
}

/// What somebody showed before they were sent away.
#[derive(Serialize, Deserialize)]
pub(crate) enum Beside {
    /// Nothing.
    Nothing,
    /// An invitation.
    Invitation { org: OrgId, user: UserId, secret_sha256: [u8; 32] },
    /// Their session.
    Session { org: OrgId, user: UserId, session: SessionId },
}

impl Flow {
    /// A random text of 256 bits.
    pub(crate) fn secret(entropy: &dyn Entropy) -> String {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// When it began, in seconds after the Unix epoch.
    pub(crate) fn began(&self) -> i64 {
        self.ends - SECONDS
    }

    /// What is remembered of a flow that was used.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        sha256(self.state.as_bytes())
    }

    /// The cookie's value. None where no key was given.
    pub(crate) fn seal(&self, keys: &SealingKeys, entropy: &dyn Entropy) -> Option<String> {
        keys.flows().seal_text(BOUND_TO, serde_json::to_vec(self).ok()?, entropy)
    }

    /// Reads a cookie's value, if it is whole and its time is not over.
    pub(crate) fn open(keys: &SealingKeys, text: &str, now: i64) -> Option<Self> {
        let value = keys.flows().open_text(BOUND_TO, text, LEN_MAX)?;
        serde_json::from_slice(&value).ok().filter(|flow: &Self| now < flow.ends)
    }
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    #[test]
    fn a_flow_opens_whole_in_time_and_with_its_key() {
        let keys = SealingKeys::new(&[(1, [7; 32])]);
        let entropy = SystemEntropy::new();
        let secret = || Flow::secret(&entropy);
        let flow = Flow {
            provider: IdentityProviderId::from_bytes([1; 16]),
            state: secret(),
            nonce: secret(),
            verifier: secret(),
            callback: format!("https://{}/v1/auth/oidc/{}/callback", "a".repeat(200), "b".repeat(36)),
            role: Some(Role::Provider),
            return_to: format!("/{}", "a".repeat(511)),
            ends: 100,
            beside: Beside::Invitation {
                org: OrgId::from_bytes([2; 16]),
                user: UserId::from_bytes([3; 16]),
                secret_sha256: [255; 32],
            },
            step_up: true,
        };
        let text = flow.seal(&keys, &entropy).expect("seals");
        // A cookie with its name and attributes stays below 4,096 bytes, which every browser keeps.
        assert!(text.len() < LEN_MAX, "{}", text.len());
        let read = Flow::open(&keys, &text, 99).expect("opens");
        assert_eq!((read.state, read.return_to), (flow.state.clone(), flow.return_to.clone()));
        assert!(Flow::open(&keys, &text, 100).is_none(), "too late");
        assert!(Flow::open(&SealingKeys::new(&[(1, [8; 32])]), &text, 99).is_none(), "another key");
        for at in [0, 10, 40, text.len() - 2] {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
            assert!(Flow::open(&keys, &String::from_utf8(wrong).expect("text"), 99).is_none(), "{at}");
        }
        for wrong in ["", "a", &text[..40], &"A".repeat(LEN_MAX + 1)] {
            assert!(Flow::open(&keys, wrong, 99).is_none());
        }
    }
}
