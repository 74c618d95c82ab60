//! Lists a patient's consents.

use axum::response::Response;
use node_access::doc::{PageParameters, PatientPath, PhiProblems, PurposeHeader};
use node_access::page::{self, Position};
use node_access::{Act, Action, Entity, PatientCall, Refused, idempotency, parameters};
use residency_policy::PatientId;
use storage::{Access, AccessAction};

use super::ENTITY;
use super::view::{AnyConsent, ConsentPage};
use crate::consents::model::Consent;
use crate::consents::store;
use crate::{nothing_found, patients, together};

/// Listing consents.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Consent;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "consent.list";
    const PARAMETERS: &'static [&'static str] = parameters::LISTING;
}

/// Lists a patient's consents, the last entered first, with those that were revoked or have expired.
#[utoipa::path(
    get, path = "/v1/patients/{id}/consents", operation_id = "list_consents", tag = "consents",
    security(("bearer" = [])),
    params(PatientPath, PageParameters, PurposeHeader),
    responses(
        (status = 200, description = "A page of consents", body = ConsentPage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: PatientCall<List>) -> Result<Response, Refused> {
    // The patient is part of what a cursor is bound to; a path that names nobody is refused below all the same.
    let named = call.patient().map_or([0; 16], PatientId::to_bytes);
    let request = call.call.page(&[&named])?;
    let patient = call.patient()?;
    let tx = call.look()?;
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::List, ENTITY, patient.uuid(), patient).await);
    }
    let mut rows = store::list(&tx, patient, &request).await?;
    let page = request.cut(&mut rows, &*call.call.here.entropy, |row: &Consent| Position {
        at: row.recorded_at,
        id: row.id.uuid(),
    })?;
    let (shown, now) = (call.call.shown(), tx.now());
    let data: Result<Vec<_>, _> = rows.into_iter().map(|row| AnyConsent::of(row, &shown, now)).collect();
    let data = together(data?);
    let access = Access {
        patient: Some(patient),
        query: Some(request.asked()),
        ..Access::of(AccessAction::List, ENTITY)
    };
    let seen = tx.disclose(&[access]).await?;
    let headers = page::link(&call.call.uri, &page);
    idempotency::show(headers, data.map(|data| ConsentPage { data, page }), &seen)
}
