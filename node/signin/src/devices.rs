//! Known devices: a cookie that a browser keeps ([`residency_tokens::device`]), bound to whoever showed all that signs them in
//! on it. A program sends it as a cookie too.

use std::fmt;

use http::HeaderMap;
use residency_control::Refusal;
use residency_control::signin::{Device, Session, SignInChange};
use residency_policy::{Entropy, OrgId, UserId};
use residency_tokens::cookie;
use residency_tokens::device::DeviceSecret;

use crate::desk::Desk;
use crate::{NotSignedIn, cookies};

/// How long a browser keeps it, in seconds: as long as browsers keep any.
const SECONDS: i64 = 400 * 86_400;
/// How old a note may be before the device is noted again, in seconds.
const NOTED_SECONDS: i64 = 86_400;

/// A device in hand. Its `Debug` is redacted.
#[derive(Clone)]
pub struct Shown {
    device: DeviceSecret,
    /// Whether its holder keeps it already.
    held: bool,
}

impl Shown {
    /// The device that a request shows; a new one, where it shows none.
    pub fn of(headers: &HeaderMap, entropy: &dyn Entropy) -> Self {
        match DeviceSecret::shown(headers) {
            Some(device) => Self { device, held: true },
            None => Self { device: DeviceSecret::random(entropy), held: false },
        }
    }

    /// What its holder is to keep, if they do not yet.
    pub fn to_keep(&self) -> Option<String> {
        (!self.held).then(|| cookies::for_long(cookie::DEVICE, &self.device.line(), SECONDS))
    }

    /// What is known of it as this user's.
    pub fn known(&self, desk: &Desk, org: OrgId, user: UserId) -> Option<Device> {
        let known = desk.directory.signins().device(org, user, self.device.id).copied()?;
        self.device.is(&known).then_some(known)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(redacted)")
    }
}

/// Whether the organisation lets in known devices only.
fn known_only(desk: &Desk, org: OrgId) -> bool {
    desk.directory.settings(org).is_some_and(|settings| settings.known_devices_only)
}

/// Whether somebody may sign in with this device.
pub(crate) fn admitted(desk: &Desk, (org, user): (OrgId, UserId), shown: &Shown) -> bool {
    !known_only(desk, org) || shown.known(desk, org, user).is_some_and(|known| known.admitted)
}

/// Has a device wait that is not admitted, and says so. Everything that the account asks for was shown and is right, which is
/// one factor where there is no authenticator: whoever has none could otherwise never come in.
pub(crate) async fn wait(desk: &Desk, whose: (OrgId, UserId), shown: &Shown) -> NotSignedIn {
    match note(desk, whose, shown).await {
        Ok(()) => NotSignedIn::DeviceNotAdmitted,
        Err(why) => why,
    }
}

/// What is to be kept on a device with which a session began. A browser is bound to whoever showed a second factor on it, and
/// where the organisation wants to know, whatever was admitted.
pub(crate) async fn after(desk: &Desk, session: &Session, shown: &Shown, browser: bool) -> Option<String> {
    let bound = known_only(desk, session.org) || (browser && session.assurance >= 2);
    if !bound {
        return None;
    }
    match note(desk, (session.org, session.user), shown).await {
        Ok(()) => shown.to_keep(),
        // They are signed in all the same; the device is noted the next time.
        Err(_) => None,
    }
}

/// Notes a device on which somebody showed what signs them in.
async fn note(desk: &Desk, (org, user): (OrgId, UserId), shown: &Shown) -> Result<(), NotSignedIn> {
    let now = desk.now();
    if shown.known(desk, org, user).is_some_and(|known| now < known.seen + NOTED_SECONDS) {
        return Ok(());
    }
    let (id, secret_sha256) = (shown.device.id, shown.device.sha256());
    let device = Device { org, user, id, secret_sha256, admitted: false, seen: now };
    match desk.propose(SignInChange::NoteDevice(device)).await? {
        // All that there is room for are admitted. They hear what they would hear if it waited, and an administrator sees
        // that one has to be forgotten first.
        Ok(_) | Err(Refusal::Full) => Ok(()),
        Err(refusal) => Err(refusal.into()),
    }
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    #[test]
    fn a_device_is_handed_out_once_and_does_not_show_itself() {
        let new = Shown::of(&HeaderMap::new(), &SystemEntropy::new());
        let line = new.to_keep().expect("it is new");
        let (pair, rest) = line.split_once(';').expect("attributes");
        assert!(rest.contains("SameSite=Lax") && rest.contains("HttpOnly") && rest.contains("Secure"));
        let mut headers = HeaderMap::new();
        headers.append(http::header::COOKIE, pair.parse().expect("a value"));
        let again = Shown::of(&headers, &SystemEntropy::new());
        assert_eq!((again.device.clone(), again.to_keep()), (new.device.clone(), None));
        assert_eq!(format!("{new:?}"), "Shown(redacted)");
    }
}
