//! Shows one patient.

use axum::response::Response;
use http::HeaderMap;
use http::header::ETAG;
use node_access::doc::{PatientPath, PhiProblems, PurposeHeader};
use node_access::shown::{Shown, too_little};
use node_access::{Act, Action, Entity, PatientCall, Refused, etag, idempotency};
use storage::{Access, AccessAction};

use super::ENTITY;
use super::view::AnyPatient;
use crate::nothing_found;
use crate::patients::store;

/// Reading a patient.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::Patient;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "patient.read";
}

/// Shows one patient, as the caller's role is shown it.
#[utoipa::path(
    get, path = "/v1/patients/{id}", operation_id = "read_patient", tag = "patients",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader),
    responses(
        (status = 200, description = "The patient", body = AnyPatient, headers(
            ("etag" = String, description = "The version, for those who may change it")
        )),
        PhiProblems
    )
)]
pub async fn read(call: PatientCall<Read>) -> Result<Response, Refused> {
    let id = call.patient()?;
    let tx = call.look()?;
    let home = call.home();
    // Room for those that every answer has.
    let mut headers = HeaderMap::with_capacity(16);
    let view = match call.call.shown() {
        Shown::Full(full) => store::by_id(&tx, id).await?.map(|patient| {
            headers.insert(ETAG, etag::of(patient.version));
            AnyPatient::full(patient, home, full)
        }),
        // One patient has no view in the form of a list.
        Shown::Listed(_) => return Err(too_little().into()),
        Shown::Token(shown) => {
            store::token_by_id(&tx, id).await?.map(|token| AnyPatient::token(&token, home, shown))
        }
    };
    let Some(view) = view else {
        return Err(nothing_found(tx, AccessAction::Read, ENTITY, id.uuid(), id).await);
    };
    let seen = tx.disclose(&[Access::to(AccessAction::Read, ENTITY, id.uuid(), id)]).await?;
    idempotency::show(headers, view, &seen)
}
