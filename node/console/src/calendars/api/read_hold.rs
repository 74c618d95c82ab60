//! Shows a hold.

use axum::Json;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use node_access::change::CONSISTENCY;
use node_access::doc::{ConsistencyParameter, HoldPath, OpenProblems};
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::calendar::{EntryState, OverrideReason};

use crate::calendars::at_index;
use crate::calendars::booking::NotDone;
use crate::calendars::view::HoldBody;

/// Reading a hold.
pub struct ReadHold;

impl Act for ReadHold {
    const ENTITY: Entity = Entity::Hold;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "hold.read";
    const PARAMETERS: &'static [&'static str] = &[CONSISTENCY];
}

/// Shows a hold of the caller's organisation. One whose time is over is not there any more.
#[utoipa::path(
    get, path = "/v1/providers/{id}/holds/{hold}", operation_id = "read_hold", tag = "calendars",
    security(("bearer" = [])),
    params(HoldPath, ConsistencyParameter),
    responses(
        (status = 200, description = "The hold", body = HoldBody, headers(
            ("x-log-index" = u64, description = "How much of the replicated log it rests on")
        )),
        OpenProblems
    )
)]
pub async fn read_hold(call: OpenCall<ReadHold>) -> Result<Response, Refused> {
    let (provider, handle) = (call.path("id")?, call.path("hold")?);
    let index = call.read_point().await?;
    let there = call.here.directory.ledger().1.book(provider).and_then(|book| book.find(handle));
    let now = call.here.clock.now().as_second();
    let mine = there.filter(|(_, entry)| entry.org == call.caller.org && entry.is_live(now));
    let (start, entry) = mine.ok_or(NotDone::NoHold)?;
    let (status, expires_at) = match entry.state {
        EntryState::Held { until } => ("held", Timestamp::from_second(until).ok()),
        EntryState::Booked => ("booked", None),
    };
    let body = HoldBody {
        handle,
        status,
        start: start.timestamp(),
        end: entry.end.timestamp(),
        expires_at,
        override_reason: entry.over_capacity.map(OverrideReason::as_str),
    };
    Ok(at_index(Json(body).into_response(), index))
}
