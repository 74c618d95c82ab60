//! Coming in through an identity provider: OpenID Connect Core 1.0 with the authorization code flow and PKCE (RFC 7636),
//! and GitHub's OAuth 2.
//!
//! A browser is sent to the provider and comes back with a code. What this server must remember meanwhile it gives the
//! browser to keep, sealed ([`flow`]), so that any node may finish what another began. Each flow is good for ten minutes
//! and once: using it up is part of the same change of the control plane that begins the session.
//!
//! What must stay true:
//! - **Nobody registers themselves.** A provider says who somebody is; that they work here was said before, by an account.
//!   Whoever it shows that has none gets the 401 that everybody else gets.
//! - **An address is not a person.** Only a verified one, of a domain that the provider may vouch for, links anybody, and
//!   only where that provider called the account nothing before.
//! - **A second factor is not lost on the way.** An account that has an authenticator comes in through a provider only
//!   where that says it asked for a second factor itself.
//! - **An old second factor stays old.** Whoever is signed in at the provider comes back without being asked anything. So
//!   it counts from when it was shown there (`auth_time`), and for nothing fresh where that is not said.
//! - **A code goes to who gave it.** Each provider sends browsers back to an address of its own, and a flow of another is
//!   refused there.
//! - **This server asks nobody it was not meant to** ([`outgoing`]): no address inside a private network, no answer that
//!   has no end, no redirect.
//!
//! Rejected: *keeping flows in the region's database*, because the browser may come back to another region's node; *a
//! client of the provider's token for anything but who somebody is*: it is dropped as soon as that is known.

pub mod address;
pub(crate) mod begin;
pub mod client_secret;
pub(crate) mod discovery;
pub(crate) mod finish;
pub(crate) mod flow;
pub(crate) mod github;
pub(crate) mod oidc;
pub mod outgoing;
pub(crate) mod return_to;
pub(crate) mod roles;

use std::fmt;

use residency_control::signin::{IssuerUrl, LoginName};
use residency_policy::IdentityProviderId;
use ring::digest::{Context, SHA256};
use rustls::RootCertStore;

use discovery::Discoveries;
use outgoing::Outgoing;

/// What this node needs to let people in through identity providers.
pub struct Federated {
    origins: Vec<String>,
    pub(crate) out: Outgoing,
    pub(crate) discoveries: Discoveries,
}

impl Federated {
    /// `origins` are where browsers reach this cluster, such as `https://clinic.example`; without any nobody comes in this
    /// way. `roots` are the authorities that providers' certificates are checked with, and `private` the hosts that may
    /// have an address inside a private network.
    pub fn new(origins: Vec<String>, roots: RootCertStore, private: Vec<String>) -> Self {
        Self { origins, out: Outgoing::new(roots, private), discoveries: Discoveries::default() }
    }

    /// Where the browser comes back to: at the host that it asked, if that is one of ours. Each provider has an address of its
    /// own, so that a code that one of them gave is never taken to another (RFC 9700 section 4.4.2.2).
    pub(crate) fn callback(&self, asked: Option<&str>, provider: IdentityProviderId) -> Option<String> {
        let host = |origin: &&String| origin.split_once("://").map(|(_, host)| host) == asked;
        let origin = self.origins.iter().find(host).or_else(|| self.origins.first())?;
        Some(format!("{origin}/v1/auth/oidc/{provider}/callback"))
    }
}

impl fmt::Debug for Federated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Federated").field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// Whom a provider showed.
pub(crate) struct Shown {
    /// SHA-256 of the issuer and what it calls them.
    pub(crate) subject_sha256: [u8; 32],
    /// A verified address, if it reads as a login name.
    pub(crate) mail: Option<LoginName>,
    /// Whether it asked for a second factor.
    pub(crate) second: bool,
    /// When it asked who they are, in seconds after the Unix epoch, if it says so.
    pub(crate) asked_at: Option<i64>,
    /// In which groups it says they are, where those decide.
    pub(crate) groups: Vec<String>,
}

/// Why a provider showed nobody. The words go to the log, and no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotShown {
    /// It cannot be asked now.
    Unavailable(&'static str),
    /// What it said, or what came back from it, is not right.
    Wrong(&'static str),
    /// Too many are being asked.
    Busy,
}

/// What is kept of what an issuer calls somebody. Each part has its length, so that no two pairs look the same.
pub(crate) fn subject_sha256(issuer: &IssuerUrl, subject: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in ["signin: subject v1", issuer.as_str(), subject] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// A verified address as a login name.
pub(crate) fn as_login(mail: &str) -> Option<LoginName> {
    mail.to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_comes_back_to_the_host_that_it_asked_or_to_the_first() {
        let origins = vec!["https://a.example".to_owned(), "https://b.example:8443".to_owned()];
        let federated = Federated::new(origins, RootCertStore::empty(), Vec::new());
        let provider = IdentityProviderId::from_bytes([7; 16]);
        for (asked, origin) in [
            (Some("b.example:8443"), "https://b.example:8443"),
            (Some("a.example"), "https://a.example"),
            (Some("evil.example"), "https://a.example"),
            (None, "https://a.example"),
        ] {
            let back = format!("{origin}/v1/auth/oidc/{provider}/callback");
            assert_eq!(federated.callback(asked, provider), Some(back), "{asked:?}");
        }
        let none = Federated::new(Vec::new(), RootCertStore::empty(), Vec::new());
        assert_eq!(none.callback(Some("a.example"), provider), None);
    }

    #[test]
    fn a_subject_is_its_issuers_alone() {
        let [one, two] =
            ["https://a.example", "https://a.example/b"].map(|url| url.parse().expect("an issuer"));
        assert_ne!(subject_sha256(&one, "/b1"), subject_sha256(&two, "1"));
        assert_ne!(subject_sha256(&one, "1"), subject_sha256(&one, "2"));
        assert_eq!(subject_sha256(&one, "1"), subject_sha256(&one, "1"));
    }
}
