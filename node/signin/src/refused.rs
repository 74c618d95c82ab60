//! Why somebody was not signed in.

use node_access::{Disclosable, NotMade};
use residency_control::{ProposeError, Refusal};
use residency_policy::{Problem, ProblemKind};

/// Why nobody was signed in, or a session goes on no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSignedIn {
    /// Something that was shown is wrong, unknown, over, or not looked at now. Which of them, nobody is told.
    Nobody,
    /// The password was right, and a code of the authenticator is asked for, or a passkey.
    CodeNeeded,
    /// They may be several things there, and did not say what they want to be.
    RoleNeeded,
    /// Too many attempts wait.
    Busy,
    /// The control plane did not take the change.
    NotMade(NotMade),
    /// This node has no key yet that others know.
    NoKey,
    /// The identity provider cannot be asked now.
    ProviderUnavailable,
    /// The new password, at this place of the body, is one that others guess soon.
    Guessable(&'static str),
    /// The organisation lets nobody come from there.
    NotFromHere,
    /// What was shown is right, and the organisation lets in known devices only.
    DeviceNotAdmitted,
    /// Nobody comes in through identity providers here: no address to come back to, or no key to seal with, was given.
    NotOffered,
    /// Nobody signs in with a passkey here: no relying party, or no key to seal with, was given.
    NoPasskeys,
}

impl From<ProposeError> for NotSignedIn {
    fn from(error: ProposeError) -> Self {
        Self::NotMade(NotMade::Unproposed(error))
    }
}

impl From<Refusal> for NotSignedIn {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Busy,
            _ => Self::Nobody,
        }
    }
}

impl From<crate::hashing::Busy> for NotSignedIn {
    fn from(_: crate::hashing::Busy) -> Self {
        Self::Busy
    }
}

impl Disclosable for NotSignedIn {
    fn problem(&self) -> Problem {
        match self {
            Self::Nobody => Problem::new(ProblemKind::Unauthenticated),
            Self::CodeNeeded => Problem::new(ProblemKind::SecondFactorRequired)
                .detail("show a code of your authenticator, or one that stands in for it; or sign in with a passkey"),
            Self::RoleNeeded => Problem::new(ProblemKind::Invalid).field(
                "/role",
                "required",
                "say as what: you have several roles there",
            ),
            Self::Busy => Problem::new(ProblemKind::Overloaded).retry_after(2),
            Self::NoKey => Problem::new(ProblemKind::ControlUnavailable).retry_after(2),
            Self::NotMade(not_made) => not_made.problem(),
            Self::DeviceNotAdmitted => Problem::new(ProblemKind::DeviceNotAdmitted)
                .detail("keep the cookie, and have an administrator admit the device"),
            Self::Guessable(pointer) => Problem::new(ProblemKind::Invalid).field(
                pointer,
                "guessable",
                "others guess it soon: choose several words that have nothing to do with each other, with you or with where \
                 you work, or let a password manager make one",
            ),
            Self::NotFromHere => node_access::settings::not_from_here(),
            Self::ProviderUnavailable => Problem::new(ProblemKind::IdentityProviderUnavailable).retry_after(10),
            Self::NoPasskeys => Problem::new(ProblemKind::IllegalTransition)
                .detail("this cluster was given no relying party ([signin.passkeys]), or no key, for passkeys"),
            Self::NotOffered => Problem::new(ProblemKind::IllegalTransition).detail(
                "this cluster was given no origin, or no key, for signing in through identity providers",
            ),
        }
    }

    fn cause(&self) -> Option<String> {
        match self {
            Self::NotMade(not_made) => not_made.cause(),
            Self::NoKey => Some("there is no signing key that other nodes know yet".to_owned()),
            _ => None,
        }
    }
}
