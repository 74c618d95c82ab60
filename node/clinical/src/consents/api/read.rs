//! Shows one consent.

use axum::response::Response;
use http::HeaderMap;
use node_access::doc::{ConsentPath, PhiProblems, PurposeHeader};
use node_access::{Act, Action, Entity, PatientCall, Refused, idempotency};
use residency_policy::ConsentId;
use storage::{Access, AccessAction};

use super::ENTITY;
use super::view::AnyConsent;
use crate::consents::store;
use crate::nothing_found;

/// Reading a consent.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::Consent;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "consent.read";
}

/// Shows one consent.
#[utoipa::path(
    get, path = "/v1/patients/{id}/consents/{consent}", operation_id = "read_consent", tag = "consents",
    security(("bearer" = [])),
    params(ConsentPath, PurposeHeader),
    responses((status = 200, description = "The consent", body = AnyConsent), PhiProblems)
)]
pub async fn read(call: PatientCall<Read>) -> Result<Response, Refused> {
    let patient = call.patient()?;
    let id: ConsentId = call.call.path("consent")?;
    let tx = call.look()?;
    let Some(consent) = store::by_id(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Read, ENTITY, id.uuid(), patient).await);
    };
    let view = AnyConsent::of(consent, &call.call.shown(), tx.now())?;
    let seen = tx.disclose(&[Access::to(AccessAction::Read, ENTITY, id.uuid(), patient)]).await?;
    idempotency::show(HeaderMap::new(), view, &seen)
}
