//! Passkeys: discoverable public key credentials (W3C Web Authentication, Level 3), verified with webauthn-rs-core.
//!
//! A ceremony is two requests: one asks for a challenge, and the next brings what an authenticator made of it. What this server
//! must remember between them it gives the caller to keep, sealed ([`ceremony`]), so that any node may finish what another began.
//! Each ceremony is good for five minutes and once: using it up is part of the same change of the control plane that begins the
//! session or adds the passkey.
//!
//! What must stay true:
//! - **A passkey is two factors.** Its authenticator must say that it verified the user, at enrolment and each time; so a session
//!   is begun with assurance 2 and no password is asked for.
//! - **Who asks for a challenge says nothing of themselves.** No login name is asked for, and nobody learns which accounts
//!   or passkeys there are: whatever is wrong gets the 401 that everybody else gets.
//! - **Only verifiers are kept**: the public key, what its authenticator calls it, and its counter.
//!
//! A lock-out is about guessing passwords, so that whoever guesses keeps no passkey's holder out, and a wrong passkey counts
//! as no guess: there is nothing to guess.
//!
//! Rejected: *attestation*, because which make an authenticator is of is nobody's business until an organisation asks for
//! certain ones, and then it takes a list of makers that somebody keeps; *passkeys as a second factor beside a password*,
//! because the password would add nothing.

pub(crate) mod ceremony;
pub(crate) mod enrol;
pub(crate) mod kept;
pub(crate) mod sign_in;

use std::fmt;
use std::time::Duration;

use residency_policy::{OrgId, UserId};
use ring::digest::{Context, SHA256};
use url::{Host, Url};
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;

use crate::NotSignedIn;

/// The longest text in what an authenticator made, in bytes: certificates that a maker signed, where they come along.
pub(crate) const TEXT_MAX: usize = 16_384;

/// The relying party that passkeys are bound to, if there is one.
pub struct Passkeys(Option<WebauthnCore>);

/// Why there is no such relying party.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotARelyingParty {
    /// It is an address, or no name.
    #[error("{0:?} is not a domain name that passkeys can be bound to")]
    NotADomain(String),
    /// Browsers would show none of its passkeys to that origin.
    #[error("the origin {origin} is neither at {id} nor below it: no passkey could be used there")]
    Elsewhere {
        /// The origin.
        origin: String,
        /// The relying party's id.
        id: String,
    },
    /// There is no page that may ask for passkeys.
    #[error("there is no origin from which passkeys are used")]
    NoOrigin,
}

impl Passkeys {
    /// No passkeys.
    pub fn none() -> Self {
        Self(None)
    }

    /// Passkeys that are bound to this domain, the relying party's id, and are taken from pages of these origins alone. Who
    /// changes the id gives every passkey up.
    pub fn new(id: &str, origins: &[String]) -> Result<Self, NotARelyingParty> {
        let not_a_domain = || NotARelyingParty::NotADomain(id.to_owned());
        if !matches!(Host::parse(id), Ok(Host::Domain(name)) if name == id && !id.ends_with('.')) {
            return Err(not_a_domain());
        }
        let below = format!(".{id}");
        let origin = |text: &String| {
            let url = Url::parse(text).ok().filter(|url| {
                url.scheme() == "https"
                    && url.domain().is_some_and(|name| name == id || name.ends_with(&below))
                    && url.origin().ascii_serialization() == *text
            });
            url.ok_or_else(|| NotARelyingParty::Elsewhere { origin: text.clone(), id: id.to_owned() })
        };
        let origins: Vec<Url> = origins.iter().map(origin).collect::<Result<_, _>>()?;
        if origins.is_empty() {
            return Err(NotARelyingParty::NoOrigin);
        }
        // It looks at no address by itself: what is checked above is what makes it safe. Subdomains and ports are those listed.
        let seconds = ceremony::SECONDS.unsigned_abs();
        let core = WebauthnCore::new_unsafe_experts_only(
            "Domicile",
            id,
            origins,
            Duration::from_secs(seconds),
            Some(false),
            Some(false),
        );
        Ok(Self(Some(core)))
    }

    /// What verifies.
    fn core(&self) -> Result<&WebauthnCore, NotSignedIn> {
        self.0.as_ref().ok_or(NotSignedIn::NoPasskeys)
    }
}

impl fmt::Debug for Passkeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Passkeys" } else { "Passkeys(none)" })
    }
}

/// Why the library took no passkey, in words of ours: its own may hold what was brought.
pub(crate) fn what_is_wrong(error: &WebauthnError) -> &'static str {
    match error {
        WebauthnError::InvalidRPOrigin | WebauthnError::CredentialCrossOrigin => "origin",
        WebauthnError::InvalidRPIDHash => "relying-party",
        WebauthnError::MismatchedChallenge => "challenge",
        WebauthnError::UserNotPresent | WebauthnError::UserNotVerified => "user-verification",
        WebauthnError::AuthenticationFailure => "signature",
        WebauthnError::CredentialPossibleCompromise => "counter",
        _ => "form",
    }
}

/// What an authenticator knows an account by: nothing that anybody else knows it by (WebAuthn Level 3, section 14.6.1).
pub(crate) fn handle(org: OrgId, user: UserId) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(b"signin: passkey user handle v1");
    context.update(&org.to_bytes());
    context.update(&user.to_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use node_access::Disclosable as _;
    use residency_policy::ProblemKind;

    use super::*;

    #[test]
    fn passkeys_are_bound_to_a_domain_and_used_at_it_or_below() {
        let of = |id: &str, origins: &[&str]| {
            Passkeys::new(id, &origins.iter().map(|&one| one.to_owned()).collect::<Vec<_>>()).map(drop)
        };
        for (id, origins) in [
            ("clinic.example", &["https://clinic.example", "https://tx.clinic.example:8443"][..]),
            ("localhost", &["https://localhost:8443"]),
        ] {
            assert_eq!(of(id, origins), Ok(()), "{id}");
        }
        for id in ["", "127.0.0.1", "[::1]", "::1", "Clinic.example", "clinic.example.", "a b"] {
            let wrong = of(id, &["https://clinic.example"]);
            assert_eq!(wrong, Err(NotARelyingParty::NotADomain(id.to_owned())), "{id}");
        }
        for origin in [
            "https://notclinic.example",
            "https://clinic.example.evil.example",
            "https://example",
            "http://clinic.example",
            "https://clinic.example/",
            "https://127.0.0.1",
            "clinic.example",
        ] {
            let wrong = of("clinic.example", &["https://clinic.example", origin]);
            assert!(matches!(wrong, Err(NotARelyingParty::Elsewhere { .. })), "{origin}: {wrong:?}");
        }
        assert_eq!(of("clinic.example", &[]), Err(NotARelyingParty::NoOrigin));
    }

    #[test]
    fn where_there_is_no_relying_party_nobody_is_asked_for_a_passkey() {
        let none = Passkeys::none().core().map(drop);
        assert_eq!(none, Err(NotSignedIn::NoPasskeys));
        assert_eq!(NotSignedIn::NoPasskeys.problem().kind(), ProblemKind::IllegalTransition);
        let some = Passkeys::new("clinic.example", &["https://clinic.example".to_owned()]);
        assert!(some.is_ok_and(|some| some.core().is_ok()), "the control");
    }

    #[test]
    fn a_handle_is_one_accounts_alone() {
        let [one, other] = [1, 2].map(|n| (OrgId::from_bytes([n; 16]), UserId::from_bytes([n; 16])));
        let all = [handle(one.0, one.1), handle(one.0, other.1), handle(other.0, one.1)];
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
    }
}
