//! Lists a patient's wishes.

use axum::response::Response;
use node_access::doc::{PageParameters, PatientPath, PhiProblems, PurposeHeader};
use node_access::page::{self, Position};
use node_access::parameters::bad;
use node_access::{Act, Action, Entity, PatientCall, Refused, idempotency};
use residency_policy::PatientId;
use storage::{Access, AccessAction, Phi};

use super::ENTITY;
use super::view::{WaitlistPage, WishView};
use crate::appointments::waitlist::model::Wish;
use crate::appointments::waitlist::store;
use crate::{nothing_found, patients};

/// Listing wishes.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Waitlist;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "waitlist.list";
    const PARAMETERS: &'static [&'static str] = &["ended", "limit", "cursor"];
}

/// Lists a patient's wishes, the newest first, each with what is offered. Those that ended are left out unless they are
/// asked for.
#[utoipa::path(
    get, path = "/v1/patients/{id}/waitlist", operation_id = "list_waitlist", tag = "appointments",
    security(("bearer" = [])),
    params(
        PatientPath, PageParameters, PurposeHeader,
        ("ended" = Option<bool>, Query, description = "Whether those that ended are listed too.")
    ),
    responses(
        (status = 200, description = "A page of wishes", body = WaitlistPage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: PatientCall<List>) -> Result<Response, Refused> {
    let all = match call.call.parameters.get("ended") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(bad("ended", "format", "is true or false").into()),
    };
    // The patient is part of what a cursor is bound to; a path that names nobody is refused below all the same.
    let named = call.patient().map_or([0; 16], PatientId::to_bytes);
    let request = call.call.page(&[&named, &[u8::from(all)]])?;
    let patient = call.patient()?;
    let full = call.call.full()?;
    let tx = call.look()?;
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::List, ENTITY, patient.uuid(), patient).await);
    }
    let mut rows = store::list(&tx, patient, all, &request).await?;
    let page = request.cut(&mut rows, &*call.call.here.entropy, |row: &Wish| Position {
        at: row.created_at,
        id: row.id.uuid(),
    })?;
    let data: Vec<_> = rows.iter().map(|wish| WishView::of(wish, full)).collect();
    let access = Access {
        patient: Some(patient),
        query: Some(request.asked()),
        ..Access::of(AccessAction::List, ENTITY)
    };
    let seen = tx.disclose(&[access]).await?;
    let headers = page::link(&call.call.uri, &page);
    idempotency::show(headers, Phi::new(WaitlistPage { data, page }), &seen)
}
