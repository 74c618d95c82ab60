//! Books an appointment.
//!
//! Three steps, each of which the next can find again: a row here that says what is wanted under a fresh handle; the
//! slot held and then booked under that handle in the control plane; the row booked and the answer stored. A crash
//! between any two leaves a row and its piece of work, and `reconcile` finishes or undoes it. The same request again
//! finds its own row by an id that follows from its idempotency key.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{IdempotencyHeader, PatientPath, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, Doing, IdempotencyKey, Step};
use node_access::{Act, Action, Disclosable as _, Entity, LogIndex, PatientCall, Refused};
use node_console::calendars::booking::{self, NotDone, When};
use residency_control::calendar::Slot;
use residency_policy::{AppointmentId, BookingHandle, Problem, ProblemKind};
use storage::bookings::Subject;
use storage::{Access, AccessAction, Phi, RegionTx};

use super::ENTITY;
use super::view::{AppointmentView, Full, NewAppointmentBody};
use crate::appointments::carry::{self, Fate};
use crate::appointments::end::{self, Ending};
use crate::appointments::hand::Hand;
use crate::appointments::model::{Facts, Failure, Place, State};
use crate::appointments::reading::{self, Asked};
use crate::appointments::store::{self, Under};
use crate::appointments::work::{self, store::LEASE_SECONDS};
use crate::encounters::model::ClinicalText;
use crate::{nothing_found, refused};

/// Booking an appointment.
pub struct Create;

impl Act for Create {
    const ENTITY: Entity = Entity::Appointment;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "appointment.create";
}

/// What is asked for, and what this request is known by.
struct Order {
    id: AppointmentId,
    handle: BookingHandle,
    asked: Asked,
    reason: Phi<Option<ClinicalText>>,
    looked: Result<Slot, NotDone>,
}

/// How far it is after the first transaction.
enum Begun {
    /// It was done before, and this is the answer.
    Answered(Response),
    /// The row is there, and its work is ours.
    Ours(Facts, i64),
    /// Somebody began it and is gone. Its work is ours now.
    Left(Facts, i64),
}

/// Books an appointment of a patient, by when it begins or by a hold that was taken before. The answer comes when the
/// slot is booked and the record is durable at the patient's home.
#[utoipa::path(
    post, path = "/v1/patients/{id}/appointments", operation_id = "book_appointment", tag = "appointments",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewAppointmentBody, description = "The appointment", content_type = "application/json"),
    responses(
        (status = 201, description = "It is booked", body = AppointmentView, headers(
            ("location" = String, description = "Where the appointment is shown"),
            ("etag" = String, description = "The version"),
            ("x-log-index" = u64, description = "The booking's place in the replicated log")
        )),
        PhiCreateProblems
    )
)]
pub async fn create(call: PatientCall<Create>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, Some(&body));
    let (open, guarded) = body.split(Asked::FIELDS);
    let (asked, reason) = reading::read(&open, guarded)?;
    let (hand, full) = (Hand::of_call(&call)?, call.call.full()?);
    let here = &call.call.here;
    let org = call.call.caller.org;
    // Nothing is asked of the control plane for somebody who is not served here.
    call.permit()?;
    let (mut undone, held) = (false, matches!(asked.when, When::Held(_)));
    loop {
        let looked = booking::look(here, (asked.provider, org), asked.service, asked.when).await;
        let handle = match asked.when {
            When::Held(handle) => handle,
            When::At(_) => BookingHandle::random(&*here.entropy),
        };
        let id = AppointmentId::from(change.id());
        let order = Order { id, handle, asked, reason: reason.clone(), looked };
        match Box::pin(call.transact(|tx| begin(&call, tx, &change, &order))).await? {
            Begun::Answered(response) => return Ok(response),
            Begun::Ours(facts, fence) => {
                let fate = carry::take(here, org, facts.service, &facts.place, held, None).await;
                return Box::pin(finish(&hand, &change, &facts, fence, fate, full)).await;
            }
            Begun::Left(facts, fence) => {
                match carry::resume(here, org, facts.service, &facts.place, held, None).await {
                    // Undone, and tried once more from the beginning.
                    Fate::Nothing(_) if !held => {
                        end::end(&hand, facts.id, fence, Ending::Failed(Failure::Interrupted)).await?;
                        if undone {
                            return Err(in_flight().into());
                        }
                        undone = true;
                    }
                    fate => return Box::pin(finish(&hand, &change, &facts, fence, fate, full)).await,
                }
            }
        }
    }
}

async fn begin(
    call: &PatientCall<Create>,
    tx: RegionTx,
    change: &Change,
    order: &Order,
) -> Result<Begun, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(Begun::Answered(answer)),
        Step::Do(tx, doing) => (tx, doing),
    };
    let there = match store::under(&tx, patient, order.id).await? {
        Under::NoPatient => {
            return Err(nothing_found(tx, AccessAction::Create, ENTITY, order.id.uuid(), patient).await);
        }
        Under::Nothing => return start(call, tx, change, order, None).await,
        Under::There(facts) => *facts,
    };
    // By what made it: others may have finished it, and somebody may have changed it since.
    let refuse =
        async |tx, why: Problem| refused(tx, AccessAction::Create, ENTITY, order.id.uuid(), patient, why).await;
    if there.made != change.request() {
        return Err(refuse(tx, Problem::new(ProblemKind::IdempotencyReused)).await);
    }
    match there.state {
        State::Failed(failure) => match failure.lasts(matches!(order.asked.when, When::Held(_))) {
            None => start(call, tx, change, order, Some(there)).await,
            Some(kind) => Err(refuse(tx, Problem::new(kind)).await),
        },
        State::Pending => {
            let Some(fence) = work::store::take(&tx, there.id.uuid(), patient).await? else {
                tx.rollback().await;
                return Err(in_flight().into());
            };
            tx.commit(&[Access::to(AccessAction::Update, ENTITY, there.id.uuid(), patient)]).await?;
            Ok(Begun::Left(there, fence))
        }
        // It was booked, and the answer was lost on the way: this is what is there by now.
        State::Booked | State::Moving(_) | State::Cancelling(_) | State::Cancelled(_) => {
            answer(tx, doing, there.id, None, full).await.map(Begun::Answered)
        }
    }
}

/// Makes the row and its work, or makes an earlier one that came to nothing pending again.
async fn start(
    call: &PatientCall<Create>,
    tx: RegionTx,
    change: &Change,
    order: &Order,
    there: Option<Facts>,
) -> Result<Begun, Refused> {
    let slot = match order.looked {
        Ok(slot) => slot,
        // That there is such a patient is told by any other answer than 404.
        Err(why) => {
            let (id, patient) = (order.id.uuid(), call.patient()?);
            return Err(refused(tx, AccessAction::Create, ENTITY, id, patient, why.problem()).await);
        }
    };
    let Asked { provider, service, kind, when } = order.asked;
    let (patient, now) = (call.patient()?, tx.now());
    let facts = Facts {
        id: order.id,
        patient,
        state: State::Pending,
        place: Place::new(provider, order.handle, slot),
        service,
        kind,
        made_by: call.call.caller.key,
        made: change.request(),
        request: change.request(),
        created_at: now,
        updated_at: now,
        version: there.map_or(1, |there| there.version),
        purpose: Some(tx.scope().purpose),
    };
    let (id, handle, appointment) = (facts.id.uuid(), order.handle, Subject::Appointment);
    match there {
        None => store::insert(&tx, &facts, &order.reason).await?,
        Some(_) => store::update(&tx, &facts, None).await?,
    }
    if matches!(when, When::Held(_)) {
        store::use_hold(&tx, &facts, handle).await.map_err(hold_used)?;
    }
    let fence = match there {
        None => work::store::begin_first(&tx, id, patient, appointment, handle).await?,
        Some(_) => work::store::begin(&tx, id, patient, appointment, handle, LEASE_SECONDS).await?,
    };
    let access = Access::to(AccessAction::Create, ENTITY, facts.id.uuid(), patient).at(facts.service);
    tx.commit(&[access]).await?;
    Ok(Begun::Ours(facts, fence))
}

/// Writes what came of it. What nobody knows is left to whoever comes next, at once.
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
                Box::pin(hand.transact(|tx| finish_booked(hand, tx, change, facts, (fence, index), full)));
            match done.await {
                Err(why) => Err(end::end_unseen(hand, facts.id, fence, Ending::Booked, why).await),
                done => done,
            }
        }
        Fate::Nothing(why) => {
            let ended = end::end(hand, facts.id, fence, Ending::Failed(Failure::of(&why))).await?;
            // Whoever has the work now may come to another end.
            Err(ended.map_or_else(|| in_flight().into(), |_| why.into()))
        }
        Fate::Unknown(why) => {
            end::leave(hand, facts.id, fence).await?;
            Err(why.into())
        }
    }
}

async fn finish_booked(
    hand: &Hand,
    tx: RegionTx,
    change: &Change,
    facts: &Facts,
    (fence, index): (i64, LogIndex),
    full: Full,
) -> Result<Response, Refused> {
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    if end::ended(&tx, hand, facts.id, fence, Ending::Booked).await?.is_none() {
        // It took longer than the work was ours: whoever has it now finds the same.
        tx.rollback().await;
        return Err(in_flight().into());
    }
    answer(tx, doing, facts.id, Some(index), full).await
}

/// Shows the appointment, and stores the answer.
async fn answer(
    tx: RegionTx,
    doing: Doing,
    id: AppointmentId,
    index: Option<LogIndex>,
    full: Full,
) -> Result<Response, Refused> {
    let patient = tx.patient().ok_or_else(|| Refused::internal("appointment.create: no patient"))?;
    let Some(appointment) = store::by_id(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Create, ENTITY, id.uuid(), patient).await);
    };
    let location = format!("/v1/patients/{patient}/appointments/{id}");
    let tag = format!("\"{}\"", appointment.facts.version);
    let index = index.map(|index| index.0.to_string());
    let mut headers = vec![("location", location.as_str()), ("etag", tag.as_str())];
    headers.extend(index.as_deref().map(|index| (residency_policy::wire::LOG_INDEX, index)));
    let access = Access::to(AccessAction::Create, ENTITY, id.uuid(), patient);
    let view = AppointmentView::of(appointment, full);
    doing.commit(tx, &[access], StatusCode::CREATED, &headers, Some(view)).await
}

fn in_flight() -> Problem {
    Problem::new(ProblemKind::IdempotencyInFlight).retry_after(1)
}

/// Two appointments may not rest on one hold.
pub(super) fn hold_used(error: storage::Error) -> Refused {
    match error {
        storage::Error::Exists { constraint } if constraint == store::ONE_HOLD => {
            Problem::new(ProblemKind::HoldUsed).into()
        }
        other => other.into(),
    }
}
