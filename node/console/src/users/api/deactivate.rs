//! Ends a user's work for the caller's organisation, through the control plane.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::{Command, Membership, User};

use crate::organisations::shown;
use crate::users::own::colleague;

/// Deactivating a user.
pub struct Deactivate;

impl Act for Deactivate {
    const ENTITY: Entity = Entity::User;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "user.deactivate";
}

/// Ends a user's work for the caller's own organisation: their keys there are refused at once, at every node. Their id
/// stays, because access records name it; what they do for others is theirs. The clinician that they were there may be
/// somebody else from then on. A PATCH of `active` takes the rest back.
#[utoipa::path(
    delete, path = "/v1/users/{id}", operation_id = "deactivate_user", tag = "users",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The user.", format = Uuid), IfMatchHeader),
    responses(
        (status = 204, description = "They work there no longer", headers(
            ("etag" = String, description = "The new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn deactivate(
    call: OpenCall<Deactivate>,
    if_match: IfMatch,
    _: Nothing,
) -> Result<Response, Refused> {
    let caught_up = call.catch_up().await?;
    let (before, there) = colleague(&call)?;
    if_match.check(before.version)?;
    if !there.active {
        return Ok((StatusCode::NO_CONTENT, shown(before.version, caught_up)).into_response());
    }
    let memberships = before.memberships.with(Membership { active: false, ..there });
    let memberships = memberships.map_err(|_| Refused::internal("user.deactivate: memberships"))?;
    let user = User { memberships, ..User::clone(&before) };
    let index = call.propose(Command::ChangeUser { user, expected: before.version }).await?;
    Ok((StatusCode::NO_CONTENT, shown(before.version + 1, index)).into_response())
}
