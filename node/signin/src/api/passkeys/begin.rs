//! Gives out a challenge for signing in with a passkey.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use node_access::Refused;
use node_access::body::Nothing;
use node_access::doc::PasskeyProblems;
use serde::Serialize;
use utoipa::ToSchema;

use super::options::RequestOptions;
use crate::api::AtDesk;
use crate::passkeys::sign_in;

/// A challenge for whoever has a passkey.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyChallenge)]
#[serde(deny_unknown_fields)]
pub struct ChallengeBody {
    /// To be brought along with what the authenticator makes of the challenge, once, within five minutes.
    pub ceremony: String,
    #[schema(inline)]
    options: RequestOptions,
}

/// Gives out a challenge for signing in with a passkey. No name is asked for: the authenticator shows the passkeys that it
/// has. It is good for five minutes and once.
#[utoipa::path(
    post, path = "/v1/auth/passkeys/options", operation_id = "begin_with_passkey", tag = "signing in",
    responses((status = 200, description = "The challenge", body = ChallengeBody), PasskeyProblems)
)]
pub async fn begin(Extension(desk): AtDesk, _: Nothing) -> Result<Response, Refused> {
    let (ceremony, options) = sign_in::begin(&desk)?;
    Ok(Json(ChallengeBody { ceremony, options: options.into() }).into_response())
}
