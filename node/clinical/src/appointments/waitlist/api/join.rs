//! Puts a patient on the waiting list.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Json;
use node_access::doc::{IdempotencyHeader, PatientPath, PhiCreateProblems, PurposeHeader};
use node_access::idempotency::{Change, IdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use node_console::calendars::booking::NotDone;
use residency_control::calendar::{Ledger, Wanted};
use residency_policy::{BookingHandle, PatientId, Problem, ProblemKind, WaitlistId};
use storage::bookings::Subject;
use storage::{Access, AccessAction, Event, EventName, Phi, RegionTx};

use super::ENTITY;
use super::view::{NewWishBody, WishView};
use crate::appointments::waitlist::model::{Asked, State, Wish};
use crate::appointments::waitlist::store;
use crate::appointments::work;
use crate::{nothing_found, patients, refused};

/// The most wishes of one patient. Who joins twice at the same moment may have one more.
const WISHES_MAX: i64 = 20;

/// Joining the waiting list.
pub struct Join;

impl Act for Join {
    const ENTITY: Entity = Entity::Waitlist;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "waitlist.join";
}

/// Puts a patient on the waiting list, for one provider or for anybody of a specialty. When a slot gets free, it is
/// held for half an hour for whoever came first, and shown with their wish. The wish takes its place in the order as
/// soon as the control plane takes changes, which it need not do now.
#[utoipa::path(
    post, path = "/v1/patients/{id}/waitlist", operation_id = "join_waitlist", tag = "appointments",
    security(("bearer" = [])),
    params(PatientPath, PurposeHeader, IdempotencyHeader),
    request_body(content = NewWishBody, description = "What is wished for", content_type = "application/json"),
    responses((status = 201, description = "The patient waits", body = WishView), PhiCreateProblems)
)]
pub async fn join(call: PatientCall<Join>, key: IdempotencyKey, body: Json) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, Some(&body));
    // Who waits is in the path, and for what is no more PHI than an appointment's provider.
    let (open, rest) = body.split(&["provider", "specialty", "service_jurisdiction", "from", "to"]);
    rest.try_map(|rest| rest.only(&[]))?;
    let here = &call.call.here;
    let asked = Asked::read(&open, here.clock.now())?;
    call.permit()?;
    if let Wanted::Provider(provider) = asked.wanted {
        let known = here.directory.provider(provider).ok_or(NotDone::NotFound)?;
        if !known.orgs.contains(call.call.caller.org) {
            return Err(NotDone::OtherOrg.into());
        }
    }
    let (id, handle) = (WaitlistId::from(change.id()), BookingHandle::random(&*here.entropy));
    Box::pin(call.transact(|tx| apply(&call, tx, &change, id, handle, &asked))).await
}

async fn apply(
    call: &PatientCall<Join>,
    tx: RegionTx,
    change: &Change,
    id: WaitlistId,
    handle: BookingHandle,
    asked: &Asked,
) -> Result<Response, Refused> {
    let (patient, full) = (call.patient()?, call.call.full()?);
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok(answer),
        Step::Do(tx, doing) => (tx, doing),
    };
    if patients::store::token_by_id(&tx, patient).await?.is_none() {
        return Err(nothing_found(tx, AccessAction::Create, ENTITY, id.uuid(), patient).await);
    }
    if let Some(whose) = crowded(call, &tx, patient).await? {
        let why = Problem::new(ProblemKind::WaitlistFull).detail(whose);
        return Err(refused(tx, AccessAction::Create, ENTITY, id.uuid(), patient, why).await);
    }
    let now = tx.now();
    let wish = Wish {
        id,
        patient,
        state: State::Joining,
        handle,
        asked: *asked,
        made_by: call.call.caller.key,
        request: change.request(),
        created_at: now,
        updated_at: now,
        version: 1,
        purpose: Some(tx.scope().purpose),
    };
    store::insert(&tx, &wish).await?;
    work::store::begin(&tx, id.uuid(), patient, Subject::Wish, handle, 0.0).await?;
    tx.emit(&Event::new(EventName::WaitlistJoined, id.uuid())).await?;
    let access = Access::to(AccessAction::Create, ENTITY, id.uuid(), patient);
    let view = Phi::new(WishView::of(&wish, full));
    doing.commit(tx, &[access], StatusCode::CREATED, &[], Some(view)).await
}

/// Whose wishes are as many as they may be, if anybody's are. The control plane has the last word on an organisation's.
async fn crowded(
    call: &PatientCall<Join>,
    tx: &RegionTx,
    patient: PatientId,
) -> Result<Option<&'static str>, Refused> {
    let (_, ledger) = call.call.here.directory.ledger();
    if ledger.waiters(call.call.caller.org) >= Ledger::WAITING_MAX {
        return Ok(Some("this organisation's waiting list holds as many wishes as it may"));
    }
    let live = store::live(tx, patient).await?;
    Ok((live >= WISHES_MAX).then_some("this patient has as many wishes as they may"))
}
