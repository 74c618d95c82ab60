//! Changes a patient.

use axum::response::Response;
use http::StatusCode;
use node_access::body::{MergePatch, Object};
use node_access::doc::{IfMatchHeader, MaybeIdempotencyHeader, PatientPath, PhiChangeProblems, PurposeHeader};
use node_access::etag::IfMatch;
use node_access::idempotency::{Change, MaybeIdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use residency_policy::ProblemKind;
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::ENTITY;
use super::create::number_taken;
use super::view::{PatientPatch, PatientView};
use crate::patients::model::{Patient, address_outside_home};
use crate::patients::store;
use crate::{nothing_found, refused};

/// Changing a patient.
pub struct Update;

impl Act for Update {
    const ENTITY: Entity = Entity::Patient;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "patient.update";
}

/// Changes a patient by merge patch (RFC 7396). The version that is replaced is kept.
#[utoipa::path(
    patch, path = "/v1/patients/{id}", operation_id = "update_patient", tag = "patients",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader, IfMatchHeader, MaybeIdempotencyHeader),
    request_body(description = "What is to change", content(
        (PatientPatch = "application/merge-patch+json"), (PatientPatch = "application/json")
    )),
    responses(
        (status = 200, description = "The patient was changed", body = PatientView, headers(
            ("etag" = String, description = "The new version")
        )),
        PhiChangeProblems
    )
)]
pub async fn update(
    call: PatientCall<Update>,
    if_match: IfMatch,
    key: MaybeIdempotencyKey,
    MergePatch(body): MergePatch,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, Some(&if_match), Some(&body));
    let patch = body.into_phi();
    // What failed in Postgres can record nothing any more, so a second transaction does.
    let answer = call.transact(|tx| apply(&call, tx, &change, &if_match, &patch)).await;
    match answer {
        Err(why) if why.problem().kind() == ProblemKind::AlreadyExists => {
            let (tx, id) = (call.begin().await?, call.patient()?);
            Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), id, why.problem().clone()).await)
        }
        other => other,
    }
}

async fn apply(
    call: &PatientCall<Update>,
    tx: RegionTx,
    change: &Change,
    if_match: &IfMatch,
    patch: &Phi<Object>,
) -> Result<Response, Refused> {
    let id = call.patient()?;
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(before) = store::lock(&tx, id).await? else {
        return Err(nothing_found(tx, AccessAction::Update, ENTITY, id.uuid(), id).await);
    };
    if let Err(stale) = if_match.check(before.version) {
        return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), id, stale).await);
    }
    let today = call.call.today();
    let person = before
        .demographics
        .clone()
        .zip(patch.clone())
        .try_map(|(person, patch)| person.patched(patch, today))?;
    let (home, full) = (call.home(), call.call.full()?);
    let outside = address_outside_home(&person, home.0.0);
    store::update(&tx, &before, &person, outside).await?;
    tx.emit(&Event::new(EventName::PatientUpdated, id.uuid())).await?;
    let patient = Patient {
        demographics: person,
        address_outside_home: outside,
        version: before.version + 1,
        updated_at: tx.now(),
        ..before
    };
    let tag = format!("\"{}\"", patient.version);
    let view = PatientView::of(patient, home, full);
    let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), id);
    doing.commit_or(tx, &[access], StatusCode::OK, &[("etag", &tag)], Some(view), number_taken).await
}
