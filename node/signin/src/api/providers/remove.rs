//! Removes an identity provider.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Command;
use residency_control::signin::SignInChange;

use super::own_provider;
use crate::api::at;

/// Removing an identity provider.
pub struct Remove;

impl Act for Remove {
    const ENTITY: Entity = Entity::IdentityProvider;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "identity_provider.delete";
}

/// Removes an identity provider of the caller's own organisation. Whom it called what is forgotten, and the sessions of
/// everybody linked to it end.
#[utoipa::path(
    delete, path = "/v1/orgs/{id}/identity-providers/{provider}", operation_id = "delete_identity_provider",
    tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("provider" = String, Path, description = "The provider.", format = Uuid),
        IfMatchHeader
    ),
    responses(
        (status = 204, description = "It is gone",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenIfMatchProblems
    )
)]
pub async fn remove(call: OpenCall<Remove>, if_match: IfMatch, _: Nothing) -> Result<Response, Refused> {
    call.catch_up().await?;
    let known = own_provider(&call)?;
    if_match.check(known.version)?;
    let change = SignInChange::RemoveIdentityProvider { org: known.org, provider: known.id };
    let index = call.propose(Command::SignIn(change)).await?;
    Ok(at(StatusCode::NO_CONTENT.into_response(), index.0))
}
