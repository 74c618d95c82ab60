//! Shows one organisation.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems};
use node_access::{Act, Action, Entity, OpenCall, Refused, change};

use crate::organisations::{OrganisationBody, looked_up, shown};

/// Reading an organisation.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::Organisation;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "organisation.read";
    const PARAMETERS: &'static [&'static str] = &[change::CONSISTENCY];
}

/// Shows one organisation. A marketing partner's people see their own.
#[utoipa::path(
    get, path = "/v1/orgs/{id}", operation_id = "read_organisation", tag = "organisations",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), ConsistencyParameter),
    responses((status = 200, description = "The organisation", body = OrganisationBody, headers(
        ("etag" = String, description = "The version"),
        ("x-log-index" = u64, description = "How far in the replicated log the answer is")
    )), OpenProblems)
)]
pub async fn read(call: OpenCall<Read>) -> Result<Response, Refused> {
    let index = call.read_point().await?;
    let view = looked_up(&call)?;
    Ok((shown(view.version, index), Json(OrganisationBody::from(view))).into_response())
}
