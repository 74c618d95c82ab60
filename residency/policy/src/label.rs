//! The only text that the control plane may hold.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One to 63 characters of `[a-z0-9-]`, as in a DNS label (RFC 1035 section 2.3.1). Too narrow for a sentence
/// and without capitals or spaces, so nobody is tempted to put a name in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label {
    bytes: [u8; Label::LEN_MAX],
    len: u8,
}

impl Label {
    /// The longest label, in bytes.
    pub const LEN_MAX: usize = 63;

    /// The label as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored, so the slice is always valid UTF-8.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// The text is not a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a label: expected 1 to 63 characters of a-z, 0-9 and -")]
pub struct NotALabel;

impl FromStr for Label {
    type Err = NotALabel;

    fn from_str(text: &str) -> Result<Self, NotALabel> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > Self::LEN_MAX || !text.bytes().all(allowed) {
            return Err(NotALabel);
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: u8::try_from(text.len()).map_err(|_| NotALabel)? })
    }
}

crate::spelt!(Label, NotALabel);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_a_label() {
        for text in ["", "Ana", "ana garcia", "ana_garcia", "é", &"a".repeat(64)] {
            assert_eq!(text.parse::<Label>(), Err(NotALabel), "{text:?}");
        }
        assert_eq!("us-tx".parse::<Label>().map(|l| l.as_str().to_owned()), Ok("us-tx".into()));
    }
}
