//! The devices that people sign in with, where an organisation wants to know them.

use std::fmt;

use residency_policy::{DeviceId, OrgId, UserId};
use serde::{Deserialize, Serialize};

use super::SignIns;
use super::act::end_all_of;
use crate::command::{Refusal, must_be_replicated, record};
use crate::machine::State;

record! {
    /// A device that somebody showed on what signs them in. It is known by a random secret that it keeps.
    #[derive(Copy)]
    pub struct Device {
        /// Where.
        pub org: OrgId,
        /// Whose.
        pub user: UserId,
        /// Its id.
        pub id: DeviceId,
        /// SHA-256 of its secret.
        pub secret_sha256: [u8; 32],
        /// Whether its holder may sign in with it where only known devices may. The state says so of a new one.
        pub admitted: bool,
        /// When it was last noted, in seconds after the Unix epoch.
        pub seen: i64,
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device(redacted)")
    }
}

/// Notes a device. A new one is admitted unless the organisation lets in known ones only; where there would be one too many,
/// the one that waits or was seen the longest ago is forgotten. None that was admitted is forgotten for one that would wait:
/// whoever has a password would otherwise take its holder's devices away.
pub(super) fn note(state: &mut State, device: Device) -> Result<(), Refusal> {
    let (org, user) = (device.org, device.user);
    if state.signin.account(org, user).is_none() {
        return Err(Refusal::UnknownAccount);
    }
    if let Some(known) = state.signin.device(org, user, device.id) {
        if known.secret_sha256 != device.secret_sha256 {
            return Err(Refusal::AlreadyKnown);
        }
        let (admitted, seen) = (known.admitted, known.seen.max(device.seen));
        state.signin.put_device(Device { admitted, seen, ..device });
        return Ok(());
    }
    let others: Vec<(bool, i64, DeviceId)> =
        state.signin.devices_of(org, user).map(|one| (one.admitted, one.seen, one.id)).collect();
    let admitted = !state.signin.settings(org).is_some_and(|settings| settings.known_devices_only);
    let full = others.len() >= SignIns::DEVICES_EACH_MAX;
    if let Some((kept, _, last)) = others.into_iter().min().filter(|_| full) {
        if kept && !admitted {
            return Err(Refusal::Full);
        }
        state.signin.forget_device(org, user, last);
    }
    state.signin.put_device(Device { admitted, ..device });
    Ok(())
}

fn known(state: &State, org: OrgId, user: UserId, id: DeviceId) -> Result<Device, Refusal> {
    state.signin.device(org, user, id).copied().ok_or(Refusal::UnknownDevice)
}

/// Lets a device's holder sign in with it.
pub(super) fn admit(state: &mut State, org: OrgId, user: UserId, id: DeviceId) -> Result<(), Refusal> {
    let device = known(state, org, user, id)?;
    state.signin.put_device(Device { admitted: true, ..device });
    Ok(())
}

/// Forgets a device. Which sessions were begun on it is not kept, so all of its holder's end.
pub(super) fn remove(state: &mut State, org: OrgId, user: UserId, id: DeviceId) -> Result<(), Refusal> {
    known(state, org, user, id)?;
    state.signin.forget_device(org, user, id);
    end_all_of(state, org, user, |_| true);
    Ok(())
}
