//! Calendars of providers: hours, free slots, holds. Nothing here is PHI: a hold is a random handle, and who comes and
//! why is known at the patient's home alone.

pub mod api;
pub mod booking;
mod hours;
mod not_done;
pub mod view;
pub mod when;
pub(crate) mod window;

use axum::response::Response;
use http::{HeaderName, HeaderValue};
use node_access::{Here, LogIndex};
use residency_policy::wire;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::read::read, api::put::put))
        .routes(routes!(api::slots::slots))
        .routes(routes!(api::hold::hold))
        .routes(routes!(api::read_hold::read_hold, api::release::release))
}

/// Says where in the replicated log an answer stands.
pub(crate) fn at_index(mut response: Response, index: LogIndex) -> Response {
    response.headers_mut().insert(HeaderName::from_static(wire::LOG_INDEX), HeaderValue::from(index.0));
    response
}
