//! What an organisation asks of everybody who signs in there, and of its keys.

use std::net::IpAddr;

use residency_policy::OrgId;
use serde::{Deserialize, Serialize};

use super::networks::Networks;
use crate::command::{Refusal, must_be_replicated, record};
use crate::machine::State;

record! {
    /// An organisation's settings of signing in. One that has none asks for nothing.
    #[derive(Debug)]
    pub struct SignInSettings {
        /// Whose.
        pub org: OrgId,
        /// 1 when they were first set, and one more with every change. The state counts.
        pub version: u64,
        /// Whether a session of one factor may do nothing but enrol a second one.
        pub second_factor_required: bool,
        /// Whether people may sign in only with devices that were admitted.
        pub known_devices_only: bool,
        /// From where people may sign in, and sessions and keys be used.
        pub networks: Networks,
    }
}

impl SignInSettings {
    /// What holds for an organisation that has set nothing.
    pub fn unset(org: OrgId) -> Self {
        Self {
            org,
            version: 0,
            second_factor_required: false,
            known_devices_only: false,
            networks: Networks::default(),
        }
    }

    /// Whether who comes from there may come.
    pub fn admit(&self, from: Option<IpAddr>) -> bool {
        self.networks.admit(from)
    }
}

/// Replaces the settings that were read at this version; 0 is that of none.
pub(super) fn put(state: &mut State, settings: SignInSettings, expected: u64) -> Result<(), Refusal> {
    let org = state.organisations.get(&settings.org).ok_or(Refusal::UnknownOrg)?;
    if state.mark(org.id).closed.is_some() {
        return Err(Refusal::Closed);
    }
    let present = state.signin.settings(settings.org).map_or(0, |known| known.version);
    if present != expected {
        return Err(Refusal::StaleVersion);
    }
    let version = present.checked_add(1).ok_or(Refusal::Full)?;
    state.signin.put_settings(SignInSettings { version, ..settings });
    Ok(())
}
