//! Gives a hold back.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use node_access::doc::{HoldPath, OpenChangeProblems};
use node_access::{Act, Action, Entity, OpenCall, Refused};

use crate::calendars::{at_index, booking};

/// Releasing a hold.
pub struct Release;

impl Act for Release {
    const ENTITY: Entity = Entity::Hold;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "hold.release";
}

/// Gives a hold of the caller's organisation back. One that is not there is given back already; one that was made an
/// appointment is refused: an appointment is cancelled at the patient's home.
#[utoipa::path(
    delete, path = "/v1/providers/{id}/holds/{hold}", operation_id = "release_hold", tag = "calendars",
    security(("bearer" = [])),
    params(HoldPath),
    responses(
        (status = 204, description = "The slot is free", headers(
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenChangeProblems
    )
)]
pub async fn release(call: OpenCall<Release>) -> Result<Response, Refused> {
    let (provider, handle) = (call.path("id")?, call.path("hold")?);
    let index = booking::release(&call.here, provider, handle, call.caller.org).await?;
    Ok(at_index(StatusCode::NO_CONTENT.into_response(), index))
}
