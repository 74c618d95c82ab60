//! Known devices: a cookie that a browser keeps, bound to whoever showed all that signs them in on it.
//!
//! The cookie is `dd_` and, in base64url, the device's id and 32 random bytes, of which the control plane has the digest. A
//! program sends it as a cookie too.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use http::HeaderMap;
use residency_control::Refusal;
use residency_control::signin::{Device, Session, SignInChange};
use residency_policy::{DeviceId, Entropy, OrgId, UserId};
use residency_tokens::cookie;

use crate::desk::Desk;
use crate::hashing::equal;
use crate::refresh_token::sha256;
use crate::{NotSignedIn, cookies};

/// The cookie. The prefix binds it to this host, over TLS (RFC 6265bis section 4.1.3.2).
pub const COOKIE: &str = "__Host-domicile-device";
/// How long a browser keeps it, in seconds: as long as browsers keep any.
const SECONDS: i64 = 400 * 86_400;
/// How old a note may be before the device is noted again, in seconds.
const NOTED_SECONDS: i64 = 86_400;
const PREFIX: &str = "dd_";
const LEN: usize = 16 + 32;

/// A device in hand. Its `Debug` is redacted.
#[derive(Clone)]
pub struct Shown {
    id: DeviceId,
    secret: [u8; 32],
    /// Whether its holder keeps it already.
    held: bool,
}

impl Shown {
    /// The device that a request shows; a new one, where it shows none.
    pub fn of(headers: &HeaderMap, entropy: &dyn Entropy) -> Self {
        cookie::cookie(headers, COOKIE).and_then(Self::parse).unwrap_or_else(|| {
            let mut secret = [0; 32];
            entropy.fill(&mut secret);
            Self { id: DeviceId::random(entropy), secret, held: false }
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == BASE64URL_NOPAD.encode_len(LEN))?;
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?;
        let (id, secret) = bytes.split_first_chunk::<16>()?;
        Some(Self { id: DeviceId::from_bytes(*id), secret: secret.try_into().ok()?, held: true })
    }

    /// What its holder is to keep, if they do not yet.
    pub fn to_keep(&self) -> Option<String> {
        let bytes = [self.id.to_bytes().as_slice(), &self.secret].concat();
        let line = format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes));
        (!self.held).then(|| cookies::for_long(COOKIE, &line, SECONDS))
    }

    /// What is known of it as this user's.
    pub fn known(&self, desk: &Desk, org: OrgId, user: UserId) -> Option<Device> {
        let known = desk.directory.signins().device(org, user, self.id).copied()?;
        equal(&known.secret_sha256, &sha256(&self.secret)).then_some(known)
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
    let secret_sha256 = sha256(&shown.secret);
    let device = Device { org, user, id: shown.id, secret_sha256, admitted: false, seen: now };
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
    fn a_device_reads_back_and_does_not_show_itself() {
        let new = Shown::of(&HeaderMap::new(), &SystemEntropy::new());
        let line = new.to_keep().expect("it is new");
        let (pair, rest) = line.split_once(';').expect("attributes");
        assert!(rest.contains("SameSite=Lax") && rest.contains("HttpOnly") && rest.contains("Secure"));
        let headers = |value: &str| {
            let mut all = HeaderMap::new();
            all.append(http::header::COOKIE, value.parse().expect("a value"));
            all
        };
        let again = Shown::of(&headers(pair), &SystemEntropy::new());
        assert_eq!((again.id, again.secret, again.to_keep()), (new.id, new.secret, None));
        assert_eq!(format!("{new:?}"), "Shown(redacted)");
        for wrong in [pair.replace("dd_", "dr_"), pair[..pair.len() - 1].to_owned(), format!("{COOKIE}=")] {
            assert_ne!(Shown::of(&headers(&wrong), &SystemEntropy::new()).id, new.id, "{wrong}");
        }
    }
}
