//! Forgets a device.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::OpenChangeProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Command;
use residency_control::signin::SignInChange;

use super::{USER, own_device};
use crate::api::at;

/// Forgetting a device.
pub struct Remove;

impl Act for Remove {
    const ENTITY: Entity = Entity::SignInDevice;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "sign_in_device.remove";
    const PARAMETERS: &'static [&'static str] = &[USER];
}

/// Forgets a device of the caller's own organisation: one that was lost, or that nobody is to use. All sessions of its holder
/// end.
#[utoipa::path(
    delete, path = "/v1/orgs/{id}/devices/{device}", operation_id = "remove_device", tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("device" = String, Path, description = "The device.", format = Uuid),
        ("user" = String, Query, description = "Whose it is: several people may share one.", format = Uuid)
    ),
    responses(
        (status = 204, description = "It is not known any more",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn remove(call: OpenCall<Remove>, _: Nothing) -> Result<Response, Refused> {
    call.catch_up().await?;
    let device = own_device(&call)?;
    let change = SignInChange::RemoveDevice { org: device.org, user: device.user, id: device.id };
    let index = call.propose(Command::SignIn(change)).await?;
    Ok(at(StatusCode::NO_CONTENT.into_response(), index.0))
}
