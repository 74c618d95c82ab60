//! A telephone number.

use super::Wrong;

/// A number in E.164 form: `+`, a country code, at most 15 digits in all. In country code 1 the North American
/// Numbering Plan's rules hold too; `555-01XX`, which is kept for made-up people, is accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneE164(String);

impl PhoneE164 {
    /// Reads a number.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        const FORMAT: Wrong =
            Wrong::new("format", "expected E.164: + and 7 to 15 digits, such as +12025550123");
        let digits = text.strip_prefix('+').ok_or(FORMAT)?.as_bytes();
        if !(7..=15).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
            return Err(FORMAT);
        }
        match digits {
            [b'1', national @ ..] if !north_american(national) => {
                Err(Wrong::new("numbering-plan", "not a number of the North American Numbering Plan"))
            }
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// What a search compares: the number itself, which has one spelling only.
    pub fn normalised(&self) -> String {
        self.0.clone()
    }
}

text_value!(PhoneE164);

/// NPA-NXX-XXXX: neither code starts with 0 or 1 or ends in 11, and no area code has 9 in the middle.
fn north_american(digits: &[u8]) -> bool {
    let code = |code: &[u8]| code[0] >= b'2' && code[1..] != *b"11";
    digits.len() == 10 && code(&digits[..3]) && digits[1] != b'9' && code(&digits[3..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_can_be_dialled_are_accepted() {
        for text in ["+12025550123", "+15125550100", "+17875550199", "+442071838750", "+6421123456", "+2901234"]
        {
            assert_eq!(PhoneE164::parse(text).map(|p| p.normalised()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        for (text, code) in [
            ("", "format"),
            ("2025550123", "format"),
            ("+1 202 555 0123", "format"),
            ("+1-202-555-0123", "format"),
            ("+02025550123", "format"),
            ("+123456", "format"),
            ("+1234567890123456", "format"),
            ("+1202555012x", "format"),
            ("+１２０２５５５０１２３", "format"),
            ("+1202555012", "numbering-plan"),
            ("+120255501234", "numbering-plan"),
            ("+11025550123", "numbering-plan"),
            ("+19115550123", "numbering-plan"),
            ("+12025110123", "numbering-plan"),
            ("+12021550123", "numbering-plan"),
            ("+12945550123", "numbering-plan"),
        ] {
            assert_eq!(PhoneE164::parse(text).map_err(|w| w.code), Err(code), "{text:?}");
        }
    }
}
