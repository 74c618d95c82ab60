//! What an organisation asks of everybody who signs in there, and of its keys, for its administrators.

pub mod replace;
pub mod show;

use residency_control::signin::SignInSettings;
use serde::Serialize;
use utoipa::ToSchema;

/// An organisation's settings of signing in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignInSettings)]
#[serde(deny_unknown_fields)]
pub struct SettingsBody {
    /// Whether a session that was begun with one factor may do nothing but enrol a second one.
    pub second_factor_required: bool,
    /// Whether people may sign in only with devices that were admitted: those on which they showed a second factor before this was
    /// asked for, and those that an administrator admitted since.
    pub known_devices_only: bool,
    /// From where people may sign in, and sessions and API keys be used: networks of IPv4 or IPv6, or single addresses.
    /// Everywhere, if there is none.
    #[schema(max_items = 64, example = json!(["203.0.113.0/24", "2001:db8:7::/48"]))]
    pub addresses: Vec<String>,
}

impl SettingsBody {
    fn of(settings: &SignInSettings) -> Self {
        Self {
            second_factor_required: settings.second_factor_required,
            known_devices_only: settings.known_devices_only,
            addresses: settings.networks.as_slice().iter().map(ToString::to_string).collect(),
        }
    }
}
