//! Enters a consent.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{IdempotencyHeader, PatientPath, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use residency_policy::{ConsentId, FieldError, Problem, ProblemKind};
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::ENTITY;
use super::view::{ConsentView, NewConsentBody};
use crate::consents::model::{self, Consent, Terms};
use crate::consents::store::{self, Before};
use crate::encounters::model::ClinicalText;
use crate::{nothing_found, refused};

/// Entering a consent.
pub struct Grant;

impl Act for Grant {
    const ENTITY: Entity = Entity::Consent;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "consent.grant";
}

/// Enters a consent that the patient gave. It counts from this answer on.
#[utoipa::path(
    post, path = "/v1/patients/{id}/consents", operation_id = "grant_consent", tag = "consents",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewConsentBody, description = "The consent", content_type = "application/json"),
    responses(
        (status = 201, description = "It is in the ledger", body = ConsentView, headers(
            ("location" = String, description = "Where the consent is shown")
        )),
        PhiCreateProblems
    )
)]
pub async fn grant(call: PatientCall<Grant>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, Some(&body));
    let here = &call.call.here;
    let (open, guarded) = body.split(model::TERMS);
    let (terms, reference) = model::read(&open, guarded, call.call.caller.org, here.clock.now())?;
    if !here.directory.organisation(terms.grantee).is_some_and(|org| org.active) {
        let detail = "expected the id of an organisation that is active";
        let wrong = FieldError { pointer: "/grantee_org_id", code: "unknown", detail };
        return Err(Problem::new(ProblemKind::Invalid).fields(vec![wrong]).into());
    }
    let id = ConsentId::random(&*here.entropy);
    call.transact(|tx| apply(&call, tx, &change, id, &terms, &reference)).await
}

async fn apply(
    call: &PatientCall<Grant>,
    tx: RegionTx,
    change: &Change,
    id: ConsentId,
    terms: &Terms,
    reference: &Phi<Option<ClinicalText>>,
) -> Result<Response, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(before) = store::before(&tx, patient, terms).await? else {
        return Err(nothing_found(tx, AccessAction::Create, ENTITY, id.uuid(), patient).await);
    };
    if let Err(why) = fits(&before, terms) {
        return Err(refused(tx, AccessAction::Create, ENTITY, id.uuid(), patient, why).await);
    }
    let now = tx.now();
    let consent = Consent {
        id,
        patient,
        terms: terms.clone(),
        reference: reference.clone(),
        recorded_at: now,
        recorded_by: call.call.caller.key,
        revocation: None,
    };
    store::insert(&tx, &consent).await?;
    tx.emit(&Event::new(EventName::ConsentGranted, id.uuid())).await?;
    let location = format!("/v1/patients/{patient}/consents/{id}");
    let access = Access::to(AccessAction::Create, ENTITY, id.uuid(), patient);
    let view = ConsentView::of(consent, full, now);
    doing.commit(tx, &[access], StatusCode::CREATED, &[("location", &location)], Some(view)).await
}

/// Whether the ledger takes it. The word that is entered last counts, so one that was given before another was taken back
/// would bring back what the patient has ended since.
fn fits(before: &Before, terms: &Terms) -> Result<(), Problem> {
    if !before.room {
        return Err(Problem::new(ProblemKind::IllegalTransition)
            .detail("the ledger holds at most 500 consents of a patient"));
    }
    if before.revoked_at.is_some_and(|revoked| terms.granted_at < revoked) {
        let detail = "the patient has taken back a consent about the same since: have them consent anew";
        return Err(Problem::new(ProblemKind::Invalid).field("/granted_at", "revoked-since", detail));
    }
    Ok(())
}
