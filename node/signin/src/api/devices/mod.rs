//! The devices of an organisation's people, for its administrators.

pub mod admit;
pub mod list;
pub mod remove;

use jiff::Timestamp;
use node_access::parameters::bad;
use node_access::problem::not_found;
use node_access::{Act, OpenCall};
use residency_control::signin::Device;
use residency_policy::{DeviceId, OrgId, Problem, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::own_organisation;

/// Whose devices.
const USER: &str = "user";

/// A device that somebody showed on what signs them in.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
#[serde(deny_unknown_fields)]
pub struct DeviceBody {
    /// Its id.
    #[schema(format = Uuid)]
    pub id: String,
    /// Whose.
    #[schema(format = Uuid)]
    pub user: String,
    /// Whether its holder may sign in with it where only known devices may.
    pub admitted: bool,
    /// When it was last seen, to the day.
    #[schema(format = DateTime)]
    pub seen_at: String,
}

impl DeviceBody {
    fn of(device: &Device) -> Self {
        Self {
            id: device.id.to_string(),
            user: device.user.to_string(),
            admitted: device.admitted,
            // A second after the epoch that a node wrote is one that a clock showed.
            seen_at: Timestamp::from_second(device.seen).unwrap_or_default().to_string(),
        }
    }
}

/// The device in the path, of the user in the query and the caller's own organisation. Another's is as unknown as none. Its id
/// alone would not do: several people may share a browser, which keeps one cookie.
fn own_device<A: Act>(call: &OpenCall<A>) -> Result<Device, Problem> {
    let org: OrgId = own_organisation(call)?;
    let id: DeviceId = call.path("device")?;
    let user = call.parameters.required(USER)?;
    let user: UserId = user.parse().map_err(|_| bad(USER, "format", "is an id"))?;
    let signins = call.here.directory.signins();
    signins.device(org, user, id).copied().ok_or_else(not_found)
}
