//! A National Provider Identifier (45 CFR 162.406).

use super::{Wrong, luhn};

/// Ten digits; the last one checks the others with the prefix 80840 before them (ISO/IEC 7812-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Npi([u8; 10]);

impl Npi {
    /// Reads an identifier.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let digits: [u8; 10] = text
            .as_bytes()
            .try_into()
            .map_err(|_| Wrong::new("format", "expected ten digits, the first of them 1 or 2"))?;
        if !digits.iter().all(u8::is_ascii_digit) || !matches!(digits[0], b'1' | b'2') {
            return Err(Wrong::new("format", "expected ten digits, the first of them 1 or 2"));
        }
        if !luhn::checks(b"80840".iter().chain(&digits).copied()) {
            return Err(Wrong::new("check-digit", "the last digit does not fit the others"));
        }
        Ok(Self(digits))
    }

    /// The ten digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// An identifier of a provider is public (45 CFR 162.412), so it may be printed.
impl std::fmt::Debug for Npi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Npi({})", self.as_str())
    }
}

impl serde::Serialize for Npi {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Npi {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::read_text(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_identifiers_are_told_from_wrong_ones() {
        for text in ["1234567893", "1245319599", "1679576722", "1003000126", "1999999984", "1999999992"] {
            assert_eq!(Npi::parse(text).map(|npi| npi.as_str().to_owned()).as_deref(), Ok(text));
        }
        for (text, code) in [
            ("1234567890", "check-digit"),
            ("1245319598", "check-digit"),
            ("3234567893", "format"),
            ("0234567893", "format"),
            ("123456789", "format"),
            ("12345678931", "format"),
            ("123456789x", "format"),
            ("", "format"),
            ("１２３４", "format"),
        ] {
            assert_eq!(Npi::parse(text).map_err(|w| w.code), Err(code), "{text}");
        }
    }
}
