//! A ZIP Code.

use super::Wrong;

/// Five digits, or nine with a hyphen.
#[derive(Clone, PartialEq, Eq)]
pub struct PostalCode(String);

impl PostalCode {
    /// Reads a code.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let digits = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
        let (five, four) = text.split_once('-').map_or((text, None), |(five, four)| (five, Some(four)));
        // No ZIP Code starts with 000.
        if digits(five, 5) && !five.starts_with("000") && four.is_none_or(|four| digits(four, 4)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Wrong::new("format", "expected a ZIP Code such as 78701 or 78701-0001"))
        }
    }
}

text_value!(PostalCode);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_or_nine_digits() {
        for text in ["78701", "00501", "00926-0001", "96799", "09001"] {
            assert!(PostalCode::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "7870",
            "787011",
            "78701-",
            "78701-1",
            "787010001",
            "00000",
            "78701 ",
            "7870a",
            "K1A 0B1",
            "-0001",
        ] {
            assert_eq!(PostalCode::parse(text).map_err(|w| w.code), Err("format"), "{text:?}");
        }
    }
}
