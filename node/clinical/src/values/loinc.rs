//! A code for an observation.

use residency_policy::luhn_checks;

use super::Wrong;

/// A LOINC code: one to seven digits, a hyphen, and a check digit. That the code exists is not checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Loinc(String);

impl Loinc {
    /// Reads a code.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        const FORMAT: Wrong = Wrong::new("format", "expected a LOINC code such as 4548-4");
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let (number, check) = text.split_once('-').ok_or(FORMAT)?;
        let shaped = (1..=7).contains(&number.len()) && !number.starts_with('0') && check.len() == 1;
        if !shaped || !digits(number) || !digits(check) {
            return Err(FORMAT);
        }
        if !luhn_checks(number.bytes().chain(check.bytes())) {
            return Err(Wrong::new("check-digit", "the last digit does not fit the others"));
        }
        Ok(Self(text.to_owned()))
    }
}

text_value!(Loinc);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_are_told_from_wrong_ones() {
        for text in ["4548-4", "2345-7", "718-7", "8867-4", "85354-9", "8480-6", "2093-3"] {
            assert!(Loinc::parse(text).is_ok(), "{text}");
        }
        for (text, code) in [
            ("4548-5", "check-digit"),
            ("2354-7", "check-digit"),
            ("45484", "format"),
            ("4548-", "format"),
            ("-4", "format"),
            ("04548-4", "format"),
            ("12345678-9", "format"),
            ("LP4548-4", "format"),
            ("", "format"),
        ] {
            assert_eq!(Loinc::parse(text).map_err(|w| w.code), Err(code), "{text:?}");
        }
    }
}
