//! Closes an organisation for good, through the control plane.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::parameters::bad;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Command;
use residency_policy::Closure;

use crate::organisations::{own, shown};

/// Closing an organisation.
pub struct Close;

impl Act for Close {
    const ENTITY: Entity = Entity::Organisation;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "organisation.close";
    const PARAMETERS: &'static [&'static str] = &["reason"];
}

/// Closes the caller's own organisation for good. Its keys, this one included, are not accepted any more at any node;
/// its id and its records stay, because law asks for them and other records name them. It takes a second factor that was
/// shown within the hour.
#[utoipa::path(
    delete, path = "/v1/orgs/{id}", operation_id = "close_organisation", tag = "organisations",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("reason" = String, Query, description = "Why.",
            pattern = "^(ceased|merged|contract-ended|entered-in-error|compromised)$", example = "ceased"),
        IfMatchHeader
    ),
    responses(
        (status = 204, description = "It is closed", headers(
            ("etag" = String, description = "The last version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn close(call: OpenCall<Close>, if_match: IfMatch, _: Nothing) -> Result<Response, Refused> {
    let reason: Closure = call.parameters.required("reason")?.parse().map_err(|_| {
        bad("reason", "not-a-code", "is ceased, merged, contract-ended, entered-in-error or compromised")
    })?;
    call.catch_up().await?;
    let before = own(&call)?;
    if_match.check(before.version)?;
    let closing = Command::CloseOrganisation { org: before.id, reason, expected: before.version };
    let index = call.propose(closing).await?;
    Ok((StatusCode::NO_CONTENT, shown(before.version + 1, index)).into_response())
}
