//! Cancels an appointment.
//!
//! The row says so first; then the control plane frees the time; then the row rests. Freeing twice is freeing once, so
//! whatever a crash leaves is simply gone on with.

use axum::response::Response;
use node_access::body::Json;
use node_access::doc::{
    AppointmentPath, IdempotencyHeader, MaybeIfMatchHeader, PhiRemovalProblems, PurposeHeader,
};
use node_access::etag::{IfMatch, MaybeIfMatch};
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Entity, LicenceState, LogIndex, PatientCall, Refused};
use node_console::calendars::booking::NotDone;
use residency_control::ProposeError;
use residency_policy::{AppointmentId, Problem, ProblemKind, ServiceJurisdiction};
use storage::bookings::Subject;
use storage::{Access, AccessAction, Phi, RegionTx};

use super::ENTITY;
use super::reschedule::{answer, in_flight};
use super::view::{AppointmentView, Full, NewCancellationBody};
use crate::appointments::end::{self, Ending};
use crate::appointments::hand::Hand;
use crate::appointments::model::{CancelCode, Facts, State};
use crate::appointments::work::store::LEASE_SECONDS;
use crate::appointments::{carry, reading, store, work};
use crate::encounters::model::ClinicalText;
use crate::{nothing_found, refused};

/// Cancelling an appointment.
pub struct Cancel;

impl Act for Cancel {
    const ENTITY: Entity = Entity::Appointment;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "appointment.cancel";
}

/// What this request needs to begin.
struct Order<'a> {
    id: AppointmentId,
    if_match: Option<&'a IfMatch>,
    code: CancelCode,
    note: Phi<Option<ClinicalText>>,
}

/// How far it is after the first transaction.
enum Begun {
    /// It was done before, and this is the answer.
    Answered(Response),
    /// The row says so, and its work is ours.
    Ours(Facts, i64),
    /// Somebody began it and is gone. Its work is ours now.
    Left(Facts, i64),
}

/// Cancels a booked appointment and frees its time.
#[utoipa::path(
    post, path = "/v1/patients/{id}/appointments/{appointment}/cancel", operation_id = "cancel_appointment",
    tag = "appointments",
    security(("bearer" = [])),
    params(AppointmentPath, PurposeHeader, IdempotencyHeader, MaybeIfMatchHeader),
    request_body(content = NewCancellationBody, description = "Why", content_type = "application/json"),
    responses(
        (status = 200, description = "It is cancelled", body = AppointmentView, headers(
            ("etag" = String, description = "The new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        PhiRemovalProblems
    )
)]
pub async fn cancel(
    call: PatientCall<Cancel>,
    MaybeIfMatch(if_match): MaybeIfMatch,
    key: IdempotencyKey,
    body: Json,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, if_match.as_ref(), Some(&body));
    let (open, guarded) = body.split(&["code"]);
    let (code, note) = reading::read_cancellation(&open, guarded)?;
    let (hand, full) = (Hand::of_call(&call)?, call.call.full()?);
    let order = Order { id: call.call.path("appointment")?, if_match: if_match.as_ref(), code, note };
    let (facts, fence, first) = match Box::pin(call.transact(|tx| begin(&call, tx, &change, &order))).await? {
        Begun::Answered(response) => return Ok(response),
        Begun::Ours(facts, fence) => (facts, fence, true),
        Begun::Left(facts, fence) => (facts, fence, false),
    };
    match carry::free(&call.call.here, &facts.place).await {
        Ok(index) => {
            let done = hand.transact(|tx| finish(&hand, tx, &change, facts.id, (fence, index), full));
            match Box::pin(done).await {
                Err(why) => Err(end::end_unseen(&hand, facts.id, fence, Ending::Cancelled, why).await),
                done => done,
            }
        }
        // Nothing was asked for, by anybody: it is as it was. What whoever was before us asked for may come yet.
        Err(why @ NotDone::Unproposed(ProposeError::NoQuorum)) if first => {
            end::end(&hand, facts.id, fence, Ending::NotCancelled).await?;
            Err(why.into())
        }
        Err(why) => {
            end::leave(&hand, facts.id, fence).await?;
            Err(why.into())
        }
    }
}

async fn begin(
    call: &PatientCall<Cancel>,
    tx: RegionTx,
    change: &Change,
    order: &Order<'_>,
) -> Result<Begun, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(Begun::Answered(answer)),
        Step::Do(tx, doing) => (tx, doing),
    };
    let id = order.id;
    let Some(there) = store::lock(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Update, ENTITY, id.uuid(), patient).await);
    };
    if let Err(why) = call.call.may_at(ServiceJurisdiction(there.service), LicenceState::Unasked) {
        return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
    }
    let mine = there.request == change.request();
    let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), patient);
    match there.state {
        // It was cancelled, and the answer was lost on the way.
        State::Cancelled(_) if mine => answer(tx, doing, id, None, full).await.map(Begun::Answered),
        State::Cancelling(_) if mine => {
            let Some(fence) = work::store::take(&tx, id.uuid(), patient).await? else {
                tx.rollback().await;
                return Err(in_flight().into());
            };
            tx.commit(&[access]).await?;
            Ok(Begun::Left(there, fence))
        }
        State::Booked => {
            if let Some(Err(why)) = order.if_match.map(|if_match| if_match.check(there.version)) {
                return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
            }
            let facts = Facts { state: State::Cancelling(order.code), request: change.request(), ..there };
            store::update(&tx, &facts, Some(&order.note)).await?;
            let handle = facts.place.handle;
            let fence =
                work::store::begin(&tx, id.uuid(), patient, Subject::Appointment, handle, LEASE_SECONDS)
                    .await?;
            tx.commit(&[access]).await?;
            Ok(Begun::Ours(facts, fence))
        }
        State::Pending | State::Moving(_) | State::Cancelling(_) | State::Cancelled(_) | State::Failed(_) => {
            let why =
                Problem::new(ProblemKind::IllegalTransition).detail("only a booked appointment is cancelled");
            Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await)
        }
    }
}

async fn finish(
    hand: &Hand,
    tx: RegionTx,
    change: &Change,
    id: AppointmentId,
    (fence, index): (i64, LogIndex),
    full: Full,
) -> Result<Response, Refused> {
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    if end::ended(&tx, hand, id, fence, Ending::Cancelled).await?.is_none() {
        tx.rollback().await;
        return Err(in_flight().into());
    }
    answer(tx, doing, id, Some(index), full).await
}
