//! Whether a text is an access token that a node of this cluster signed, and what it says.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use moka::sync::Cache;
use residency_control::signin::SigningKey;
use residency_policy::SigningKeyId;
use ring::digest::{SHA256, digest};

use crate::{Claims, ring_provider};

/// A token that is longer is none of ours.
pub const TOKEN_LEN_MAX: usize = 1_024;
/// How many verified tokens are remembered. Verifying one costs more than everything else about a request's caller.
const REMEMBERED: u64 = 50_000;
/// By how much another node's clock may be ahead, in seconds.
const CLOCK_SKEW: i64 = 60;

/// Verifies access tokens, and remembers those that it verified.
pub struct Verifier {
    validation: Validation,
    verified: Cache<[u8; 32], (SigningKeyId, Claims)>,
}

impl Verifier {
    /// Takes tokens of this cluster.
    pub fn new(cluster: &str) -> Self {
        ring_provider::install();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[cluster]);
        validation.set_issuer(&[cluster]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The crate would look at the machine's clock; time is an argument here.
        validation.validate_exp = false;
        Self { validation, verified: Cache::new(REMEMBERED) }
    }

    /// Takes tokens whatever name they bear: for a router, which is not told its cluster's. Keys are found in the control
    /// plane of that cluster, so another one's verify nothing; the node that answers looks at the name as well.
    pub fn of_any_name() -> Self {
        let mut any = Self::new("");
        (any.validation.aud, any.validation.iss) = (None, None);
        any.validation.validate_aud = false;
        any
    }

    /// What a token says, if it is good at this second. `key` finds the keys that the control plane knows now: one that
    /// was taken away verifies nothing any more, also of what is remembered.
    pub fn claims(
        &self,
        token: &str,
        now: i64,
        key: impl Fn(SigningKeyId) -> Option<SigningKey>,
    ) -> Option<Claims> {
        if token.len() > TOKEN_LEN_MAX {
            return None;
        }
        let mut digested = [0; 32];
        digested.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let remembered = self.verified.get(&digested).filter(|(by, _)| key(*by).is_some());
        let claims = if let Some((_, claims)) = remembered {
            claims
        } else {
            let (by, claims) = self.verify(token, key)?;
            self.verified.insert(digested, (by, claims.clone()));
            claims
        };
        let timely = claims.iat <= now + CLOCK_SKEW && now < claims.exp;
        if !timely {
            self.verified.invalidate(&digested);
        }
        timely.then_some(claims)
    }

    fn verify(
        &self,
        token: &str,
        key: impl Fn(SigningKeyId) -> Option<SigningKey>,
    ) -> Option<(SigningKeyId, Claims)> {
        let header = decode_header(token).ok()?;
        let key = key(header.kid?.parse().ok()?)?;
        let public = DecodingKey::from_ed_der(&key.public);
        let claims = decode::<Claims>(token, &public, &self.validation).ok()?.claims;
        // A key signs within its time only, and nothing that it signed outlives it.
        (key.not_before <= claims.iat && claims.exp <= key.not_after).then_some((key.id, claims))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}
