//! Reviews what was done when the glass was broken.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{GrantPath, IdempotencyHeader, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use residency_policy::{GrantId, Problem, ProblemKind};
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::ENTITY;
use super::view::{BreakGlassView, NewReviewBody};
use crate::break_glass::model::{self, Grant, Review, Verdict};
use crate::break_glass::store;
use crate::encounters::model::ClinicalText;
use crate::{nothing_found, refused};

/// Reviewing a grant.
pub struct ReviewIt;

impl Act for ReviewIt {
    const ENTITY: Entity = Entity::BreakGlass;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "break_glass.review";
}

/// Says what was found of a grant. Once; it does not end what the grant gives, which an hour does.
#[utoipa::path(
    post, path = "/v1/patients/{id}/break-glass/{grant}/review", operation_id = "review_break_glass",
    tag = "break-glass",
    security(("bearer" = [])),
    params(GrantPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewReviewBody, description = "What was found", content_type = "application/json"),
    responses((status = 200, description = "It is reviewed", body = BreakGlassView), PhiCreateProblems)
)]
pub async fn review(call: PatientCall<ReviewIt>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, Some(&body));
    let (open, guarded) = body.split(model::REVIEW);
    let (verdict, text) = model::read_review(&open, guarded)?;
    let id = call.call.path("grant")?;
    call.transact(|tx| apply(&call, tx, &change, id, verdict, &text)).await
}

async fn apply(
    call: &PatientCall<ReviewIt>,
    tx: RegionTx,
    change: &Change,
    id: GrantId,
    verdict: Verdict,
    text: &Phi<Option<ClinicalText>>,
) -> Result<Response, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(before) = store::lock(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Update, ENTITY, id.uuid(), patient).await);
    };
    if before.review.is_some() {
        let why = Problem::new(ProblemKind::IllegalTransition).detail("the grant was reviewed before");
        return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
    }
    // The same person with another credential is the same person.
    let reviewer = &call.call.caller;
    if before.key == reviewer.key || before.user.is_some_and(|user| reviewer.user == Some(user)) {
        let why = Problem::new(ProblemKind::IllegalTransition).detail("nobody reviews their own grant");
        return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
    }
    let review = Review { at: tx.now(), by: call.call.caller.key, verdict, text: text.clone() };
    store::review(&tx, &before, &review).await?;
    tx.emit(&Event::new(EventName::GlassReviewed, id.uuid())).await?;
    let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), patient);
    let view = BreakGlassView::of(Grant { review: Some(review), ..before }, full);
    doing.commit(tx, &[access], StatusCode::OK, &[], Some(view)).await
}
