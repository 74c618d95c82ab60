//! Lists a patient's encounters.

use axum::response::Response;
use node_access::doc::{PageParameters, PatientPath, PhiProblems, PurposeHeader};
use node_access::page::{self, Position};
use node_access::shown::Shown;
use node_access::{Act, Action, Entity, PatientCall, Refused, idempotency, parameters};
use residency_policy::PatientId;
use storage::{Access, AccessAction, Phi};

use super::ENTITY;
use super::view::{AnyEncounter, AnyHeading, EncounterListItem, EncounterPage, EncounterToken};
use crate::encounters::model::Heading;
use crate::encounters::store;
use crate::{nothing_found, patients};

/// Listing encounters.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Encounter;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "encounter.list";
    const PARAMETERS: &'static [&'static str] = parameters::LISTING;
}

/// Lists a patient's encounters, newest first. What is clinical is not loaded for it: ask for one encounter.
#[utoipa::path(
    get, path = "/v1/patients/{id}/encounters", operation_id = "list_encounters", tag = "encounters",
    security(("bearer" = [])),
    params(PatientPath, PageParameters, PurposeHeader),
    responses(
        (status = 200, description = "A page of encounters", body = EncounterPage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: PatientCall<List>) -> Result<Response, Refused> {
    run(call).await
}

/// The same of any category.
pub(super) async fn run<A: Act>(call: PatientCall<A>) -> Result<Response, Refused> {
    // The patient is part of what a cursor is bound to; a path that names nobody is refused below all the same.
    let named = call.patient().map_or([0; 16], PatientId::to_bytes);
    let request = call.call.page(&[&named, call.category().name().as_bytes()])?;
    let patient = call.patient()?;
    let tx = call.look()?;
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::List, ENTITY, patient.uuid(), patient).await);
    }
    let mut rows = store::list(&tx, patient, &request).await?;
    let page = request.cut(&mut rows, &*call.call.here.entropy, |row: &Heading| Position {
        at: row.opened_at,
        id: row.id.uuid(),
    })?;
    let shown = call.call.shown::<AnyEncounter>();
    let show = |row: Heading| match shown {
        Shown::Full(full) => AnyHeading::Listed(EncounterListItem::of(row, full.into())),
        Shown::Listed(listed) => AnyHeading::Listed(EncounterListItem::of(row, listed)),
        Shown::Token(token) => AnyHeading::Token(EncounterToken::of(row, token)),
    };
    let data: Vec<_> = rows.into_iter().map(show).collect();
    let access = Access {
        patient: Some(patient),
        query: Some(request.asked()),
        ..Access::of(AccessAction::List, ENTITY)
    };
    let seen = tx.disclose(&[access]).await?;
    let headers = page::link(&call.call.uri, &page);
    idempotency::show(headers, Phi::new(EncounterPage { data, page }), &seen)
}
