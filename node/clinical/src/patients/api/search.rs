//! Searches for patients by blind index.

use axum::response::Response;
use http::HeaderMap;
use node_access::body::Json;
use node_access::doc::{HomeParameter, IdempotencyHeader, PageParameters, PhiSearchProblems, PurposeHeader};
use node_access::idempotency::{self, IdempotencyKey};
use node_access::{Act, Action, Entity, Refused, RegionCall, parameters};
use storage::AccessAction;

use super::list::{accesses, position_of_patient};
use super::view::{AnyPatient, PatientPage, PatientSearch};
use crate::patients::model::Criteria;
use crate::patients::store;
use crate::together;

/// Searching for patients.
pub struct Search;

impl Act for Search {
    const ENTITY: Entity = Entity::Patient;
    const ACTION: Action = Action::Search;
    const NAME: &'static str = "patient.search";
    const PARAMETERS: &'static [&'static str] = parameters::LISTING_OF_HOME;
}

/// Searches the organisation's patients at a home. A POST, because what is searched for is PHI and has no place in
/// a URL. It changes nothing, so its idempotency key stores nothing. For the next page, send the same body with the
/// next cursor.
#[utoipa::path(
    post, path = "/v1/patients/search", operation_id = "search_patients", tag = "patients",
    security(("bearer" = [])),
    params(HomeParameter, PageParameters, PurposeHeader, IdempotencyHeader),
    request_body(content = PatientSearch, description = "What to search by", content_type = "application/json"),
    responses(
        (status = 200, description = "A page of the patients who fit, newest first", body = PatientPage),
        PhiSearchProblems
    )
)]
pub async fn search(call: RegionCall<Search>, _key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    let full = call.call.full()?;
    let home = call.home();
    let today = call.call.today();
    // A cursor goes with the very body that it was given out for.
    let request = call.call.page(&[home.0.0.code().as_bytes(), body.digest()])?;
    let criteria = body.into_phi().try_map(|object| Criteria::read(&object, today))?;
    let tx = call.look()?;
    let mut rows = store::search(&tx, &criteria, &request).await?;
    let page = request.cut(&mut rows, &*call.call.here.entropy, position_of_patient)?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let data = together(rows.into_iter().map(|row| AnyPatient::full(row, home, full)).collect());
    let seen = tx.disclose(&accesses(AccessAction::Search, Some(request.asked()), &ids)).await?;
    // No `Link`: a link is followed with GET, and this is a POST.
    let headers = HeaderMap::new();
    idempotency::show(headers, data.map(|data| PatientPage { data, page }), &seen)
}
