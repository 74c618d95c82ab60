//! Lists a patient's appointments.

use axum::response::Response;
use node_access::doc::{PageParameters, PatientPath, PhiProblems, PurposeHeader};
use node_access::page::{self, Position};
use node_access::parameters::bad;
use node_access::shown::Shown;
use node_access::{Act, Action, Entity, PatientCall, Refused, idempotency};
use residency_policy::PatientId;
use storage::{Access, AccessAction, Phi};

use super::ENTITY;
use super::view::{AnyAppointment, AnyAppointmentItem, AppointmentListItem, AppointmentPage, AppointmentToken};
use crate::appointments::model::Facts;
use crate::appointments::store;
use crate::{nothing_found, patients};

/// Listing appointments.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Appointment;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "appointment.list";
    const PARAMETERS: &'static [&'static str] = &["status", "limit", "cursor"];
}

const STATUSES: [&str; 6] = ["pending", "booked", "moving", "cancelling", "cancelled", "failed"];

/// Lists a patient's appointments, the latest first. Those whose time was not to be had are left out unless they are
/// asked for. Why is not loaded for it: ask for one appointment.
#[utoipa::path(
    get, path = "/v1/patients/{id}/appointments", operation_id = "list_appointments", tag = "appointments",
    security(("bearer" = [])),
    params(
        PatientPath, PageParameters, PurposeHeader,
        ("status" = Option<String>, Query, description = "Only those that are there in their life.",
            pattern = "^(pending|booked|moving|cancelling|cancelled|failed)$")
    ),
    responses(
        (status = 200, description = "A page of appointments", body = AppointmentPage, headers(
            ("link" = String, description = "The next page, when there is one (RFC 8288)")
        )),
        PhiProblems
    )
)]
pub async fn list(call: PatientCall<List>) -> Result<Response, Refused> {
    let status = match call.call.parameters.get("status") {
        Some(word) if !STATUSES.contains(&word) => {
            return Err(bad("status", "not-a-code", "is the word of a status").into());
        }
        status => status,
    };
    // The patient is part of what a cursor is bound to; a path that names nobody is refused below all the same.
    let named = call.patient().map_or([0; 16], PatientId::to_bytes);
    let request = call.call.page(&[&named, status.unwrap_or_default().as_bytes()])?;
    let patient = call.patient()?;
    let tx = call.look()?;
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::List, ENTITY, patient.uuid(), patient).await);
    }
    let mut rows = store::list(&tx, patient, status, &request).await?;
    let page = request.cut(&mut rows, &*call.call.here.entropy, |row: &Facts| Position {
        at: row.place.start.timestamp(),
        id: row.id.uuid(),
    })?;
    let shown = call.call.shown::<AnyAppointment>();
    let show = |row: &Facts| match shown {
        Shown::Full(full) => AnyAppointmentItem::Listed(AppointmentListItem::of(row, full.into())),
        Shown::Listed(listed) => AnyAppointmentItem::Listed(AppointmentListItem::of(row, listed)),
        Shown::Token(token) => AnyAppointmentItem::Token(AppointmentToken::of(row, token)),
    };
    let data: Vec<_> = rows.iter().map(show).collect();
    let access = Access {
        patient: Some(patient),
        query: Some(request.asked()),
        ..Access::of(AccessAction::List, ENTITY)
    };
    let seen = tx.disclose(&[access]).await?;
    let headers = page::link(&call.call.uri, &page);
    idempotency::show(headers, Phi::new(AppointmentPage { data, page }), &seen)
}
