//! How what was on its way ends here: in one transaction with the end of its work, or not at all.

use node_access::Refused;
use residency_policy::{AppointmentId, ProblemKind};
use storage::bookings::Subject;
use storage::{Access, AccessAction, AccessOutcome, Event, EventName, RegionTx};

use super::api::ENTITY;
use super::hand::Hand;
use super::model::{CancelCode, Facts, Failure, State};
use super::{store, work};
use crate::consents;

/// The request of nobody: what was undone was asked for by no request that may be answered with it.
const NO_REQUEST: [u8; 32] = [0; 32];

/// How something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The time is booked.
    Booked,
    /// It was not to be had.
    Failed(Failure),
    /// It was moved.
    Moved,
    /// It was not moved: the time that it had is still its own.
    Stayed,
    /// It is cancelled.
    Cancelled,
    /// It is not cancelled.
    NotCancelled,
}

/// Ends it, if the work is still ours. `None` if somebody else has it by now.
pub(crate) async fn end(
    hand: &Hand,
    id: AppointmentId,
    fence: i64,
    ending: Ending,
) -> Result<Option<Facts>, Refused> {
    hand.transact(|tx| async move {
        let Some(after) = ended(&tx, hand, id, fence, ending).await? else {
            tx.rollback().await;
            return Ok(None);
        };
        let outcome = match ending {
            Ending::Booked | Ending::Moved | Ending::Cancelled => AccessOutcome::Done,
            Ending::Failed(_) | Ending::Stayed | Ending::NotCancelled => AccessOutcome::Refused,
        };
        let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), hand.patient).ended(outcome);
        tx.commit(&[access]).await?;
        Ok(Some(after))
    })
    .await
}

/// Ends what was done in the control plane and may not be shown to whoever asked for it: the patient took back their
/// consent meanwhile. If that was the one which the visit rests on, it is as if nobody had asked: a time that was taken is
/// given back.
pub(crate) async fn end_unseen(
    hand: &Hand,
    id: AppointmentId,
    fence: i64,
    ending: Ending,
    why: Refused,
) -> Refused {
    if why.problem().kind() != ProblemKind::Forbidden {
        return why;
    }
    // What does not come through here is the work of whoever comes next, and ends in the same way.
    end(&hand.unjudged(), id, fence, ending).await.err().unwrap_or(why)
}

/// Writes the ending into a transaction that somebody else commits. `None` if the work is not ours any more.
pub(crate) async fn ended(
    tx: &RegionTx,
    hand: &Hand,
    id: AppointmentId,
    fence: i64,
    ending: Ending,
) -> Result<Option<Facts>, Refused> {
    let booked = matches!(ending, Ending::Booked | Ending::Moved);
    let Some((before, removed)) = store::lock_and_end_work(tx, hand.patient, id, fence, booked).await? else {
        return Ok(None);
    };
    let (state, place, event) = match (before.state, ending) {
        (State::Pending, Ending::Booked) => (State::Booked, before.place, Some(EventName::AppointmentBooked)),
        (State::Pending, Ending::Failed(failure)) => (State::Failed(failure), before.place, None),
        (State::Moving(to), Ending::Moved) => (State::Booked, to, Some(EventName::AppointmentMoved)),
        (State::Cancelling(code), Ending::Cancelled) => {
            (State::Cancelled(code), before.place, Some(EventName::AppointmentCancelled))
        }
        (State::Moving(_), Ending::Stayed) | (State::Cancelling(_), Ending::NotCancelled) => {
            (State::Booked, before.place, None)
        }
        // The work is ours, and the row is not as the work says.
        _ => return Err(Refused::internal("appointments.end: a row that its work does not fit")),
    };
    // Whoever holds it may use it again.
    match (before.state, ending) {
        (State::Pending, Ending::Failed(_))
        | (State::Cancelling(_), Ending::Cancelled)
        | (State::Moving(_), Ending::Moved) => {
            store::forget_hold(tx, &before, before.place.handle).await?;
        }
        (State::Moving(to), Ending::Stayed) => store::forget_hold(tx, &before, to.handle).await?,
        _ => {}
    }
    let undone = matches!(ending, Ending::Stayed | Ending::NotCancelled);
    let request = if undone { NO_REQUEST } else { before.request };
    // Whoever was removed from view meanwhile, or took back their consent to what the visit was made for, keeps no time:
    // what it came to is cancelled by whoever comes next. Another consent, such as that to what it is moved for, ends only
    // the look of whoever asked: the time that the visit had is free by then, and it stays at its new one. A caller whose
    // own transaction this is was asked about the consent in it.
    let withdrawn =
        booked && hand.is_unjudged() && consents::store::withdrawn(tx, hand.patient, before.purpose).await?;
    let state = match (state, before.state) {
        (State::Booked, State::Cancelling(code)) if removed => State::Cancelling(code),
        (State::Booked, _) if removed => State::Cancelling(CancelCode::PatientRemoved),
        (State::Booked, _) if withdrawn => State::Cancelling(CancelCode::PatientRequest),
        (state, _) => state,
    };
    let after = Facts { state, place, request, ..before };
    store::update(tx, &after, None).await?;
    if matches!(state, State::Cancelling(_)) {
        let (patient, subject) = (before.patient, Subject::Appointment);
        work::store::begin(tx, id.uuid(), patient, subject, place.handle, 0.0).await?;
    }
    if let Some(event) = event {
        tx.emit(&Event::new(event, id.uuid())).await?;
    }
    Ok(Some(Facts { version: after.version + 1, updated_at: tx.now(), ..after }))
}

/// Leaves the work to whoever comes next, at once.
pub(crate) async fn leave(hand: &Hand, id: AppointmentId, fence: i64) -> Result<(), Refused> {
    hand.transact(|tx| async move {
        work::store::postpone(&tx, id.uuid(), hand.patient, fence, 0.0).await?;
        let access = Access::to(AccessAction::Update, ENTITY, id.uuid(), hand.patient);
        tx.commit(&[access.ended(AccessOutcome::Refused)]).await?;
        Ok(())
    })
    .await
}
