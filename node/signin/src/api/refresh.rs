//! Goes on with a session.

use axum::Extension;
use axum::response::Response;
use http::{HeaderMap, Method};
use node_access::body::{Object, PublicJson};
use node_access::doc::SignInProblems;
use node_access::settings::CameFrom;
use node_access::{Refused, cookies};
use residency_policy::{Problem, ProblemKind};
use residency_tokens::cookie;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{AtDesk, SignedInBody, Tokens, signed_in};
use crate::cookies::{gone, refused};
use crate::{NotSignedIn, refresh};

/// What is shown to go on. A browser sends an empty object and its cookie.
#[derive(Serialize, ToSchema)]
#[schema(as = Refresh)]
#[serde(deny_unknown_fields)]
pub struct RefreshBody {
    /// The refresh token, from a program. The answer has the next one in its body, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// Takes a refresh token and gives the next one, with an access token. A refresh token is good once: one that comes a second
/// time ends its session for everybody who has a token of it.
#[utoipa::path(
    post, path = "/v1/auth/refresh", operation_id = "refresh_session", tag = "signing in",
    request_body(content = RefreshBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The session goes on", body = SignedInBody,
         headers(("set-cookie" = String, description = "The tokens, unless the token came in the body"))),
        SignInProblems
    )
)]
pub async fn refresh(
    Extension(desk): AtDesk,
    CameFrom(from): CameFrom,
    method: Method,
    headers: HeaderMap,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let (token, tokens) = shown(&method, &headers, &body)?;
    let Some(token) = token else { return Err(NotSignedIn::Nobody.into()) };
    match refresh::refresh(&desk, &token, from).await {
        Ok(opened) => signed_in(&opened, tokens),
        // The browser has nothing that is good any more.
        Err(NotSignedIn::Nobody) if tokens == Tokens::Cookies => {
            Err(refused(NotSignedIn::Nobody, [cookie::ACCESS, cookie::REFRESH].map(gone)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The refresh token of a body or of a cookie, and where the next one goes.
pub(super) fn shown(
    method: &Method,
    headers: &HeaderMap,
    body: &Object,
) -> Result<(Option<String>, Tokens), Problem> {
    body.only(&["refresh_token"])?;
    match body.get("refresh_token") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => return Ok((Some(text.clone()), Tokens::Body)),
        Some(_) => {
            return Err(Problem::new(ProblemKind::Invalid).field("/refresh_token", "format", "is a text"));
        }
    }
    let held = cookie::cookie(headers, cookie::REFRESH);
    if held.is_some() {
        cookies::from_our_own_page(method, headers)?;
    }
    Ok((held.map(str::to_owned), Tokens::Cookies))
}
