//! What an organisation asks of everybody who acts for it, looked at with every request: from where they come, and whether
//! a session of one factor is enough.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;
use node_policy::Entity;
use rates::ClientAddress;
use residency_control::signin::SignInSettings;
use residency_policy::{Problem, ProblemKind};

use crate::Credential;

/// From where a request comes: what TCP says at this node's own door, or at that of the router that forwarded it. None
/// where a router did not say, which no caller brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameFrom(pub Option<IpAddr>);

impl CameFrom {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        Self(extensions.get::<ClientAddress>().map(|from| from.0))
    }
}

impl<S: Sync> FromRequestParts<S> for CameFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// The organisation lets nobody come from there.
pub fn not_from_here() -> Problem {
    Problem::new(ProblemKind::AddressNotAllowed).detail(
        "the organisation lists from where its people and keys may come, and this address is not on the list",
    )
}

/// Whether a caller keeps to what their organisation asks. Who has to enrol a second factor may do that, and end their
/// session.
pub(crate) fn kept(
    settings: &SignInSettings,
    caller: &Credential,
    CameFrom(from): CameFrom,
    entity: Entity,
) -> Result<(), Problem> {
    if !settings.admit(from) {
        return Err(not_from_here());
    }
    let one_factor = caller.session.is_some() && !caller.second_factor;
    if settings.second_factor_required && one_factor && entity != Entity::Authenticator {
        return Err(Problem::new(ProblemKind::SecondFactorToEnrol).detail(
            "enrol an authenticator at /v1/auth/totp or a passkey at /v1/auth/authenticators/passkeys, or sign in through an identity \
             provider that asks for a second factor",
        ));
    }
    Ok(())
}
