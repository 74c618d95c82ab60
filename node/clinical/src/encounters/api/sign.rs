//! Signs an encounter, after which it does not change.
//!
//! Two transactions. The first shows the content to this program, as any reading does, and makes the digest of what
//! is signed; the second writes the signature to that very version or not at all.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::{EncounterPath, IdempotencyHeader, IfMatchHeader, PhiChangeProblems, PurposeHeader};
use node_access::etag::IfMatch;
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Disclosable as _, Entity, PatientCall, Refused};
use residency_policy::{EncounterId, Problem, ProblemKind};
use storage::{Access, AccessAction, Event, EventName, RegionTx};

use super::ENTITY;
use super::view::EncounterView;
use crate::encounters::model::{Encounter, NotOpen, Signature, State};
use crate::encounters::{licensed, store};
use crate::{nothing_found, refused};

/// Signing an encounter.
pub struct Sign;

impl Act for Sign {
    const ENTITY: Entity = Entity::Encounter;
    const ACTION: Action = Action::Sign;
    const NAME: &'static str = "encounter.sign";
}

/// Which version is signed, and the digest of what is in it.
struct Signed {
    version: i32,
    digest: [u8; 32],
    licensed: Result<(), Problem>,
}

/// Signs an open encounter in the version that was read. It never changes after that.
#[utoipa::path(
    post, path = "/v1/patients/{id}/encounters/{encounter}/sign", operation_id = "sign_encounter",
    tag = "encounters",
    security(("bearer" = [])),
    params(EncounterPath, PurposeHeader, IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "The encounter is signed", body = EncounterView, headers(
            ("etag" = String, description = "The new version")
        )),
        PhiChangeProblems
    )
)]
pub async fn sign(
    call: PatientCall<Sign>,
    if_match: IfMatch,
    key: IdempotencyKey,
    nothing: Nothing,
) -> Result<Response, Refused> {
    run(call, if_match, key, nothing).await
}

/// The same of any category.
pub(super) async fn run<A: Act>(
    call: PatientCall<A>,
    if_match: IfMatch,
    key: IdempotencyKey,
    _: Nothing,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, Some(&if_match), None);
    let id = call.call.path("encounter")?;
    let signed = look(&call, id).await?;
    call.transact(|tx| apply(&call, tx, &change, &if_match, id, &signed)).await
}

async fn look<A: Act>(call: &PatientCall<A>, id: EncounterId) -> Result<Signed, Refused> {
    let patient = call.patient()?;
    let tx = call.look()?;
    let Some(encounter) = store::by_id(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Read, ENTITY, id.uuid(), patient).await);
    };
    let seen = tx.disclose(&[Access::to(AccessAction::Read, ENTITY, id.uuid(), patient)]).await?;
    let bytes = encounter.signed_bytes(encounter.content.open(&seen));
    let licensed = licensed::asked(call, &encounter.setting).await;
    Ok(Signed { version: encounter.version, digest: call.call.here.pool.fingerprint(&bytes), licensed })
}

async fn apply<A: Act>(
    call: &PatientCall<A>,
    tx: RegionTx,
    change: &Change,
    if_match: &IfMatch,
    id: EncounterId,
    signed: &Signed,
) -> Result<Response, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(before) = store::lock(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Update, ENTITY, id.uuid(), patient).await);
    };
    if let Err(why) = allowed(&before, if_match, signed) {
        return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
    }
    let signature = Signature { at: tx.now(), by: call.call.caller.key, digest: signed.digest };
    let after = Encounter { state: before.state.sign(signature)?, ..before };
    store::update(&tx, &after).await?;
    tx.emit(&Event::new(EventName::EncounterSigned, id.uuid())).await?;
    let after = Encounter { version: after.version + 1, ..after };
    let tag = format!("\"{}\"", after.version);
    let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), patient);
    let view = EncounterView::of(after, Vec::new(), full);
    doing.commit(tx, &[access], StatusCode::OK, &[("etag", &tag)], Some(view)).await
}

fn allowed(before: &Encounter, if_match: &IfMatch, signed: &Signed) -> Result<(), Problem> {
    if before.state != State::Open {
        return Err(NotOpen.problem());
    }
    if_match.check(before.version)?;
    if before.version != signed.version {
        return Err(Problem::new(ProblemKind::PreconditionFailed)
            .detail("it was changed while it was being signed; read it again and sign what you have read"));
    }
    signed.licensed.clone()
}
