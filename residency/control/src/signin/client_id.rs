//! What an identity provider calls us.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id that an identity provider gave an organisation's use of this system: 1 to 128 of `A-Z a-z 0-9 . _ : / ~ -`, and
/// the first of them a letter or a digit. Programs make it up, so there is no room for a space or an `@`. Only identity
/// providers have a field for it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(Box<str>);

/// The text is not a client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a client id: expected 1 to 128 letters, digits and . _ : / ~ -")]
pub struct NotAClientId;

impl ClientId {
    /// The longest id, in bytes.
    pub const LEN_MAX: usize = 128;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = NotAClientId;

    fn from_str(text: &str) -> Result<Self, NotAClientId> {
        let taken = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'/' | b'~' | b'-');
        let named = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if !named || text.len() > Self::LEN_MAX || !text.bytes().all(taken) {
            return Err(NotAClientId);
        }
        Ok(Self(text.into()))
    }
}

residency_policy::spelt!(ClientId, NotAClientId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_short_and_no_text() {
        for text in ["a", "1234-abc.apps.googleusercontent.com", "api://x/y_z~1", &"a".repeat(128)] {
            assert_eq!(text.parse::<ClientId>().map(|one| one.to_string()), Ok(text.to_owned()));
        }
        for text in ["", " a", "a b", "robin@elm.example", "-a", "é", "a\n", &"a".repeat(129)] {
            assert_eq!(text.parse::<ClientId>(), Err(NotAClientId), "{text:?}");
        }
    }
}
