//! One line of a postal address above the town.

use super::Wrong;
use super::readable::readable;

/// One to 100 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct StreetLine(String);

impl StreetLine {
    /// The longest, in characters.
    pub const CHARS_MAX: usize = 100;

    /// Reads a line.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        readable(text, Self::CHARS_MAX).map(Self)
    }
}

text_value!(StreetLine);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_street_line_is_readable_text() {
        for text in ["1 SAMPLE ST", "PO BOX 12", "PSC 1234 BOX 5678", "12½ Elm St #4"] {
            assert!(StreetLine::parse(text).is_ok(), "{text}");
        }
        for (text, code) in [("  ", "blank"), ("1\r\n2", "control-character"), (&"a".repeat(101), "too-long")] {
            assert_eq!(StreetLine::parse(text).map_err(|w| w.code), Err(code));
        }
    }
}
