//! Admits a device.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::OpenChangeProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Command;
use residency_control::signin::SignInChange;

use super::{USER, own_device};
use crate::api::at;

/// Admitting a device.
pub struct Admit;

impl Act for Admit {
    const ENTITY: Entity = Entity::SignInDevice;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "sign_in_device.admit";
    const PARAMETERS: &'static [&'static str] = &[USER];
}

/// Lets one holder of a device of the caller's own organisation sign in with it, where only known devices may. It takes a second factor that
/// was shown within the hour.
#[utoipa::path(
    put, path = "/v1/orgs/{id}/devices/{device}/admission", operation_id = "admit_device", tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("device" = String, Path, description = "The device.", format = Uuid),
        ("user" = String, Query, description = "Whose it is: several people may share one.", format = Uuid)
    ),
    responses(
        (status = 204, description = "It may be signed in with",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn admit(call: OpenCall<Admit>, _: Nothing) -> Result<Response, Refused> {
    call.catch_up().await?;
    let device = own_device(&call)?;
    let change = SignInChange::AdmitDevice { org: device.org, user: device.user, id: device.id };
    let index = call.propose(Command::SignIn(change)).await?;
    Ok(at(StatusCode::NO_CONTENT.into_response(), index.0))
}
