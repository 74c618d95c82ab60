//! Invites a patient to choose a login.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use jiff::Timestamp;
use node_access::body::Nothing;
use node_access::doc::{PatientPath, PhiCreateProblems, PurposeHeader};
use node_access::shown::{Full, Views};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use node_signin::patient;
use serde::Serialize;
use storage::{Access, AccessAction, RegionTx};
use utoipa::ToSchema;

use super::ENTITY;
use crate::portal::store;
use crate::{nothing_found, patients};

/// Inviting a patient.
pub struct Invite;

impl Act for Invite {
    const ENTITY: Entity = Entity::PatientLogin;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "portal.invite";
}

/// An invitation. This is the only time that its code is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalInvitation)]
#[serde(deny_unknown_fields)]
pub struct PortalInvitationBody {
    /// To be given to the patient and nobody else. With it goes the birth date that is recorded.
    #[schema(pattern = "^[A-Z2-7]{4}(-[A-Z2-7]{4}){5}$", example = "AB2C-DE3F-GH4I-JK5L-MN6O-PQ7R")]
    pub code: String,
    /// Until when it is open, not included.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// There is one view of it, which shows everything.
impl Views for PortalInvitationBody {
    const ENTITY: Entity = Entity::PatientLogin;
}

/// Invites a patient to choose an address and a password, also one who has forgotten theirs. An earlier invitation ends.
/// Taking it up forgets whatever they signed in with before, and ends their sessions. It is open for a week and is good once.
#[utoipa::path(
    post, path = "/v1/patients/{id}/portal-invitations", operation_id = "invite_patient", tag = "patients' logins",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader),
    responses(
        (status = 201, description = "They are invited", body = PortalInvitationBody),
        PhiCreateProblems
    )
)]
pub async fn invite(call: PatientCall<Invite>, _: Nothing) -> Result<Response, Refused> {
    let _: Full<PortalInvitationBody> = call.call.full()?;
    let minted = patient::code(&*call.call.here.entropy);
    let expires_at = call.transact(|tx| apply(&call, tx, &minted.sha256)).await?;
    let body = PortalInvitationBody { code: minted.reveal().to_owned(), expires_at: expires_at.to_string() };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn apply(call: &PatientCall<Invite>, tx: RegionTx, code: &[u8; 32]) -> Result<Timestamp, Refused> {
    let patient = call.patient()?;
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::Create, ENTITY, patient.uuid(), patient).await);
    }
    let until = store::invite(&tx, patient, code, call.call.caller.key).await?;
    let access = Access::to(AccessAction::Create, ENTITY, patient.uuid(), patient);
    tx.commit(&[access]).await?;
    Ok(until)
}
