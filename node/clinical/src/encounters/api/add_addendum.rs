//! Adds to a signed encounter.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{EncounterPath, IdempotencyHeader, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use residency_policy::{EncounterId, Problem, ProblemKind, RecordId};
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::path;
use super::view::{AddendumView, NewAddendumBody};
use crate::encounters::licensed::{self, Whose};
use crate::encounters::model::{Addendum, ClinicalText, State, read_addendum};
use crate::encounters::store;
use crate::{nothing_found, refused};

/// What the access log calls an addendum.
const ENTITY: &str = "addendum";

/// Adding an addendum.
pub struct AddAddendum;

impl Act for AddAddendum {
    const ENTITY: Entity = Entity::Encounter;
    const ACTION: Action = Action::Annotate;
    const NAME: &'static str = "encounter.add_addendum";
}

/// Adds to a signed encounter, which itself does not change. Addenda are shown with their encounter.
#[utoipa::path(
    post, path = "/v1/patients/{id}/encounters/{encounter}/addenda", operation_id = "add_addendum",
    tag = "encounters",
    security(("bearer" = [])),
    params(EncounterPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewAddendumBody, description = "The addendum", content_type = "application/json"),
    responses(
        (status = 201, description = "It was added", body = AddendumView, headers(
            ("location" = String, description = "Where the encounter is shown with its addenda")
        )),
        PhiCreateProblems
    )
)]
pub async fn add_addendum(
    call: PatientCall<AddAddendum>,
    key: IdempotencyKey,
    body: Json,
) -> Result<Response, Refused> {
    run(call, key, body).await
}

/// The same of any category.
pub(super) async fn run<A: Act>(
    call: PatientCall<A>,
    key: IdempotencyKey,
    body: Json,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, Some(&body));
    let body = body.into_phi().try_map(|object| read_addendum(&object))?;
    let encounter = call.call.path("encounter")?;
    let id = RecordId::random(&*call.call.here.entropy);
    call.transact(|tx| apply(&call, tx, &change, encounter, id, &body)).await
}

async fn apply<A: Act>(
    call: &PatientCall<A>,
    tx: RegionTx,
    change: &Change,
    encounter_id: EncounterId,
    id: RecordId,
    body: &Phi<ClinicalText>,
) -> Result<Response, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(encounter) = store::lock(&tx, patient, encounter_id).await? else {
        return Err(nothing_found(tx, AccessAction::Create, ENTITY, encounter_id.uuid(), patient).await);
    };
    let refusal = if !matches!(encounter.state, State::Signed(_)) {
        Some("an addendum is added to a signed encounter; an open one is changed")
    } else if !store::has_room(&tx, patient, encounter_id).await? {
        Some("an encounter has at most 200 addenda")
    } else {
        None
    };
    let refusal = refusal.map(|why| Problem::new(ProblemKind::IllegalTransition).detail(why));
    if let Some(why) = refusal.or_else(|| licensed::judged(call, &encounter.setting, Whose::Own).err()) {
        return Err(refused(tx, AccessAction::Create, ENTITY, encounter_id.uuid(), patient, why).await);
    }
    let addendum = Addendum { id, body: body.clone(), at: tx.now(), by: call.call.caller.key };
    store::insert_addendum(&tx, &encounter, &addendum).await?;
    tx.emit(&Event::new(EventName::EncounterAddendumAdded, id.uuid())).await?;
    let location = path(patient, call.category(), encounter_id);
    let access = Access::to(AccessAction::Create, ENTITY, id.uuid(), patient);
    let headers = [("location", location.as_str())];
    let view = AddendumView::of(addendum, full);
    doing.commit(tx, &[access], StatusCode::CREATED, &headers, Some(view)).await
}
