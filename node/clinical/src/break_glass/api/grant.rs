//! Breaks the glass.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{IdempotencyHeader, PatientPath, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use residency_policy::GrantId;
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::ENTITY;
use super::view::{BreakGlassView, NewBreakGlassBody};
use crate::break_glass::model::{self, Asked, Grant, LIFETIME};
use crate::break_glass::store;
use crate::encounters::model::ClinicalText;
use crate::{nothing_found, patients};

/// Breaking the glass.
pub struct Break;

impl Act for Break {
    const ENTITY: Entity = Entity::BreakGlass;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "break_glass.grant";
}

/// Breaks the glass for a patient of the caller's own organisation: what is asked for by the same session in the next 60
/// minutes, for the same purpose and of these categories, is not refused for want of a consent. Needs a session with a
/// second factor. It is put before the privacy officer.
#[utoipa::path(
    post, path = "/v1/patients/{id}/break-glass", operation_id = "break_glass", tag = "break-glass",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewBreakGlassBody, description = "Why", content_type = "application/json"),
    responses((status = 201, description = "The glass is broken", body = BreakGlassView), PhiCreateProblems)
)]
pub async fn grant(call: PatientCall<Break>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, Some(&body));
    let (open, guarded) = body.split(model::ASKED);
    let (asked, text) = model::read(&open, guarded, call.purpose)?;
    let id = GrantId::random(&*call.call.here.entropy);
    call.transact(|tx| apply(&call, tx, &change, id, &asked, &text)).await
}

async fn apply(
    call: &PatientCall<Break>,
    tx: RegionTx,
    change: &Change,
    id: GrantId,
    asked: &Asked,
    text: &Phi<ClinicalText>,
) -> Result<Response, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::Create, ENTITY, id.uuid(), patient).await);
    }
    let (now, caller) = (tx.now(), &call.call.caller);
    let expires_at = now
        .checked_add(LIFETIME)
        .map_err(|_| Refused::internal("break_glass.grant: the clock is at the end of time"))?;
    let grant = Grant {
        id,
        patient,
        key: caller.key,
        user: caller.user,
        role: caller.role.as_str().to_owned(),
        purpose: call.purpose,
        categories: asked.categories.clone(),
        reason: asked.reason,
        text: text.clone(),
        granted_at: now,
        expires_at,
        review: None,
    };
    store::insert(&tx, &grant).await?;
    tx.emit(&Event::new(EventName::GlassBroken, id.uuid())).await?;
    let access = Access::to(AccessAction::Create, ENTITY, id.uuid(), patient);
    let view = BreakGlassView::of(grant, full);
    let answer = doing.commit(tx, &[access], StatusCode::CREATED, &[], Some(view)).await?;
    // It holds: whoever watches is told, with ids and codes only.
    call.call.here.metrics.glass_broken();
    tracing::warn!(
        security_event = "break-glass",
        request_id = %call.call.request,
        org_id = %caller.org,
        credential = %call.call.here.log_token(caller.key),
        grant_id = %id,
        reason_code = asked.reason.as_str(),
        "somebody broke the glass: it waits for the privacy officer's review"
    );
    Ok(answer)
}
