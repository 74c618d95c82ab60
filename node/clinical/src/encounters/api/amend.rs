//! Changes or cancels an open encounter.

use axum::response::Response;
use http::StatusCode;
use node_access::body::{MergePatch, Object};
use node_access::doc::{
    EncounterPath, IfMatchHeader, MaybeIdempotencyHeader, PhiChangeProblems, PurposeHeader,
};
use node_access::etag::IfMatch;
use node_access::idempotency::{Change, MaybeIdempotencyKey, Step};
use node_access::{Act, Action, Disclosable as _, Entity, LicenceState, PatientCall, Refused};
use residency_policy::{EncounterId, Problem, ProblemKind, ServiceJurisdiction};
use serde_json::Value;
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::ENTITY;
use super::view::{EncounterPatch, EncounterView};
use crate::encounters::licensed::{self, Whose};
use crate::encounters::model::{self, Encounter, NotOpen, State};
use crate::encounters::store;
use crate::{nothing_found, refused};

/// Changing an encounter.
pub struct Amend;

impl Act for Amend {
    const ENTITY: Entity = Entity::Encounter;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "encounter.amend";
}

/// What is to be done.
struct Amendment {
    id: EncounterId,
    if_match: IfMatch,
    cancel: bool,
    open: Object,
    guarded: Phi<Object>,
}

/// Changes an open encounter by merge patch (RFC 7396), or cancels it. A signed one is refused with 409: what is
/// said of it now is an addendum.
#[utoipa::path(
    patch, path = "/v1/patients/{id}/encounters/{encounter}", operation_id = "amend_encounter", tag = "encounters",
    security(("bearer" = [])),
    params(EncounterPath, PurposeHeader, IfMatchHeader, MaybeIdempotencyHeader),
    request_body(description = "What is to change", content(
        (EncounterPatch = "application/merge-patch+json"), (EncounterPatch = "application/json")
    )),
    responses(
        (status = 200, description = "The encounter was changed", body = EncounterView, headers(
            ("etag" = String, description = "The new version")
        )),
        PhiChangeProblems
    )
)]
pub async fn amend(
    call: PatientCall<Amend>,
    if_match: IfMatch,
    key: MaybeIdempotencyKey,
    body: MergePatch,
) -> Result<Response, Refused> {
    run(call, if_match, key, body).await
}

/// The same of any category.
pub(super) async fn run<A: Act>(
    call: PatientCall<A>,
    if_match: IfMatch,
    key: MaybeIdempotencyKey,
    MergePatch(body): MergePatch,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, Some(&if_match), Some(&body));
    let (open, guarded) = body.split(&["status", "service_jurisdiction", "provider_npi"]);
    let mut open = open.into_map();
    let cancel = match open.remove("status") {
        None => false,
        Some(Value::String(word)) if word == "cancelled" => true,
        Some(_) => {
            return Err(Problem::new(ProblemKind::Invalid)
                .field(
                    "/status",
                    "not-a-code",
                    "only `cancelled` is taken here; a signature has a route of its own",
                )
                .into());
        }
    };
    let id = call.call.path("encounter")?;
    let amendment = Amendment { id, if_match, cancel, open: Object::from(open), guarded };
    call.transact(|tx| apply(&call, tx, &change, &amendment)).await
}

async fn apply<A: Act>(
    call: &PatientCall<A>,
    tx: RegionTx,
    change: &Change,
    amendment: &Amendment,
) -> Result<Response, Refused> {
    let (patient, id, full) = (call.patient()?, amendment.id, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(before) = store::lock(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Update, ENTITY, id.uuid(), patient).await);
    };
    // The state first: to somebody with an old version of a signed encounter, reading it again is no help.
    let allowed = if before.state == State::Open {
        amendment.if_match.check(before.version)
    } else {
        Err(NotOpen.problem())
    };
    if let Err(why) = allowed {
        return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
    }
    let (setting, content) = model::patched(
        &before.setting,
        before.content.clone(),
        amendment.open.clone(),
        amendment.guarded.clone(),
    )?;
    let allowed = if setting == before.setting {
        call.call.may_at(ServiceJurisdiction(setting.service), LicenceState::Unasked)
    } else {
        licensed::judged(call, &setting, Whose::Visit)
    };
    if let Err(why) = allowed {
        return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
    }
    let state = if amendment.cancel { before.state.cancel()? } else { before.state };
    let after = Encounter { state, setting, content, ..before };
    store::update(&tx, &after).await?;
    tx.emit(&Event::new(EventName::EncounterAmended, id.uuid())).await?;
    let after = Encounter { version: after.version + 1, ..after };
    let tag = format!("\"{}\"", after.version);
    let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), patient);
    let view = EncounterView::of(after, Vec::new(), full);
    doing.commit(tx, &[access], StatusCode::OK, &[("etag", &tag)], Some(view)).await
}
