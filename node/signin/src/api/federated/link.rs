//! Links whoever is signed in to what an identity provider calls them.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use node_access::body::PublicJson;
use node_access::doc::OpenChangeProblems;
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_policy::{Problem, ProblemKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::start::with_flow;
use super::{SentBody, asked, return_to_of, text_of};
use crate::api::AtDesk;
use crate::api::authenticators::{code_again, own_account, password_again};
use crate::federation::begin::{Begun, Wanted, begin, provider};
use crate::federation::flow::Beside;

/// Linking.
pub struct Link;

impl Act for Link {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "authenticator.link";
}

/// What linking asks for.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkToProvider)]
#[serde(deny_unknown_fields)]
pub struct LinkBody {
    /// The password again: a session that was left open links nothing.
    #[schema(format = Password)]
    pub password: String,
    /// What the authenticator shows, where one is enrolled; or one of its recovery codes. It is used up, also where the
    /// browser does not come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "123456")]
    pub code: Option<String>,
    /// Where the browser goes afterwards: a path of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, example = "/docs/")]
    pub return_to: Option<String>,
}

/// Begins to link whoever is signed in to what the organisation's identity provider calls them. It says where to send the
/// browser; once that has come back they sign in through the provider, too, and have a new session.
#[utoipa::path(
    post, path = "/v1/auth/oidc/{provider}/link", operation_id = "link_provider", tag = "signing in",
    security(("bearer" = [])),
    params(("provider" = String, Path, description = "The provider.", format = Uuid)),
    request_body(content = LinkBody, content_type = "application/json"),
    responses(
        (status = 200, description = "To the provider", body = SentBody,
         headers(("set-cookie" = String, description = "What the browser keeps until it comes back"))),
        OpenChangeProblems
    )
)]
pub async fn link(
    Extension(desk): AtDesk,
    call: OpenCall<Link>,
    headers: HeaderMap,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    body.only(&["password", "code", "return_to"])?;
    let return_to = return_to_of(&body)?;
    let id = call.path("provider")?;
    call.catch_up().await?;
    let provider = provider(&desk, id).filter(|one| one.org == call.caller.org).ok_or_else(not_found)?;
    let (account, session) = own_account(&call)?;
    if account.password.is_none() {
        return Err(Problem::new(ProblemKind::IllegalTransition)
            .detail("there is no password to ask for again: have an administrator invite you to this provider")
            .into());
    }
    password_again(&desk, &account, text_of(&body, "password").unwrap_or_default()).await?;
    let code = body.has("code").then(|| text_of(&body, "code").unwrap_or_default());
    code_again(&desk, &account, session, code).await?;
    let beside = Beside::Session { org: account.org, user: account.user, session };
    let wanted = Wanted { provider, role: None, return_to, beside, step_up: false };
    let Begun { location, cookie } = begin(&desk, wanted, asked(&call.uri, &headers)).await?;
    with_flow(Json(SentBody { authorization_url: location }).into_response(), &cookie)
}
