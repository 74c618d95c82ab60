//! Records the legal basis of a marketing organisation.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::body::PublicJson;
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::{Command, Recorded, Recorder};
use storage::{Access, AccessAction};

use super::{ENTITY, LegalBasisBody, RecordedBody, read, vouched_for};
use crate::organisations::shown;

/// Recording a legal basis.
pub struct Replace;

impl Act for Replace {
    const ENTITY: Entity = Entity::LegalBasis;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "legal_basis.replace";
}

/// Records the document on which a marketing organisation may have what is referred to it, in place of the one before. It
/// takes a second factor that was shown within the hour, of an organisation that is no marketing organisation. From the
/// first day to the last, in UTC, the organisation's people are not refused for want of one; what they may do then, the
/// policies say. To record one is a change of the organisation: `If-Match` is its `ETag`.
#[utoipa::path(
    put, path = "/v1/orgs/{id}/legal-basis", operation_id = "replace_legal_basis", tag = "organisations",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The marketing organisation.", format = Uuid), IfMatchHeader),
    request_body(content = LegalBasisBody, description = "What it rests on", content_type = "application/json"),
    responses(
        (status = 200, description = "It is recorded", body = RecordedBody, headers(
            ("etag" = String, description = "The organisation's new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn replace(
    call: OpenCall<Replace>,
    if_match: IfMatch,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    call.catch_up().await?;
    let org = vouched_for(&call)?;
    if_match.check(org.version)?;
    let basis = read(&body)?;
    // Recorded first: nothing is vouched for without a record of who did.
    call.record(&[Access::about(AccessAction::Update, ENTITY, org.id.uuid())]).await?;
    let by = match call.caller.user {
        Some(user) => Recorder::User { org: call.caller.org, user },
        None => Recorder::Key { org: call.caller.org, key: call.caller.key },
    };
    let recorded = Recorded { by, at: call.here.clock.now().as_second() };
    let put = Command::RecordLegalBasis { org: org.id, basis, recorded, expected: org.version };
    let index = call.propose(put).await?;
    Ok((shown(org.version + 1, index), Json(RecordedBody::of(&basis, Some(&recorded)))).into_response())
}
