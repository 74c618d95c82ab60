//! Revokes an API key.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::OpenChangeProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Command;
use residency_control::api_keys::KeyChange;

use super::own_key;
use crate::api::at;

/// Revoking an API key.
pub struct Revoke;

impl Act for Revoke {
    const ENTITY: Entity = Entity::ApiKey;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "api_key.revoke";
}

/// Revokes an API key of the caller's own organisation for good, also one that an operator put. Every node refuses it as
/// soon as it has heard, which takes no longer than a second while the control plane has a quorum.
#[utoipa::path(
    delete, path = "/v1/orgs/{id}/api-keys/{key}", operation_id = "revoke_api_key", tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("key" = String, Path, description = "The key.", format = Uuid)
    ),
    responses(
        (status = 204, description = "It is refused from now on",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn revoke(call: OpenCall<Revoke>, _: Nothing) -> Result<Response, Refused> {
    call.catch_up().await?;
    let known = own_key(&call)?;
    let change = KeyChange::Revoke { key: known.key, at: call.here.clock.now().as_second() };
    let index = call.propose(Command::Key(change)).await?;
    Ok(at(StatusCode::NO_CONTENT.into_response(), index.0))
}
