//! Takes an invitation up.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use jiff::civil::Date;
use node_access::Refused;
use node_access::body::Json;
use node_access::doc::{HomeParameter, PatientDoorProblems};
use node_access::own::AtHome;
use node_signin::NotSignedIn;
use residency_control::signin::PasswordVerifier;
use residency_policy::{KeyId, PatientId, Problem, ProblemKind, UserId};
use serde::Serialize;
use storage::{Access, AccessAction, AccessOutcome, BlindIndex, Error, Phi, RegionTx};
use utoipa::ToSchema;

use super::{AtDesk, ENTITY};
use crate::portal::{model, store};
use crate::values::{BirthDate, Email};

/// With what an invitation is taken up.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPortalAccount)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// The invitation's code. Capitals, blanks and dashes do not matter.
    #[schema(max_length = 40, example = "AB2C-DE3F-GH4I-JK5L-MN6O-PQ7R")]
    pub code: String,
    /// When the patient was born, as it is recorded.
    #[schema(format = Date, example = "1980-02-29")]
    pub birth_date: String,
    /// The address to sign in with. The organisation has no second login with it.
    #[schema(max_length = 254, example = "ana@example.com")]
    pub email: String,
    /// The password that they choose: any characters, as long as others do not guess it soon (NIST SP 800-63B-4, section
    /// 3.1.1.2).
    #[schema(format = Password, min_length = 15, max_length = 256, example = "a long sentence is a good one")]
    pub password: String,
}

/// Takes an invitation up at the home that the query names, and sets what the patient signs in with. It signs nobody in.
/// Whatever of code and birth date is wrong, unknown or over, the answer is the same; a code may be shown five times.
#[utoipa::path(
    post, path = "/v1/portal/accounts", operation_id = "accept_portal_invitation", tag = "patients' logins",
    params(HomeParameter),
    request_body(content = AcceptBody, content_type = "application/json"),
    responses((status = 204, description = "They can sign in"), PatientDoorProblems)
)]
pub async fn accept(
    Extension(desk): AtDesk,
    at: Result<AtHome, Refused>,
    body: Json,
) -> Result<Response, Refused> {
    let (open, guarded) = body.split(model::ACCEPTANCE);
    // What is wrong with a body is said before whose home this is, as everywhere; there no day is known.
    let today = at.as_ref().map_or(Date::MAX, AtHome::today);
    let shown = model::read_acceptance(&open, guarded, today)?;
    let at = at?;
    let here = &at.here;
    let person = model::not_guessed_soon(&desk.hashing, &shown.password, shown.person).await?;
    // Before anything is looked for: it costs the same whatever is found.
    let password = desk.hashing.make(shown.password, &*here.entropy).await.map_err(NotSignedIn::from)?;
    let code = shown.code.ok_or(NotSignedIn::Nobody)?;
    let whose = here.pool.portal_invited(&code, here.clock.now()).await?.ok_or(NotSignedIn::Nobody)?;
    let address = person.as_ref().map(|(_, address)| address.normalised());
    let index = here.pool.portal_address(whose.1, &address).ok_or(NotSignedIn::Nobody)?;
    let login = UserId::random(&*here.entropy);
    let (permit, scope) = at.enter(whose, login, KeyId::from_bytes(login.to_bytes()))?;
    let new = New { patient: whose.0, login, code, person, index, password };
    let taken = here.pool.transact(&permit, &scope, "portal.accept", |tx| apply(tx, &new)).await;
    match taken {
        Err(why) if why.problem().kind() == ProblemKind::AlreadyExists => {
            // What failed in Postgres can record nothing any more, so a second transaction does.
            let tx = RegionTx::begin(&here.pool, &permit, &scope, "portal.accept").await?;
            Err(refused(tx, &new, why).await)
        }
        taken => taken.map(|()| StatusCode::NO_CONTENT.into_response()),
    }
}

struct New {
    patient: PatientId,
    login: UserId,
    code: [u8; 32],
    person: Phi<(BirthDate, Email)>,
    index: BlindIndex,
    password: PasswordVerifier,
}

async fn apply(tx: RegionTx, new: &New) -> Result<(), Refused> {
    let (born, address) =
        (new.person.as_ref().map(|(born, _)| *born), new.person.as_ref().map(|(_, address)| address.clone()));
    if !store::born(&tx, new.patient, &born).await? || !store::take_up(&tx, new.patient, &new.code).await? {
        return Err(refused(tx, new, NotSignedIn::Nobody.into()).await);
    }
    let put = store::put_account(&tx, new.patient, new.login, (&address, &new.index), &new.password).await;
    put.map_err(address_taken)?;
    let access = Access::to(AccessAction::Create, ENTITY, new.login.uuid(), new.patient);
    tx.commit(&[access]).await?;
    Ok(())
}

/// Records that it was refused, with nothing changed, and refuses it.
async fn refused(tx: RegionTx, new: &New, why: Refused) -> Refused {
    let access = Access::to(AccessAction::Create, ENTITY, new.login.uuid(), new.patient);
    match tx.commit(&[access.ended(AccessOutcome::Refused)]).await {
        Ok(_) => why,
        Err(error) => error.into(),
    }
}

/// Whoever holds an open code and knows the birth date may know it; a code is good for five questions.
fn address_taken(error: Error) -> Refused {
    match error {
        Error::Exists { constraint } if constraint == store::ONE_ADDRESS => {
            let why = "another login of this organisation has this address";
            Problem::new(ProblemKind::AlreadyExists).field("/email", "taken", why).into()
        }
        other => other.into(),
    }
}
