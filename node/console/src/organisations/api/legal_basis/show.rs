//! Shows the legal basis of a marketing organisation.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems};
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, OpenCall, Refused, change};

use super::RecordedBody;
use crate::organisations::{looked_up, shown};

/// Reading a legal basis.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::LegalBasis;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "legal_basis.read";
    const PARAMETERS: &'static [&'static str] = &[change::CONSISTENCY];
}

/// Shows what is recorded of a marketing organisation, whether it holds today or not.
#[utoipa::path(
    get, path = "/v1/orgs/{id}/legal-basis", operation_id = "read_legal_basis", tag = "organisations",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), ConsistencyParameter),
    responses(
        (status = 200, description = "What is recorded", body = RecordedBody, headers(
            ("etag" = String, description = "The organisation's version"),
            ("x-log-index" = u64, description = "How far in the replicated log this is")
        )),
        OpenProblems
    )
)]
pub async fn show(call: OpenCall<Read>) -> Result<Response, Refused> {
    let index = call.read_point().await?;
    let org = looked_up(&call)?;
    let basis = call.here.directory.legal_basis(org.id).ok_or_else(not_found)?;
    let body = RecordedBody::of(&basis, call.here.directory.legal_basis_recorded(org.id).as_ref());
    Ok((shown(org.version, index), Json(body)).into_response())
}
