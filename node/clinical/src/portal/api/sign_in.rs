//! Signs a patient in.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json as Answer};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use node_access::body::Json;
use node_access::doc::{HomeParameter, PatientDoorProblems};
use node_access::own::AtHome;
use node_access::{Refused, caller, cookies};
use node_signin::{NotSignedIn, patient};
use residency_policy::{KeyId, SessionId};
use serde::Serialize;
use storage::portal::Login;
use storage::{Access, AccessAction, AccessOutcome, RegionTx};
use utoipa::ToSchema;

use super::{AtDesk, ENTITY, is_theirs};
use crate::portal::model::{self, Handed};
use crate::portal::store;

/// What a patient shows to sign in.
#[derive(Serialize, ToSchema)]
#[schema(as = PatientSignIn)]
#[serde(deny_unknown_fields)]
pub struct SignInBody {
    /// The organisation that the record belongs to.
    #[schema(format = Uuid)]
    pub organisation: String,
    /// The address that they chose.
    #[schema(max_length = 254, example = "ana@example.com")]
    pub email: String,
    /// The password.
    #[schema(format = Password, example = "a long sentence is a good one")]
    pub password: String,
    /// `cookies` (if left out), for browsers: no script can read it. `body`, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(cookies|body)$", example = "body")]
    pub tokens: Option<String>,
}

/// A session of a patient. What stands for it is here only if it was asked for here; a browser has it as a cookie.
#[derive(Serialize, ToSchema)]
#[schema(as = PatientSignedIn)]
#[serde(deny_unknown_fields)]
pub struct SignedInBody {
    /// The session.
    #[schema(format = Uuid)]
    pub session: String,
    /// Who signed in.
    #[schema(format = Uuid)]
    pub patient: String,
    /// After so many seconds without a request it is over.
    #[schema(example = 1800)]
    pub idle_seconds: i64,
    /// When it is over however often it is shown.
    #[schema(format = DateTime)]
    pub ends_at: String,
    /// To be sent as `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

/// Signs a patient of an organisation in at the home that the query names. A session is over after half an hour without a
/// request, and after twelve hours. Whatever is wrong, the answer is the same; after five failures in a row it is so for a
/// while whatever is shown. With it they ask for their own record, for the purpose PATRQT.
#[utoipa::path(
    post, path = "/v1/portal/sign-in", operation_id = "sign_in_patient", tag = "patients' logins",
    params(HomeParameter),
    request_body(content = SignInBody, content_type = "application/json"),
    responses(
        (status = 200, description = "Signed in", body = SignedInBody,
         headers(("set-cookie" = String, description = "What stands for it, unless it was asked for in the body"))),
        PatientDoorProblems
    )
)]
pub async fn sign_in(
    Extension(desk): AtDesk,
    at: Result<AtHome, Refused>,
    method: Method,
    headers: HeaderMap,
    body: Json,
) -> Result<Response, Refused> {
    let (open, guarded) = body.split(model::SIGN_IN);
    let shown = model::read_sign_in(&open, guarded)?;
    let at = at?;
    let here = &at.here;
    // A browser has one session: its cookie is replaced, and nobody could end the one before.
    let before = match caller::shown_of_patient(&headers) {
        (Some(held), true) if shown.handed == Handed::Cookie => {
            cookies::from_our_own_page(&method, &headers)?;
            patient::digest(held)
        }
        _ => None,
    };
    let named = shown.org.zip(shown.address.as_ref());
    let index = named.and_then(|(org, address)| Some((org, here.pool.portal_address(org, address)?)));
    let login = match &index {
        Some((org, index)) => here.pool.portal_login(*org, index).await?,
        None => None,
    };
    let login = is_theirs(here, &desk, shown.password, login).await?.ok_or(NotSignedIn::Nobody)?;
    let session = SessionId::random(&*here.entropy);
    let minted = patient::session(here.region, &*here.entropy);
    let key = KeyId::from_bytes(session.to_bytes());
    let (permit, scope) = at.enter((login.patient, login.org), login.login, key)?;
    let begin = |tx| begin(tx, &login, session, &minted.sha256);
    let until = here.pool.transact(&permit, &scope, "portal.sign_in", begin).await?;
    if let Some(before) = before {
        here.pool.portal_signed_out(&before).await?;
    }
    let in_body = shown.handed == Handed::Body;
    let answer = SignedInBody {
        session: session.to_string(),
        patient: login.patient.to_string(),
        idle_seconds: patient::IDLE_SECONDS,
        ends_at: until.to_string(),
        session_token: in_body.then(|| minted.reveal().to_owned()),
    };
    let mut response = Answer(answer).into_response();
    if !in_body {
        patient::keep(response.headers_mut(), &minted)?;
    }
    Ok(response)
}

async fn begin(
    tx: RegionTx,
    login: &Login,
    session: SessionId,
    secret: &[u8; 32],
) -> Result<Timestamp, Refused> {
    let access = Access::to(AccessAction::SignIn, ENTITY, session.uuid(), login.patient);
    // Others failed meanwhile, perhaps, and what was hashed may be in force no more.
    if !store::still(&tx, login.patient, login.login, &login.hash).await? {
        tx.commit(&[access.ended(AccessOutcome::Refused)]).await?;
        return Err(NotSignedIn::Nobody.into());
    }
    let until = store::begin_session(&tx, login.patient, session, secret).await?;
    tx.commit(&[access]).await?;
    Ok(until)
}
