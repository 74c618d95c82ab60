//! What an authenticator calls one of its passkeys.

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The id of a public key credential (WebAuthn Level 3, section 4): 16 to 255 bytes that an authenticator made up. Only
/// passkeys of the workforce have a field for it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct CredentialId(Box<[u8]>);

/// The bytes are no such id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a credential's id: expected 16 to 255 bytes")]
pub struct NotACredentialId;

impl CredentialId {
    /// The shortest id, in bytes: one has 100 random bits at least.
    pub const LEN_MIN: usize = 16;
    /// The longest id that is kept, in bytes. Those of credentials that an authenticator finds by itself are shorter.
    pub const LEN_MAX: usize = 255;

    /// The id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What finds the passkey of this id.
    pub(crate) fn place(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        out
    }
}

/// A log is no place for what finds somebody's passkey.
impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialId(redacted)")
    }
}

impl TryFrom<Vec<u8>> for CredentialId {
    type Error = NotACredentialId;

    fn try_from(bytes: Vec<u8>) -> Result<Self, NotACredentialId> {
        let fits = (Self::LEN_MIN..=Self::LEN_MAX).contains(&bytes.len());
        if fits { Ok(Self(bytes.into())) } else { Err(NotACredentialId) }
    }
}

impl From<CredentialId> for Vec<u8> {
    fn from(id: CredentialId) -> Self {
        id.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_bounds_whoever_wrote_it() {
        for (len, fits) in [(0, false), (15, false), (16, true), (255, true), (256, false)] {
            let bytes = vec![7_u8; len];
            assert_eq!(CredentialId::try_from(bytes.clone()).is_ok(), fits, "{len}");
            let written = postcard::to_allocvec(&bytes).expect("writes");
            let read = postcard::from_bytes::<CredentialId>(&written);
            assert_eq!(read.is_ok(), fits, "{len}");
            assert!(read.is_ok_and(|id| id.as_bytes() == bytes) == fits);
        }
    }
}
