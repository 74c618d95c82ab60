//! Puts a provider's calendar.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::ETAG;
use node_access::body::PublicJson;
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems, ProviderPath};
use node_access::etag::{self, IfMatch};
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::calendar::{Calendar, CalendarChange};
use residency_policy::{Problem, ProblemKind};

use crate::calendars::booking::{self, NotDone};
use crate::calendars::view::{CalendarBody, NewCalendarBody};
use crate::calendars::{at_index, hours};

/// Putting a calendar.
pub struct Put;

impl Act for Put {
    const ENTITY: Entity = Entity::Calendar;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "calendar.put";
}

/// Puts the calendar of a provider who works for the caller's organisation. The first one is put with `If-Match: "0"`; from
/// then on it is kept by the first of the organisations that they work for.
/// What is held or booked stays, whatever the new hours are.
#[utoipa::path(
    put, path = "/v1/providers/{id}/calendar", operation_id = "put_calendar", tag = "calendars",
    security(("bearer" = [])),
    params(ProviderPath, IfMatchHeader),
    request_body(content = NewCalendarBody, description = "The calendar", content_type = "application/json"),
    responses(
        (status = 200, description = "The calendar is as it was put", body = CalendarBody, headers(
            ("etag" = String, description = "The new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn put(call: OpenCall<Put>, if_match: IfMatch, body: PublicJson) -> Result<Response, Refused> {
    let provider = call.path("id")?;
    let calendar = hours::read(&body.0, provider)?;
    call.catch_up().await?;
    let expected = match booking::book_of(&call.here, provider, call.caller.org) {
        Ok((known, book)) if known.keeper() == Some(call.caller.org) => book.calendar().version,
        Ok(_) => {
            let detail = "the calendar is kept by the first of the organisations that they work for";
            return Err(Problem::new(ProblemKind::Forbidden).detail(detail).into());
        }
        // A provider of this organisation who has no calendar yet.
        Err(NotDone::NotFound) if call.here.directory.provider(provider).is_some() => 0,
        Err(why) => return Err(why.into()),
    };
    if_match.check(expected)?;
    let change = CalendarChange::Put { calendar: calendar.clone(), expected };
    let index = booking::propose(&call.here, change).await.map_err(changed)?;
    let calendar = Calendar { version: expected + 1, ..calendar };
    let tag = etag::of(calendar.version);
    let response = (StatusCode::OK, [(ETAG, tag)], Json(CalendarBody::from(&calendar))).into_response();
    Ok(at_index(response, index))
}

fn changed(why: NotDone) -> Refused {
    match why {
        NotDone::Changing => {
            Problem::new(ProblemKind::PreconditionFailed).detail("read it again and repeat the change").into()
        }
        other => other.into(),
    }
}
