//! Moves an appointment to another time, or to another provider.
//!
//! The same three steps as a booking: the row says where to; the control plane holds the new time, and then frees the
//! old one and books the new one in one change; the row is where it was moved to. Until then it is where it was.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{
    AppointmentPath, IdempotencyHeader, MaybeIfMatchHeader, PhiRemovalProblems, PurposeHeader,
};
use node_access::etag::{IfMatch, MaybeIfMatch};
use node_access::idempotency::{Change, Doing, IdempotencyKey, Step};
use node_access::{Act, Action, Disclosable as _, Entity, LicenceState, LogIndex, PatientCall, Refused};
use node_console::calendars::booking::{self, When};
use residency_policy::{AppointmentId, BookingHandle, Problem, ProblemKind, ServiceJurisdiction};
use storage::bookings::Subject;
use storage::{Access, AccessAction, RegionTx};

use super::ENTITY;
use super::create::hold_used;
use super::view::{AppointmentView, Full, NewTimeBody};
use crate::appointments::carry::{self, Fate};
use crate::appointments::end::{self, Ending};
use crate::appointments::hand::Hand;
use crate::appointments::model::{Facts, Place, State};
use crate::appointments::work::store::LEASE_SECONDS;
use crate::appointments::{reading, store, work};
use crate::{nothing_found, refused};

/// Moving an appointment.
pub struct Reschedule;

impl Act for Reschedule {
    const ENTITY: Entity = Entity::Appointment;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "appointment.reschedule";
}

/// Where to, and what this request needs to begin.
struct Order<'a> {
    id: AppointmentId,
    if_match: Option<&'a IfMatch>,
    when: When,
}

/// How far it is after a transaction.
enum Begun {
    /// It was done before, and this is the answer.
    Answered(Response),
    /// It is booked and nobody works on it: the place that is wanted can be looked at.
    Booked(Facts),
    /// The row says where to, and its work is ours.
    Ours(Facts, Place, i64),
    /// Somebody began it and is gone. Its work is ours now.
    Left(Facts, Place, i64),
}

/// Moves an appointment. The time that it had is freed in the same change that books the new one: at no moment has the
/// patient both or neither.
#[utoipa::path(
    post, path = "/v1/patients/{id}/appointments/{appointment}/reschedule", operation_id = "reschedule_appointment",
    tag = "appointments",
    security(("bearer" = [])),
    params(AppointmentPath, PurposeHeader, IdempotencyHeader, MaybeIfMatchHeader),
    request_body(content = NewTimeBody, description = "The new time", content_type = "application/json"),
    responses(
        (status = 200, description = "It is moved", body = AppointmentView, headers(
            ("etag" = String, description = "The new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        PhiRemovalProblems
    )
)]
pub async fn reschedule(
    call: PatientCall<Reschedule>,
    MaybeIfMatch(if_match): MaybeIfMatch,
    key: IdempotencyKey,
    body: Json,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, if_match.as_ref(), Some(&body));
    // None of it says why anybody comes.
    let (open, rest) = body.split(&["provider", "start", "hold"]);
    rest.try_map(|rest| rest.only(&[]))?;
    let (provider, when) = reading::read_move(&open)?;
    let (hand, full) = (Hand::of_call(&call)?, call.call.full()?);
    let (here, org) = (&call.call.here, call.call.caller.org);
    let handle = match when {
        When::Held(handle) => handle,
        When::At(_) => BookingHandle::random(&*here.entropy),
    };
    let (id, held) = (call.call.path("appointment")?, matches!(when, When::Held(_)));
    let order = Order { id, if_match: if_match.as_ref(), when };
    let mut begun = Box::pin(call.transact(|tx| begin(&call, tx, &change, &order, None))).await?;
    loop {
        begun = match begun {
            Begun::Answered(response) => return Ok(response),
            Begun::Booked(facts) => {
                let provider = provider.unwrap_or(facts.place.provider);
                let slot = match booking::look(here, (provider, org), facts.service, when).await {
                    Ok(slot) => slot,
                    // Which provider, or where the patient will be: the refusal says something of the appointment.
                    Err(why) => {
                        let (id, patient) = (facts.id.uuid(), facts.patient);
                        let record = async |tx| {
                            Err(refused(tx, AccessAction::Update, ENTITY, id, patient, why.problem()).await)
                        };
                        return Box::pin(call.transact(record)).await;
                    }
                };
                let to = Place::new(provider, handle, slot);
                match Box::pin(call.transact(|tx| begin(&call, tx, &change, &order, Some(to)))).await? {
                    // It was changed in between, and is looked at no more than twice.
                    Begun::Booked(_) => return Err(in_flight().into()),
                    next => next,
                }
            }
            Begun::Ours(facts, to, fence) => {
                let fate = carry::take(here, org, facts.service, &to, held, Some(&facts.place)).await;
                return Box::pin(finish(&hand, &change, &facts, fence, fate, full)).await;
            }
            Begun::Left(facts, to, fence) => {
                match carry::resume(here, org, facts.service, &to, held, Some(&facts.place)).await {
                    // Undone. The same request may be sent again.
                    Fate::Nothing(_) if !held => {
                        end::end(&hand, facts.id, fence, Ending::Stayed).await?;
                        return Err(in_flight().into());
                    }
                    fate => return Box::pin(finish(&hand, &change, &facts, fence, fate, full)).await,
                }
            }
        };
    }
}

async fn begin(
    call: &PatientCall<Reschedule>,
    tx: RegionTx,
    change: &Change,
    order: &Order<'_>,
    to: Option<Place>,
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
    match there.state {
        // It was moved, and the answer was lost on the way.
        State::Booked if mine => answer(tx, doing, id, None, full).await.map(Begun::Answered),
        State::Booked => {
            if let Some(Err(why)) = order.if_match.map(|if_match| if_match.check(there.version)) {
                return Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await);
            }
            let Some(to) = to else {
                tx.rollback().await;
                return Ok(Begun::Booked(there));
            };
            start(tx, change, order, there, to).await
        }
        State::Moving(to) if mine => {
            let Some(fence) = work::store::take(&tx, id.uuid(), patient).await? else {
                tx.rollback().await;
                return Err(in_flight().into());
            };
            tx.commit(&[Access::to(AccessAction::Update, ENTITY, id.uuid(), patient)]).await?;
            Ok(Begun::Left(there, to, fence))
        }
        State::Pending | State::Moving(_) | State::Cancelling(_) | State::Cancelled(_) | State::Failed(_) => {
            let why = Problem::new(ProblemKind::IllegalTransition).detail("only a booked appointment is moved");
            Err(refused(tx, AccessAction::Update, ENTITY, id.uuid(), patient, why).await)
        }
    }
}

async fn start(
    tx: RegionTx,
    change: &Change,
    order: &Order<'_>,
    there: Facts,
    to: Place,
) -> Result<Begun, Refused> {
    let facts = Facts { state: State::Moving(to), request: change.request(), ..there };
    store::update(&tx, &facts, None).await?;
    if matches!(order.when, When::Held(_)) {
        store::use_hold(&tx, &facts, to.handle).await.map_err(hold_used)?;
    }
    let (id, patient) = (facts.id.uuid(), facts.patient);
    let fence = work::store::begin(&tx, id, patient, Subject::Appointment, to.handle, LEASE_SECONDS).await?;
    tx.commit(&[Access::to(AccessAction::Update, ENTITY, id, patient)]).await?;
    Ok(Begun::Ours(facts, to, fence))
}

async fn finish(
    hand: &Hand,
    change: &Change,
    facts: &Facts,
    fence: i64,
    fate: Fate,
    full: Full,
) -> Result<Response, Refused> {
    match fate {
        Fate::Booked(index) => {
            let done =
                Box::pin(hand.transact(|tx| finish_moved(hand, tx, change, facts.id, (fence, index), full)));
            match done.await {
                Err(why) => Err(end::end_unseen(hand, facts.id, fence, Ending::Moved, why).await),
                done => done,
            }
        }
        Fate::Nothing(why) => {
            let ended = end::end(hand, facts.id, fence, Ending::Stayed).await?;
            // Whoever has the work now may come to another end.
            Err(ended.map_or_else(|| in_flight().into(), |_| why.into()))
        }
        Fate::Unknown(why) => {
            end::leave(hand, facts.id, fence).await?;
            Err(why.into())
        }
    }
}

async fn finish_moved(
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
    if end::ended(&tx, hand, id, fence, Ending::Moved).await?.is_none() {
        tx.rollback().await;
        return Err(in_flight().into());
    }
    answer(tx, doing, id, Some(index), full).await
}

/// Shows the appointment, and stores the answer.
pub(super) async fn answer(
    tx: RegionTx,
    doing: Doing,
    id: AppointmentId,
    index: Option<LogIndex>,
    full: Full,
) -> Result<Response, Refused> {
    let patient = tx.patient().ok_or_else(|| Refused::internal("appointment.reschedule: no patient"))?;
    let Some(appointment) = store::by_id(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Update, ENTITY, id.uuid(), patient).await);
    };
    let tag = format!("\"{}\"", appointment.facts.version);
    let index = index.map(|index| index.0.to_string());
    let mut headers = vec![("etag", tag.as_str())];
    headers.extend(index.as_deref().map(|index| (residency_policy::wire::LOG_INDEX, index)));
    let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), patient);
    let view = AppointmentView::of(appointment, full);
    doing.commit(tx, &[access], StatusCode::OK, &headers, Some(view)).await
}

pub(super) fn in_flight() -> Problem {
    Problem::new(ProblemKind::IdempotencyInFlight).retry_after(1)
}
