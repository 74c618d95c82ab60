//! Takes a consent back.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{ConsentPath, IdempotencyHeader, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use residency_policy::{ConsentId, Problem, ProblemKind};
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::ENTITY;
use super::view::{ConsentView, NewRevocationBody};
use crate::consents::model::{self, Consent, Evidence, Revocation};
use crate::consents::store;
use crate::encounters::model::ClinicalText;
use crate::{nothing_found, refused};

/// Taking a consent back.
pub struct Revoke;

impl Act for Revoke {
    const ENTITY: Entity = Entity::Consent;
    const ACTION: Action = Action::Revoke;
    const NAME: &'static str = "consent.revoke";
}

/// Enters that the patient took a consent back. What begins after this answer is refused what rested on it.
#[utoipa::path(
    post, path = "/v1/patients/{id}/consents/{consent}/revoke", operation_id = "revoke_consent", tag = "consents",
    security(("bearer" = [])),
    params(ConsentPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewRevocationBody, description = "How it was taken back", content_type = "application/json"),
    responses((status = 200, description = "It is revoked", body = ConsentView), PhiCreateProblems)
)]
pub async fn revoke(call: PatientCall<Revoke>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, Some(&body));
    let (open, guarded) = body.split(model::REVOCATION);
    let (evidence, reference) = model::read_revocation(&open, guarded)?;
    let id = call.call.path("consent")?;
    call.transact(|tx| apply(&call, tx, &change, id, evidence, &reference)).await
}

async fn apply(
    call: &PatientCall<Revoke>,
    tx: RegionTx,
    change: &Change,
    id: ConsentId,
    evidence: Evidence,
    reference: &Phi<Option<ClinicalText>>,
) -> Result<Response, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(before) = store::lock(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Update, ENTITY, id.uuid(), patient).await);
    };
    if before.revocation.is_some() {
        let why = Problem::new(ProblemKind::IllegalTransition).detail("the consent was revoked before");
        return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
    }
    let now = tx.now();
    let revocation = Revocation { at: now, by: call.call.caller.key, evidence, reference: reference.clone() };
    store::revoke(&tx, &before, &revocation).await?;
    tx.emit(&Event::new(EventName::ConsentRevoked, id.uuid())).await?;
    let after = Consent { revocation: Some(revocation), ..before };
    let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), patient);
    let view = ConsentView::of(after, full, now);
    doing.commit(tx, &[access], StatusCode::OK, &[], Some(view)).await
}
