//! Lists the devices of an organisation's people.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems};
use node_access::parameters::bad;
use node_access::{Act, Action, Entity, OpenCall, Refused, change};
use residency_policy::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DeviceBody, USER};
use crate::api::{at, own_organisation};

/// The most devices that one answer shows.
const SHOWN_MAX: usize = 500;

/// Listing devices.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::SignInDevice;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "sign_in_device.list";
    const PARAMETERS: &'static [&'static str] = &[USER, change::CONSISTENCY];
}

/// Devices.
#[derive(Serialize, ToSchema)]
#[schema(as = DeviceList)]
#[serde(deny_unknown_fields)]
pub struct DeviceList {
    /// The devices, those that wait to be admitted first.
    #[schema(max_items = 500)]
    pub data: Vec<DeviceBody>,
}

/// Lists the devices on which people of the caller's own organisation showed what signs them in: one user's, or the first 500
/// of all, those that wait to be admitted first. One that several people share is there once for each of them.
#[utoipa::path(
    get, path = "/v1/orgs/{id}/devices", operation_id = "read_devices", tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("user" = Option<String>, Query, description = "Whose; everybody's if left out.", format = Uuid),
        ConsistencyParameter
    ),
    responses((status = 200, description = "The devices", body = DeviceList), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    let whose: Option<UserId> = match call.parameters.get(USER) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| bad(USER, "format", "is an id"))?),
    };
    let index = call.read_point().await?;
    let signins = call.here.directory.signins();
    let mut held: Vec<_> =
        signins.devices_at(org).filter(|one| whose.is_none_or(|user| one.user == user)).collect();
    held.sort_by_key(|one| (one.admitted, std::cmp::Reverse(one.seen), one.id));
    let data = held.into_iter().take(SHOWN_MAX).map(DeviceBody::of).collect();
    Ok(at(Json(DeviceList { data }).into_response(), index.0))
}
