//! Removes a patient from view.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::{
    MaybeIdempotencyHeader, MaybeIfMatchHeader, PatientPath, PhiRemovalProblems, PurposeHeader,
};
use node_access::etag::MaybeIfMatch;
use node_access::idempotency::{Change, MaybeIdempotencyKey, Step};
use node_access::parameters::bad;
use node_access::{Act, Action, Entity, PatientCall, Refused};
use storage::{Access, AccessAction, Event, EventName, RegionTx};

use super::ENTITY;
use crate::patients::model::DeleteReason;
use crate::patients::store;
use crate::{nothing_found, refused};

/// Removing a patient from view.
pub struct Remove;

impl Act for Remove {
    const ENTITY: Entity = Entity::Patient;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "patient.delete";
    const PARAMETERS: &'static [&'static str] = &["reason"];
}

/// Removes a patient from view and from every search. The record is kept, sealed, for as long as the home's law
/// asks; nobody finds it any more.
#[utoipa::path(
    delete, path = "/v1/patients/{id}", operation_id = "delete_patient", tag = "patients",
    security(("bearer" = [])),
    params(
        PatientPath,
        ("reason" = String, Query, description = "Why.",
            pattern = "^(patient-request|duplicate|entered-in-error|retention-ended)$", example = "duplicate"),
        PurposeHeader, MaybeIfMatchHeader, MaybeIdempotencyHeader
    ),
    responses((status = 204, description = "The patient was removed from view"), PhiRemovalProblems)
)]
pub async fn remove(
    call: PatientCall<Remove>,
    if_match: MaybeIfMatch,
    key: MaybeIdempotencyKey,
    _: Nothing,
) -> Result<Response, Refused> {
    let reason = DeleteReason::parse(call.call.parameters.required("reason")?).ok_or_else(|| {
        bad("reason", "not-a-code", "is patient-request, duplicate, entered-in-error or retention-ended")
    })?;
    let change = Change::new(&call.call, key, if_match.0.as_ref(), None);
    call.transact(|tx| apply(&call, tx, &change, &if_match, reason)).await
}

async fn apply(
    call: &PatientCall<Remove>,
    tx: RegionTx,
    change: &Change,
    if_match: &MaybeIfMatch,
    reason: DeleteReason,
) -> Result<Response, Refused> {
    let id = call.patient()?;
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(version) = store::lock_version(&tx, id).await? else {
        return Err(nothing_found(tx, AccessAction::Delete, ENTITY, id.uuid(), id).await);
    };
    if let Some(Err(stale)) = if_match.0.as_ref().map(|tag| tag.check(version)) {
        return Err(refused(tx, AccessAction::Delete, ENTITY, id.uuid(), id, stale).await);
    }
    store::remove(&tx, id, reason).await?;
    // Or a repeated registration would show again what is removed here.
    storage::idempotency::forget(&tx).await?;
    tx.emit(&Event::new(EventName::PatientDeleted, id.uuid())).await?;
    let access = Access::to(AccessAction::Delete, ENTITY, id.uuid(), id);
    doing.commit(tx, &[access], StatusCode::NO_CONTENT, &[], None::<storage::Phi<()>>).await
}
