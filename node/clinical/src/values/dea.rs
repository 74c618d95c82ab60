//! A registration number of the Drug Enforcement Administration (21 CFR 1301).

use super::Wrong;

/// Two letters and seven digits, the last of which checks the others. Not PHI, but whoever has one can forge a
/// prescription, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Dea(String);

impl Dea {
    /// Reads a number. Letters may be small.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        const FORMAT: Wrong =
            Wrong::new("format", "expected two letters (the second may be 9) and seven digits");
        let upper = text.to_ascii_uppercase();
        let bytes: &[u8; 9] = upper.as_bytes().try_into().map_err(|_| FORMAT)?;
        let [kind, initial, digits @ ..] = bytes;
        // The registrant types that have been issued; I, N, O, Q, V, W, Y and Z have not.
        let known = b"ABCDEFGHJKLMPRSTUX".contains(kind) && (initial.is_ascii_uppercase() || *initial == b'9');
        if !known || !digits.iter().all(u8::is_ascii_digit) {
            return Err(FORMAT);
        }
        let [first, second, third, fourth, fifth, sixth, check] = digits.map(|byte| u32::from(byte - b'0'));
        if (first + third + fifth + 2 * (second + fourth + sixth)) % 10 != check {
            return Err(Wrong::new("check-digit", "the last digit does not fit the others"));
        }
        Ok(Self(upper))
    }
}

text_value!(Dea);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_are_told_from_wrong_ones() {
        for text in ["BB1388568", "AB1234563", "MS1234563", "A91234563", "ab1234563"] {
            assert!(Dea::parse(text).is_ok(), "{text}");
        }
        for (text, code) in [
            ("AB1234567", "check-digit"),
            ("BB1388569", "check-digit"),
            ("AB123456", "format"),
            ("AB12345634", "format"),
            ("1B1234563", "format"),
            ("ZB1234563", "format"),
            ("A-1234563", "format"),
            ("AB12345é", "format"),
            ("", "format"),
        ] {
            assert_eq!(Dea::parse(text).map_err(|w| w.code), Err(code), "{text}");
        }
    }
}
