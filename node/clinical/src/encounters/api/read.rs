//! Shows one encounter with its addenda.

use axum::response::Response;
use http::HeaderMap;
use http::header::ETAG;
use node_access::doc::{EncounterPath, PhiProblems, PurposeHeader};
use node_access::shown::Shown;
use node_access::{Act, Action, Entity, LicenceState, PatientCall, Refused, etag, idempotency};
use residency_policy::{EncounterId, Jurisdiction, Problem, ServiceJurisdiction};
use storage::{Access, AccessAction, Phi, RegionRead};

use super::ENTITY;
use super::view::{AnyEncounter, EncounterListItem, EncounterToken, EncounterView};
use crate::encounters::model::{Heading, State};
use crate::encounters::store;
use crate::{nothing_found, refused};

/// Reading an encounter.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::Encounter;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "encounter.read";
}

/// Shows one encounter with its addenda, as the caller's role is shown it.
#[utoipa::path(
    get, path = "/v1/patients/{id}/encounters/{encounter}", operation_id = "read_encounter", tag = "encounters",
    security(("bearer" = [])),
    params(EncounterPath, PurposeHeader),
    responses(
        (status = 200, description = "The encounter", body = AnyEncounter, headers(
            ("etag" = String, description = "The version, for those who may change it")
        )),
        PhiProblems
    )
)]
pub async fn read(call: PatientCall<Read>) -> Result<Response, Refused> {
    run(call).await
}

/// The same of any category.
pub(super) async fn run<A: Act>(call: PatientCall<A>) -> Result<Response, Refused> {
    let patient = call.patient()?;
    let id: EncounterId = call.call.path("encounter")?;
    let tx = call.look()?;
    let access = Access::to(AccessAction::Read, ENTITY, id.uuid(), patient);
    let full = match call.call.shown() {
        Shown::Full(full) => full,
        Shown::Listed(shown) => {
            return heading(&call, tx, |row| AnyEncounter::Listed(EncounterListItem::of(row, shown))).await;
        }
        Shown::Token(shown) => {
            return heading(&call, tx, |row| AnyEncounter::Token(EncounterToken::of(row, shown))).await;
        }
    };
    let Some(encounter) = store::by_id(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Read, ENTITY, id.uuid(), patient).await);
    };
    if let Err(why) = may_be_read(&call, encounter.setting.service) {
        return Err(refused(tx, AccessAction::Read, ENTITY, id.uuid(), patient, why).await);
    }
    let addenda = store::addenda(&tx, patient, id).await?;
    let seen = tx.disclose(&[access]).await?;
    if let State::Signed(signature) = &encounter.state {
        let bytes = encounter.signed_bytes(encounter.content.open(&seen));
        if call.call.here.pool.fingerprint(&bytes) != signature.digest {
            return Err(Refused::internal("encounter.read: a signed encounter is not what was signed"));
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, etag::of(encounter.version));
    let view = EncounterView::of(encounter, addenda, full).map(|view| AnyEncounter::Full(Box::new(view)));
    idempotency::show(headers, view, &seen)
}

/// Without what is clinical, which is not even loaded.
async fn heading<A: Act>(
    call: &PatientCall<A>,
    tx: RegionRead,
    show: impl Fn(Heading) -> AnyEncounter,
) -> Result<Response, Refused> {
    let patient = call.patient()?;
    let id: EncounterId = call.call.path("encounter")?;
    let Some(heading) = store::heading(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Read, ENTITY, id.uuid(), patient).await);
    };
    // It is read from the row, which holds none but codes.
    let Ok(service) = heading.service.parse::<Jurisdiction>() else {
        return Err(Refused::internal("encounter.read: where the visit was is no jurisdiction"));
    };
    if let Err(why) = may_be_read(call, service) {
        return Err(refused(tx, AccessAction::Read, ENTITY, id.uuid(), patient, why).await);
    }
    let seen = tx.disclose(&[Access::to(AccessAction::Read, ENTITY, id.uuid(), patient)]).await?;
    idempotency::show(HeaderMap::new(), Phi::new(show(heading)), &seen)
}

/// Whether a visit there is shown to the caller, now that it is known where it was.
fn may_be_read<A: Act>(call: &PatientCall<A>, service: Jurisdiction) -> Result<(), Problem> {
    call.call.may_at(ServiceJurisdiction(service), LicenceState::Unasked)
}
