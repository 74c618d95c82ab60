//! Ends a patient's login.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::{MaybeIdempotencyHeader, PatientPath, PhiRemovalProblems, PurposeHeader};
use node_access::idempotency::{Change, MaybeIdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use storage::{Access, AccessAction, RegionTx};

use super::ENTITY;
use crate::portal::store;
use crate::{nothing_found, patients};

/// Ending a patient's login.
pub struct Suspend;

impl Act for Suspend {
    const ENTITY: Entity = Entity::PatientLogin;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "portal.suspend";
}

/// Ends a patient's login: all their sessions, with the next request of each, and what invites them. Another invitation that
/// is taken up begins it anew. Of a patient who has none it is no error.
#[utoipa::path(
    delete, path = "/v1/patients/{id}/portal-account", operation_id = "suspend_patient_login", tag = "patients' logins",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader, MaybeIdempotencyHeader),
    responses((status = 204, description = "They sign in no more"), PhiRemovalProblems)
)]
pub async fn suspend(
    call: PatientCall<Suspend>,
    key: MaybeIdempotencyKey,
    _: Nothing,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, None);
    call.transact(|tx| apply(&call, tx, &change)).await
}

async fn apply(call: &PatientCall<Suspend>, tx: RegionTx, change: &Change) -> Result<Response, Refused> {
    let patient = call.patient()?;
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::Delete, ENTITY, patient.uuid(), patient).await);
    }
    store::suspend(&tx, patient).await?;
    let access = Access::to(AccessAction::Delete, ENTITY, patient.uuid(), patient);
    doing.commit(tx, &[access], StatusCode::NO_CONTENT, &[], None::<storage::Phi<()>>).await
}
