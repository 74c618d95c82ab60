//! Shows one appointment.

use axum::response::Response;
use http::HeaderMap;
use http::header::ETAG;
use node_access::doc::{AppointmentPath, PhiProblems, PurposeHeader};
use node_access::shown::{Shown, too_little};
use node_access::{Act, Action, Entity, LicenceState, PatientCall, Refused, etag, idempotency};
use residency_policy::{AppointmentId, ServiceJurisdiction};
use storage::{Access, AccessAction, Phi};

use super::ENTITY;
use super::view::{AnyAppointment, AppointmentToken, AppointmentView};
use crate::appointments::store;
use crate::{nothing_found, refused};

/// Reading an appointment.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::Appointment;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "appointment.read";
}

/// Shows one appointment, as the caller's role is shown it.
#[utoipa::path(
    get, path = "/v1/patients/{id}/appointments/{appointment}", operation_id = "read_appointment",
    tag = "appointments",
    security(("bearer" = [])),
    params(AppointmentPath, PurposeHeader),
    responses(
        (status = 200, description = "The appointment", body = AnyAppointment, headers(
            ("etag" = String, description = "The version")
        )),
        PhiProblems
    )
)]
pub async fn read(call: PatientCall<Read>) -> Result<Response, Refused> {
    let patient = call.patient()?;
    let id: AppointmentId = call.call.path("appointment")?;
    let tx = call.look()?;
    let Some(appointment) = store::by_id(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Read, ENTITY, id.uuid(), patient).await);
    };
    let service = ServiceJurisdiction(appointment.facts.service);
    if let Err(why) = call.call.may_at(service, LicenceState::Unasked) {
        return Err(refused(tx, AccessAction::Read, ENTITY, id.uuid(), patient, why).await);
    }
    let seen = tx.disclose(&[Access::to(AccessAction::Read, ENTITY, id.uuid(), patient)]).await?;
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, etag::of(appointment.facts.version));
    let view = match call.call.shown() {
        Shown::Full(full) => {
            AppointmentView::of(appointment, full).map(|view| AnyAppointment::Full(Box::new(view)))
        }
        Shown::Listed(_) => return Err(too_little().into()),
        Shown::Token(shown) => Phi::new(AnyAppointment::Token(AppointmentToken::of(&appointment.facts, shown))),
    };
    idempotency::show(headers, view, &seen)
}
