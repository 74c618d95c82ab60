//! What a browser keeps of a device on which somebody showed all that signs them in.
//!
//! It is `dd_` and, in base64url, the device's id and 32 random bytes, of which the control plane has the digest. Signing in
//! hands it out; every node reads it, because whether a device is known is a fact of every decision.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use http::HeaderMap;
use residency_control::signin::Device;
use residency_policy::{DeviceId, Entropy};
use ring::digest::{SHA256, digest};

use crate::cookie;

const PREFIX: &str = "dd_";
const LEN: usize = 16 + 32;

/// A device in hand. Its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceSecret {
    /// Which device.
    pub id: DeviceId,
    secret: [u8; 32],
}

impl DeviceSecret {
    /// A new one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        Self { id: DeviceId::random(entropy), secret }
    }

    /// The one that a request shows.
    pub fn shown(headers: &HeaderMap) -> Option<Self> {
        cookie::cookie(headers, cookie::DEVICE).and_then(Self::parse)
    }

    fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == BASE64URL_NOPAD.encode_len(LEN))?;
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?;
        let (id, secret) = bytes.split_first_chunk::<16>()?;
        Some(Self { id: DeviceId::from_bytes(*id), secret: secret.try_into().ok()? })
    }

    /// What its holder keeps.
    pub fn line(&self) -> String {
        let bytes = [self.id.to_bytes().as_slice(), &self.secret].concat();
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// What the control plane keeps of it: SHA-256. The secret has 256 bits of its own, so a slow hash would slow nobody.
    pub fn sha256(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, &self.secret).as_ref());
        out
    }

    /// Whether it is this device. Digests are compared: how far two of them agree brings nobody nearer to a secret.
    pub fn is(&self, known: &Device) -> bool {
        known.id == self.id && known.secret_sha256 == self.sha256()
    }
}

impl fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSecret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use residency_control::system::SystemEntropy;
    use residency_policy::{OrgId, UserId};

    use super::*;

    fn showing(line: &str) -> HeaderMap {
        let mut all = HeaderMap::new();
        all.append(COOKIE, format!("{}={line}", cookie::DEVICE).parse().expect("a value"));
        all
    }

    #[test]
    fn a_device_reads_back_and_does_not_show_itself() {
        let new = DeviceSecret::random(&SystemEntropy::new());
        let line = new.line();
        let again = DeviceSecret::shown(&showing(&line)).expect("it reads back");
        assert_eq!(again, new);
        assert_eq!(format!("{new:?}"), "DeviceSecret(redacted)");
        for wrong in [line.replace("dd_", "dr_"), line[..line.len() - 1].to_owned(), String::new()] {
            assert!(DeviceSecret::shown(&showing(&wrong)).is_none(), "{wrong}");
        }
        let known = Device {
            org: OrgId::from_bytes([1; 16]),
            user: UserId::from_bytes([2; 16]),
            id: new.id,
            secret_sha256: new.sha256(),
            admitted: true,
            seen: 0,
        };
        assert!(new.is(&known));
        assert!(!new.is(&Device { secret_sha256: [0; 32], ..known }), "another secret under a known id");
        assert!(!DeviceSecret::random(&SystemEntropy::new()).is(&known));
    }
}
