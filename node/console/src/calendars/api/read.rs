//! Shows a provider's calendar.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use node_access::change::CONSISTENCY;
use node_access::doc::{ConsistencyParameter, OpenProblems, ProviderPath};
use node_access::{Act, Action, Entity, OpenCall, Refused, etag};

use crate::calendars::view::CalendarBody;
use crate::calendars::{at_index, booking};

/// Reading a calendar.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::Calendar;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "calendar.read";
    const PARAMETERS: &'static [&'static str] = &[CONSISTENCY];
}

/// Shows the calendar of a provider who works for the caller's organisation.
#[utoipa::path(
    get, path = "/v1/providers/{id}/calendar", operation_id = "read_calendar", tag = "calendars",
    security(("bearer" = [])),
    params(ProviderPath, ConsistencyParameter),
    responses(
        (status = 200, description = "The calendar", body = CalendarBody, headers(
            ("etag" = String, description = "The version"),
            ("x-log-index" = u64, description = "How much of the replicated log it rests on")
        )),
        OpenProblems
    )
)]
pub async fn read(call: OpenCall<Read>) -> Result<Response, Refused> {
    let provider = call.path("id")?;
    let index = call.read_point().await?;
    let (_, book) = booking::book_of(&call.here, provider, call.caller.org)?;
    let tag = etag::of(book.calendar().version);
    let response = ([(ETAG, tag)], Json(CalendarBody::from(book.calendar()))).into_response();
    Ok(at_index(response, index))
}
