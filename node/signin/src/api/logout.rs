//! Signs somebody out.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode};
use node_access::body::PublicJson;
use node_access::caller::recognise;
use node_access::doc::SignInProblems;
use node_access::settings::CameFrom;
use node_access::{Here, Refused};
use residency_policy::ProblemKind;

use super::refresh::{RefreshBody, shown};
use super::{AtDesk, at, without_cookies};
use crate::logout;

/// Ends the session of the access token or of the refresh token that comes along, at every node. Without one there is
/// nothing to end, which is no error; the cookies are taken away in any case.
#[utoipa::path(
    post, path = "/v1/auth/logout", operation_id = "logout", tag = "signing in",
    request_body(content = RefreshBody, content_type = "application/json"),
    responses(
        (status = 204, description = "Signed out", headers(
            ("set-cookie" = String, description = "The cookies are taken away"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        SignInProblems
    )
)]
pub async fn logout(
    Extension(desk): AtDesk,
    State(here): State<Here>,
    from: CameFrom,
    method: Method,
    headers: HeaderMap,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let (refresh, _) = shown(&method, &headers, &body)?;
    let by_access = match recognise(&here, &method, &headers, from).await {
        Ok(caller) => caller.session,
        // Access tokens end before their sessions do.
        Err(refused) if refused.problem().kind() == ProblemKind::Unauthenticated => None,
        Err(refused) => return Err(refused),
    };
    let session = by_access.or_else(|| refresh.and_then(|text| logout::session_of(&desk, &text)));
    let response = without_cookies(StatusCode::NO_CONTENT.into_response())?;
    match session {
        Some(session) => Ok(at(response, logout::end(&desk, session).await?)),
        None => Ok(response),
    }
}
