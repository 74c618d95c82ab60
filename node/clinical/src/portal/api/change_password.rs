//! Changes a patient's own password.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode};
use node_access::Refused;
use node_access::body::PublicJson;
use node_access::caller::recognise_patient;
use node_access::doc::{HomeParameter, PatientDoorProblems};
use node_access::own::AtHome;
use node_access::settings::CameFrom;
use node_signin::{NotSignedIn, guessable};
use residency_control::signin::PasswordVerifier;
use residency_policy::SessionId;
use serde::Serialize;
use storage::portal::Login;
use storage::{Access, AccessAction, AccessOutcome, RegionTx};
use utoipa::ToSchema;

use super::{AtDesk, ENTITY, is_theirs};
use crate::portal::{model, store};

/// What changing a patient's password asks for.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPatientPassword)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// The password until now: a session that was left open changes nothing.
    #[schema(format = Password)]
    pub current_password: String,
    /// The password from now on, chosen as at an invitation.
    #[schema(format = Password, min_length = 15, max_length = 256, example = "a long sentence is a good one")]
    pub new_password: String,
}

/// Replaces the password of the patient whose session comes along, at the home that the query names. Their other sessions
/// end; this one goes on. A wrong current password counts as a failed sign-in does.
#[utoipa::path(
    put, path = "/v1/portal/password", operation_id = "change_patient_password", tag = "patients' logins",
    params(HomeParameter),
    request_body(content = ChangeBody, content_type = "application/json"),
    responses((status = 204, description = "The new one is in force"), PatientDoorProblems)
)]
pub async fn change(
    Extension(desk): AtDesk,
    at: Result<AtHome, Refused>,
    from: CameFrom,
    method: Method,
    headers: HeaderMap,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let wanted = model::read_change(&body)?;
    let at = at?;
    let here = &at.here;
    let caller = recognise_patient(here, &method, &headers, from).await?;
    let login = caller.user.ok_or(NotSignedIn::Nobody)?;
    let login = here.pool.portal_login_of(login).await?;
    let login = is_theirs(here, &desk, wanted.current, login).await?.ok_or(NotSignedIn::Nobody)?;
    let new = wanted.new.clone();
    let soon = desk.hashing.aside(move || guessable::soon(&new, &[])).await.map_err(NotSignedIn::from)?;
    if soon {
        return Err(NotSignedIn::Guessable("/new_password").into());
    }
    let password = desk.hashing.make(wanted.new, &*here.entropy).await.map_err(NotSignedIn::from)?;
    let (permit, scope) = at.enter((login.patient, login.org), login.login, caller.key)?;
    let session = SessionId::from_bytes(caller.key.to_bytes());
    let apply = |tx| apply(tx, &login, session, &password);
    here.pool.transact(&permit, &scope, "portal.change_password", apply).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn apply(
    tx: RegionTx,
    login: &Login,
    session: SessionId,
    password: &PasswordVerifier,
) -> Result<(), Refused> {
    let access = Access::to(AccessAction::Update, ENTITY, login.login.uuid(), login.patient);
    if !store::still(&tx, login.patient, login.login, &login.hash).await? {
        tx.commit(&[access.ended(AccessOutcome::Refused)]).await?;
        return Err(NotSignedIn::Nobody.into());
    }
    store::change_password(&tx, login.patient, session, password).await?;
    tx.commit(&[access]).await?;
    Ok(())
}
