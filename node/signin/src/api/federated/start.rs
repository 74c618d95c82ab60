//! Sends a browser to an identity provider.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use node_access::body::PublicJson;
use node_access::doc::FederationProblems;
use node_access::parameters::{Parameters, bad};
use node_access::problem::not_found;
use node_access::{Refused, cookies};
use residency_control::signin::Preset;
use residency_policy::{Problem, ProblemKind, Role};
use serde::Serialize;
use utoipa::ToSchema;

use super::{RETURN_TO_EXPECTED, SentBody, asked, return_to_of, text_of};
use crate::api::AtDesk;
use crate::cookies::set_for_the_way_back;
use crate::federation::begin::{Begun, Wanted, begin, provider};
use crate::federation::flow::{Beside, COOKIE, SECONDS};
use crate::federation::return_to;
use crate::invitation::Token;
use crate::{Desk, NotSignedIn};

const RETURN_TO: &str = "return_to";
const ROLE: &str = "role";
const STEP_UP: &str = "step_up";

/// An invitation that is taken up through a provider.
#[derive(Serialize, ToSchema)]
#[schema(as = InvitationThroughProvider)]
#[serde(deny_unknown_fields)]
pub struct InvitedBody {
    /// The invitation's token.
    pub invitation: String,
    /// Where the browser goes afterwards: a path of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, example = "/docs/")]
    pub return_to: Option<String>,
    /// As what, for whoever has several roles there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "provider")]
    pub role: Option<String>,
}

fn found(
    desk: &Desk,
    id: &str,
) -> Result<std::sync::Arc<residency_control::signin::IdentityProvider>, Problem> {
    id.parse().ok().and_then(|id| provider(desk, id)).ok_or_else(not_found)
}

/// Adds the cookie that the browser keeps until it comes back.
pub(super) fn with_flow(mut response: Response, cookie: &str) -> Result<Response, Refused> {
    set_for_the_way_back(response.headers_mut(), COOKIE, cookie, SECONDS)?;
    Ok(response)
}

/// Sends the browser to the organisation's identity provider. It comes back within ten minutes to
/// `/v1/auth/oidc/{provider}/callback`, and whoever has an account here is then signed in.
#[utoipa::path(
    get, path = "/v1/auth/oidc/{provider}/start", operation_id = "start_with_provider", tag = "signing in",
    params(
        ("provider" = String, Path, description = "The provider.", format = Uuid),
        ("return_to" = Option<String>, Query, description = "Where the browser goes afterwards: a path of this server.",
         max_length = 512, example = "/docs/"),
        ("role" = Option<String>, Query, description = "As what, for whoever has several roles there.",
         example = "provider"),
        ("step_up" = Option<bool>, Query, description = "Whether the provider is to ask anew who it is, with a second factor. \
         Who shows none there is not signed in.", example = true)
    ),
    responses(
        (status = 303, description = "To the provider", headers(
            ("location" = String, description = "The provider's own page"),
            ("set-cookie" = String, description = "What the browser keeps until it comes back")
        )),
        FederationProblems
    )
)]
pub async fn start(
    Extension(desk): AtDesk,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    cookies::from_nobody_elses_page(&headers)?;
    let parameters = Parameters::read(uri.query(), &[RETURN_TO, ROLE, STEP_UP])?;
    let return_to = match parameters.get(RETURN_TO) {
        None => "/".to_owned(),
        Some(text) => return_to::read(text).ok_or_else(|| bad(RETURN_TO, "format", RETURN_TO_EXPECTED))?,
    };
    let role = parameters.get(ROLE).map(str::parse::<Role>).transpose();
    let role = role.map_err(|_| bad(ROLE, "not-a-code", "is a role such as provider"))?;
    let step_up = match parameters.get(STEP_UP) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(bad(STEP_UP, "format", "is true or false").into()),
    };
    let provider = found(&desk, &id)?;
    if step_up && provider.preset == Preset::Github {
        return Err(
            bad(STEP_UP, "not-offered", "GitHub does not say whether it asked for a second factor").into()
        );
    }
    let wanted = Wanted { provider, role, return_to, beside: Beside::Nothing, step_up };
    let Begun { location, cookie } = begin(&desk, wanted, asked(&uri, &headers)).await?;
    let location = HeaderValue::from_str(&location).map_err(|_| Refused::internal("signin: a location"))?;
    with_flow((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(), &cookie)
}

/// Takes an invitation up through the organisation's identity provider: no password is chosen, and whatever signed in
/// before is forgotten once the browser has come back. It says where to send the browser.
#[utoipa::path(
    post, path = "/v1/auth/oidc/{provider}/start", operation_id = "start_invited_with_provider", tag = "signing in",
    params(("provider" = String, Path, description = "The provider.", format = Uuid)),
    request_body(content = InvitedBody, content_type = "application/json"),
    responses(
        (status = 200, description = "To the provider", body = SentBody,
         headers(("set-cookie" = String, description = "What the browser keeps until it comes back"))),
        FederationProblems
    )
)]
pub async fn start_invited(
    Extension(desk): AtDesk,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    body.only(&["invitation", RETURN_TO, ROLE])?;
    let required = || Problem::new(ProblemKind::Invalid).field("/invitation", "required", "is required");
    let token = text_of(&body, "invitation").ok_or_else(required)?;
    let return_to = return_to_of(&body)?;
    let role = match body.get(ROLE) {
        None => None,
        Some(value) => Some(value.as_str().and_then(|role| role.parse::<Role>().ok()).ok_or_else(|| {
            Problem::new(ProblemKind::Invalid).field("/role", "not-a-code", "is a role such as provider")
        })?),
    };
    let provider = found(&desk, &id)?;
    let token = Token::parse(token).ok_or(NotSignedIn::Nobody)?;
    let beside = token.open(&desk, provider.org).ok_or(NotSignedIn::Nobody)?;
    let wanted = Wanted { provider, role, return_to, beside, step_up: false };
    let Begun { location, cookie } = begin(&desk, wanted, asked(&uri, &headers)).await?;
    with_flow(Json(SentBody { authorization_url: location }).into_response(), &cookie)
}
