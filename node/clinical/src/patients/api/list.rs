//! Lists the patients of a home.

use axum::response::Response;
use node_access::doc::{HomeParameter, PageParameters, PhiProblems, PurposeHeader};
use node_access::page::{self, Position};
use node_access::shown::Shown;
use node_access::{Act, Action, Entity, Refused, RegionCall, idempotency, parameters};
use residency_policy::PatientId;
use storage::{Access, AccessAction};

use super::ENTITY;
use super::view::{AnyPatient, PatientPage};
use crate::patients::model::{Listed, Patient, Token};
use crate::patients::store;
use crate::together;

/// Listing patients.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Patient;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "patient.list";
    const PARAMETERS: &'static [&'static str] = parameters::LISTING_OF_HOME;
}

/// Lists the organisation's patients at a home, newest first, each as the caller's role is shown it.
#[utoipa::path(
    get, path = "/v1/patients", operation_id = "list_patients", tag = "patients",
    security(("bearer" = [])),
    params(HomeParameter, PageParameters, PurposeHeader),
    responses(
        (status = 200, description = "A page of patients", body = PatientPage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: RegionCall<List>) -> Result<Response, Refused> {
    let home = call.home();
    let request = call.call.page(&[home.0.0.code().as_bytes()])?;
    let tx = call.look()?;
    let entropy = &*call.call.here.entropy;
    let (ids, data, page) = match call.call.shown() {
        Shown::Full(shown) => {
            let mut rows = store::list_full(&tx, &request).await?;
            let page = request.cut(&mut rows, entropy, position_of_patient)?;
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            let data: Vec<_> = rows.into_iter().map(|row| AnyPatient::full(row, home, shown)).collect();
            (ids, data, page)
        }
        Shown::Listed(shown) => {
            let mut rows = store::list_listed(&tx, &request).await?;
            let page = request
                .cut(&mut rows, entropy, |row: &Listed| Position { at: row.created_at, id: row.id.uuid() })?;
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            let data: Vec<_> = rows.into_iter().map(|row| AnyPatient::listed(row, home, shown)).collect();
            (ids, data, page)
        }
        Shown::Token(shown) => {
            let mut rows = store::list_tokens(&tx, &request).await?;
            let page = request
                .cut(&mut rows, entropy, |row: &Token| Position { at: row.created_at, id: row.id.uuid() })?;
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            let data: Vec<_> = rows.iter().map(|row| AnyPatient::token(row, home, shown)).collect();
            (ids, data, page)
        }
    };
    let seen = tx.disclose(&accesses(AccessAction::List, Some(request.asked()), &ids)).await?;
    let headers = page::link(&call.call.uri, &page);
    idempotency::show(headers, together(data).map(|data| PatientPage { data, page }), &seen)
}

/// A list is recorded as one act, and as one for each patient who was shown: "who saw my data" must find both.
pub(super) fn accesses(action: AccessAction, query: Option<[u8; 32]>, ids: &[PatientId]) -> Vec<Access> {
    let each = ids.iter().map(|id| Access::to(action, ENTITY, id.uuid(), *id));
    std::iter::once(Access { query, ..Access::of(action, ENTITY) }).chain(each).collect()
}

pub(super) fn position_of_patient(row: &Patient) -> Position {
    Position { at: row.created_at, id: row.id.uuid() }
}
