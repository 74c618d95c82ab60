//! Registers a patient at a home.

use axum::response::Response;
use futures::TryFutureExt as _;
use futures::future::try_join;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{HomeParameter, IdempotencyHeader, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, IdempotencyKey};
use node_access::{Act, Action, Entity, Refused, RegionCall, parameters};
use residency_policy::{PatientId, Problem, ProblemKind};
use storage::idempotency::Before;
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::ENTITY;
use super::list::accesses;
use super::view::{Full, NewPatientBody, PatientView};
use crate::patients::model::{Demographics, Patient, address_outside_home};
use crate::patients::store::{self, Alike};
use crate::refused;
use crate::values::Mrn;

/// Registering a patient.
pub struct Create;

impl Act for Create {
    const ENTITY: Entity = Entity::Patient;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "patient.create";
    const PARAMETERS: &'static [&'static str] = parameters::HOME;
}

/// Registers a patient at the home that the query names. The body is never read to find a home: an address in
/// another state is recorded and changes nothing.
#[utoipa::path(
    post, path = "/v1/patients", operation_id = "create_patient", tag = "patients",
    security(("bearer" = [])),
    params(HomeParameter, PurposeHeader, IdempotencyHeader),
    request_body(content = NewPatientBody, description = "The patient", content_type = "application/json"),
    responses(
        (status = 201, description = "The patient was registered", body = PatientView, headers(
            ("location" = String, description = "Where the patient is shown"),
            ("etag" = String, description = "The version"),
            ("idempotent-replayed" = String, description = "`true` when the answer was stored earlier")
        )),
        PhiCreateProblems
    )
)]
pub async fn create(call: RegionCall<Create>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    // Also a repeated request is answered with everything, and no id is spent on whoever may not see that.
    let _: Full = call.call.full()?;
    let change = Change::new(&call.call, key, None, Some(&body));
    let here = &call.call.here;
    let today = call.call.today();
    let person = body
        .into_phi()
        .try_map(|object| Demographics::read(&object, today, Some(Mrn::random(&*here.entropy))))?;
    let alike = match look(&call, &change, &person).await? {
        Looked::Done(answer) => return Ok(answer),
        Looked::New(alike) => alike,
    };
    // Only now: a repeated or refused request costs no id and no data key.
    let id = here.pool.take_id().await?;
    // No key is made for an id that this node cannot place yet.
    call.permit_new(id)?;
    // Durable before any row that needs it. No connection and no lock waits for that.
    here.pool.make_key_ready(id).await?;
    let answer = call.transact_new(id, |tx| register(&call, tx, id, &change, &person, &alike)).await;
    if lost_a_race(&answer) {
        here.pool.give_back(id).await;
    }
    if let Some(answer) = answer? {
        return Ok(answer);
    }
    // The same request was quicker: what may be shown of it is asked as if it had been done long ago.
    match look(&call, &change, &person).await? {
        Looked::Done(answer) => Ok(answer),
        Looked::New(_) => Err(Problem::new(ProblemKind::IdempotencyInFlight).retry_after(1).into()),
    }
}

/// What is known before an id is taken.
enum Looked {
    /// It was done before, and this was the answer.
    Done(Response),
    /// It is new, and these may be the same person.
    New(Vec<PatientId>),
}

/// Looks in the region whether this was done before, whether the number is taken, and who may be the same person.
/// Not in the transaction of the registration: that one sees the one patient it is for. Two registrations at the same
/// instant may so miss each other: the transaction asks for the attempt and the number again, and possible duplicates
/// are a hint and refuse nothing. What was found is recorded with the registration, before anybody is told.
async fn look(
    call: &RegionCall<Create>,
    change: &Change,
    person: &Phi<Demographics>,
) -> Result<Looked, Refused> {
    let tx = call.look()?;
    let alike = store::alike(&tx, person).map_err(Refused::from);
    let (before, Alike { holder, duplicates }) = try_join(change.find(&tx), alike).await?;
    if let Some(before) = before {
        let stored = if let Before::Stored(stored) = &before { stored.patient() } else { None };
        // No decision at the home comes before this answer, as it does where the path names the patient.
        if let Some(patient) = stored
            && store::withheld(&tx, patient).await?
        {
            let why = Problem::new(ProblemKind::Forbidden).reason("consent-revoked");
            return Err(refused(tx, AccessAction::Read, ENTITY, patient.uuid(), patient, why).await);
        }
        return change.repeat(tx, before, ENTITY).await.map(Looked::Done);
    }
    if let Some(holder) = holder {
        return Err(refused(tx, AccessAction::Create, ENTITY, holder.uuid(), holder, taken()).await);
    }
    Ok(Looked::New(duplicates))
}

/// Whether a registration certainly left nothing under its id: the same attempt, or one with the same number, was
/// quicker. Its data key, if it has one already, is that of whoever gets the id next. After any other failure the id
/// is not used again: it may have been committed, or may be what is wrong.
fn lost_a_race(answer: &Result<Option<Response>, Refused>) -> bool {
    match answer {
        Ok(answer) => answer.is_none(),
        Err(refused) => matches!(
            refused.problem().kind(),
            ProblemKind::AlreadyExists | ProblemKind::IdempotencyInFlight | ProblemKind::IdempotencyReused
        ),
    }
}

/// `None`: the same request was quicker.
async fn register(
    call: &RegionCall<Create>,
    tx: RegionTx,
    id: PatientId,
    change: &Change,
    person: &Phi<Demographics>,
    alike: &[PatientId],
) -> Result<Option<Response>, Refused> {
    let Some((tx, doing)) = change.begin_first(tx).await? else { return Ok(None) };
    let (home, full) = (call.home(), call.call.full()?);
    let outside = address_outside_home(person, home.0.0);
    store::insert(&tx, id, person, outside).await?;
    tx.emit(&Event::new(EventName::PatientCreated, id.uuid())).await?;
    let at = tx.now();
    let patient = Patient {
        id,
        demographics: person.clone(),
        address_outside_home: outside,
        version: 1,
        created_at: at,
        updated_at: at,
    };
    let view = PatientView::of(patient, home, full).map(|view| view.beside(alike));
    let location = format!("/v1/patients/{id}");
    let headers = [("location", location.as_str()), ("etag", "\"1\"")];
    let mut recorded = accesses(AccessAction::Search, None, alike);
    recorded.push(Access::to(AccessAction::Create, ENTITY, id.uuid(), id));
    doing.commit_or(tx, &recorded, StatusCode::CREATED, &headers, Some(view), number_taken).await.map(Some)
}

/// Two patients of one organisation may not have one number.
pub(super) fn number_taken(error: storage::Error) -> Refused {
    match error {
        storage::Error::Exists { constraint } if constraint == store::ONE_MRN => taken().into(),
        other => other.into(),
    }
}

fn taken() -> Problem {
    Problem::new(ProblemKind::AlreadyExists).field(
        "/mrn",
        "taken",
        "another patient of this organisation has this number",
    )
}
