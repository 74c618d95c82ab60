//! Opens an encounter.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{IdempotencyHeader, PatientPath, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use residency_policy::{EncounterId, Problem};
use storage::{Access, AccessAction, Error, Event, EventName, Phi, RegionTx, Unavailable};

use super::view::{EncounterView, NewEncounterBody};
use super::{ENTITY, path};
use crate::encounters::model::{self, Content, Encounter, Setting, State};
use crate::encounters::{licensed, store};
use crate::{nothing_found, patients, refused};

/// Opening an encounter.
pub struct Open;

impl Act for Open {
    const ENTITY: Entity = Entity::Encounter;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "encounter.open";
}

/// Opens an encounter of a patient.
#[utoipa::path(
    post, path = "/v1/patients/{id}/encounters", operation_id = "open_encounter", tag = "encounters",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewEncounterBody, description = "The encounter", content_type = "application/json"),
    responses(
        (status = 201, description = "The encounter is open", body = EncounterView, headers(
            ("location" = String, description = "Where the encounter is shown"),
            ("etag" = String, description = "The version")
        )),
        PhiCreateProblems
    )
)]
pub async fn open(call: PatientCall<Open>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    run(call, key, body).await
}

/// The same of any category.
pub(super) async fn run<A: Act>(
    call: PatientCall<A>,
    key: IdempotencyKey,
    body: Json,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, Some(&body));
    let (open, guarded) = body.split(Setting::FIELDS);
    let (setting, content) = model::read(&open, guarded)?;
    let id = EncounterId::random(&*call.call.here.entropy);
    // Nothing is asked of the control plane for somebody who is not served here.
    call.permit()?;
    let licensed = licensed::asked(&call, &setting).await;
    let new = New { id, setting, content, licensed };
    call.transact(|tx| apply(&call, tx, &change, &new)).await
}

/// What is to be opened.
struct New {
    id: EncounterId,
    setting: Setting,
    content: Phi<Content>,
    licensed: Result<(), Problem>,
}

async fn apply<A: Act>(
    call: &PatientCall<A>,
    tx: RegionTx,
    change: &Change,
    new: &New,
) -> Result<Response, Refused> {
    let (patient, full, id) = (call.patient()?, call.call.full()?, new.id);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    if let Err(why) = &new.licensed {
        // That there is such a patient is told by any other answer than 404.
        if patients::store::token_by_id(&tx, patient).await?.is_none() {
            return Err(nothing_found(tx, AccessAction::Create, ENTITY, id.uuid(), patient).await);
        }
        return Err(refused(tx, AccessAction::Create, ENTITY, id.uuid(), patient, why.clone()).await);
    }
    let encounter = Encounter {
        id,
        patient,
        category: call.category(),
        state: State::Open,
        setting: new.setting.clone(),
        content: new.content.clone(),
        opened_at: tx.now(),
        version: 1,
    };
    let there = match store::insert(&tx, &encounter).await {
        Ok(there) => there,
        // It could not be sealed, and nothing was sent. A key service that is down must not tell patients apart.
        Err(error @ (Error::Unavailable(Unavailable::Keys) | Error::KeyDestroyed(_) | Error::Keys(_))) => {
            if patients::store::token_by_id(&tx, patient).await?.is_some() {
                return Err(error.into());
            }
            false
        }
        Err(error) => return Err(error.into()),
    };
    if !there {
        return Err(nothing_found(tx, AccessAction::Create, ENTITY, id.uuid(), patient).await);
    }
    tx.emit(&Event::new(EventName::EncounterOpened, id.uuid())).await?;
    let location = path(patient, call.category(), id);
    let headers = [("location", location.as_str()), ("etag", "\"1\"")];
    let access = Access::to(AccessAction::Create, ENTITY, id.uuid(), patient).at(new.setting.service);
    let view = EncounterView::of(encounter, Vec::new(), full);
    doing.commit(tx, &[access], StatusCode::CREATED, &headers, Some(view)).await
}
