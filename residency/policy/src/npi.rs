//! A National Provider Identifier (45 CFR 162.406), and the check digit that it shares with other numbers.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Ten digits, the first of them 1 or 2; the last one checks the others with the prefix 80840 before them
/// (ISO/IEC 7812-1). It is public (45 CFR 162.412), so it may be printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Npi([u8; 10]);

/// The text is not an NPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnNpi {
    /// It is no ten digits of the right beginning.
    #[error("expected ten digits, the first of them 1 or 2")]
    Format,
    /// Its last digit does not fit.
    #[error("the last digit does not fit the others")]
    CheckDigit,
}

impl Npi {
    /// The ten digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The identifier whose first nine digits are these; the check digit is computed.
    pub fn from_nine(nine: u32) -> Result<Self, NotAnNpi> {
        if !(100_000_000..300_000_000).contains(&nine) {
            return Err(NotAnNpi::Format);
        }
        let mut all = (0..10).map(|check| format!("{nine}{check}"));
        all.find_map(|text| text.parse().ok()).ok_or(NotAnNpi::CheckDigit)
    }
}

impl FromStr for Npi {
    type Err = NotAnNpi;

    fn from_str(text: &str) -> Result<Self, NotAnNpi> {
        let digits: [u8; 10] = text.as_bytes().try_into().map_err(|_| NotAnNpi::Format)?;
        if !digits.iter().all(u8::is_ascii_digit) || !matches!(digits[0], b'1' | b'2') {
            return Err(NotAnNpi::Format);
        }
        if !luhn_checks(b"80840".iter().chain(&digits).copied()) {
            return Err(NotAnNpi::CheckDigit);
        }
        Ok(Self(digits))
    }
}

/// Whether the last digit is the check digit of the others (ISO/IEC 7812-1 annex B). Anything but digits is `false`.
pub fn luhn_checks(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum = digits.rev().enumerate().try_fold(0u32, |sum, (place, byte)| {
        let digit = char::from(byte).to_digit(10)?;
        let weighed = if place % 2 == 1 { digit * 2 } else { digit };
        Some(sum + weighed / 10 + weighed % 10)
    });
    sum.is_some_and(|sum| sum % 10 == 0)
}

impl fmt::Display for Npi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Npi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Npi({})", self.as_str())
    }
}

impl Serialize for Npi {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

struct Digits;

/// Says what would be right and never what was there: the number may stand in a body that holds other things.
impl Visitor<'_> for Digits {
    type Value = Npi;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ten digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Npi, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Npi {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Digits).map_err(|_| D::Error::custom("not an NPI"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_identifiers_are_told_from_wrong_ones() {
        for text in ["1234567893", "1245319599", "1679576722", "1003000126", "1999999984", "1999999992"] {
            let npi: Npi = text.parse().expect("an identifier");
            assert_eq!(npi.as_str(), text);
            assert_eq!(Npi::from_nine(text[..9].parse().expect("nine digits")), Ok(npi));
        }
        for (text, wrong) in [
            ("1234567890", NotAnNpi::CheckDigit),
            ("1245319598", NotAnNpi::CheckDigit),
            ("3234567893", NotAnNpi::Format),
            ("0234567893", NotAnNpi::Format),
            ("123456789", NotAnNpi::Format),
            ("12345678931", NotAnNpi::Format),
            ("123456789x", NotAnNpi::Format),
            ("", NotAnNpi::Format),
            ("１２３４", NotAnNpi::Format),
        ] {
            assert_eq!(text.parse::<Npi>(), Err(wrong), "{text}");
        }
        assert_eq!(Npi::from_nine(300_000_000), Err(NotAnNpi::Format));
    }

    #[test]
    fn one_wrong_digit_is_found() {
        assert!(luhn_checks(b"79927398713".iter().copied()));
        for place in 0..11 {
            let mut digits = *b"79927398713";
            digits[place] = if digits[place] == b'9' { b'0' } else { digits[place] + 1 };
            assert!(!luhn_checks(digits.iter().copied()), "at {place}");
        }
        assert!(!luhn_checks(b"7992739871x".iter().copied()));
    }

    #[test]
    fn what_is_no_identifier_is_not_repeated() {
        let error = serde_json::from_str::<Npi>("\"zzphi7q\"").expect_err("is refused").to_string();
        assert!(!error.contains("zzphi7q"), "{error}");
        let error = serde_json::from_str::<Npi>("{\"zzphi7q\": 1}").expect_err("is refused").to_string();
        assert!(!error.contains("zzphi7q"), "{error}");
        let npi: Npi = "1234567893".parse().expect("an identifier");
        assert_eq!(postcard::from_bytes(&postcard::to_allocvec(&npi).expect("encodes")), Ok(npi));
    }
}
