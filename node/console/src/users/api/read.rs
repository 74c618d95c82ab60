//! Shows one user.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems};
use node_access::{Act, Action, Entity, OpenCall, Refused, change};

use crate::organisations::shown;
use crate::users::UserBody;
use crate::users::own::colleague;

/// Reading a user.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::User;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "user.read";
    const PARAMETERS: &'static [&'static str] = &[change::CONSISTENCY];
}

/// Shows a user who works for the caller's organisation.
#[utoipa::path(
    get, path = "/v1/users/{id}", operation_id = "read_user", tag = "users",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The user.", format = Uuid), ConsistencyParameter),
    responses((status = 200, description = "The user", body = UserBody, headers(
        ("etag" = String, description = "The version"),
        ("x-log-index" = u64, description = "How far in the replicated log the answer is")
    )), OpenProblems)
)]
pub async fn read(call: OpenCall<Read>) -> Result<Response, Refused> {
    let index = call.read_point().await?;
    let (user, there) = colleague(&call)?;
    // After the user, so that what is shown is never older than the version says.
    let body = UserBody::of(&user, &there, call.here.directory.clinician(user.id, there.org));
    Ok((shown(user.version, index), Json(body)).into_response())
}
