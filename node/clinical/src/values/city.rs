//! The town of a postal address.

use super::Wrong;
use super::readable::readable;

/// One to 80 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct City(String);

impl City {
    /// The longest, in characters.
    pub const CHARS_MAX: usize = 80;

    /// Reads a town's name.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        readable(text, Self::CHARS_MAX).map(Self)
    }
}

text_value!(City);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_is_short_readable_text() {
        for text in ["Truth or Consequences", "Cañon City", "Hagåtña", "29 Palms"] {
            assert!(City::parse(text).is_ok(), "{text}");
        }
        for (text, code) in [("", "blank"), ("A\u{0}", "control-character"), (&"a".repeat(81), "too-long")] {
            assert_eq!(City::parse(text).map_err(|w| w.code), Err(code));
        }
    }
}
