//! Takes a wish back.

use axum::response::Response;
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::{MaybeIdempotencyHeader, PhiRemovalProblems, PurposeHeader, WaitlistPath};
use node_access::idempotency::{Change, MaybeIdempotencyKey, Step};
use node_access::{Act, Action, Entity, PatientCall, Refused};
use node_console::calendars::booking;
use residency_policy::{Problem, ProblemKind, WaitlistId};
use storage::bookings::Subject;
use storage::{Access, AccessAction, RegionTx};

use super::ENTITY;
use crate::appointments::waitlist::model::{Offer, Outcome, State, Wish};
use crate::appointments::waitlist::store;
use crate::appointments::work;
use crate::{nothing_found, refused};

/// Taking a wish back.
pub struct Remove;

impl Act for Remove {
    const ENTITY: Entity = Entity::Waitlist;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "waitlist.remove";
}

/// Takes a wish back. What was held for it is free again.
#[utoipa::path(
    delete, path = "/v1/patients/{id}/waitlist/{wish}", operation_id = "leave_waitlist", tag = "appointments",
    security(("bearer" = [])),
    params(WaitlistPath, PurposeHeader, MaybeIdempotencyHeader),
    responses((status = 204, description = "The patient waits no more"), PhiRemovalProblems)
)]
pub async fn remove(
    call: PatientCall<Remove>,
    key: MaybeIdempotencyKey,
    _: Nothing,
) -> Result<Response, Refused> {
    let change = Change::new(&call.call, key, None, None);
    let id = call.call.path("wish")?;
    let (response, offer) = Box::pin(call.transact(|tx| apply(&call, tx, &change, id))).await?;
    if let Some(Offer { place, .. }) = offer {
        let (here, org) = (&call.call.here, call.call.caller.org);
        // It lapses by itself if this does not come through.
        let _ = booking::release(here, place.provider, place.handle, org).await;
    }
    Ok(response)
}

async fn apply(
    call: &PatientCall<Remove>,
    tx: RegionTx,
    change: &Change,
    id: WaitlistId,
) -> Result<(Response, Option<Offer>), Refused> {
    let patient = call.patient()?;
    let (tx, doing) = match change.begin(tx, ENTITY).await? {
        Step::Done(answer) => return Ok((answer, None)),
        Step::Do(tx, doing) => (tx, doing),
    };
    let Some(there) = store::lock(&tx, patient, id).await? else {
        return Err(nothing_found(tx, AccessAction::Delete, ENTITY, id.uuid(), patient).await);
    };
    let offer = there.state.offer().copied();
    match there.state {
        State::Joining | State::Waiting | State::Offering(_) | State::Offered(_) => {
            let next = Wish { state: State::Leaving(Outcome::Removed), ..there };
            store::update(&tx, &next).await?;
            // Whoever works on it loses it.
            work::store::begin(&tx, id.uuid(), patient, Subject::Wish, next.handle, 0.0).await?;
        }
        State::Leaving(Outcome::Removed) | State::Ended(Outcome::Removed) => {}
        State::Leaving(_) | State::Ended(_) => {
            let why = Problem::new(ProblemKind::IllegalTransition).detail("the wish has ended");
            return Err(refused(tx, AccessAction::Delete, ENTITY, id.uuid(), patient, why).await);
        }
    }
    let access = Access::to(AccessAction::Delete, ENTITY, id.uuid(), patient);
    let response = doing.commit::<()>(tx, &[access], StatusCode::NO_CONTENT, &[], None).await?;
    Ok((response, offer))
}
