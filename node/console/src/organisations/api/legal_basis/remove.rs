//! Takes back the legal basis of a marketing organisation.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Command;
use storage::{Access, AccessAction};

use super::{ENTITY, vouched_for};
use crate::organisations::shown;

/// Taking back a legal basis.
pub struct Remove;

impl Act for Remove {
    const ENTITY: Entity = Entity::LegalBasis;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "legal_basis.remove";
}

/// Takes back what is recorded of a marketing organisation. Every node refuses its people for want of a basis as soon as
/// it has heard.
#[utoipa::path(
    delete, path = "/v1/orgs/{id}/legal-basis", operation_id = "remove_legal_basis", tag = "organisations",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The marketing organisation.", format = Uuid), IfMatchHeader),
    responses(
        (status = 204, description = "Nothing is recorded any more", headers(
            ("etag" = String, description = "The organisation's new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn remove(call: OpenCall<Remove>, if_match: IfMatch, _: Nothing) -> Result<Response, Refused> {
    call.catch_up().await?;
    let org = vouched_for(&call)?;
    if_match.check(org.version)?;
    if call.here.directory.legal_basis(org.id).is_none() {
        return Err(not_found().into());
    }
    call.record(&[Access::about(AccessAction::Delete, ENTITY, org.id.uuid())]).await?;
    let index = call.propose(Command::RemoveLegalBasis { org: org.id, expected: org.version }).await?;
    Ok((StatusCode::NO_CONTENT, shown(org.version + 1, index)).into_response())
}
