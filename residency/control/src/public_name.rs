//! The name under which an organisation is known to the public.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An organisation's public name: 1 to 80 characters of letters, digits, spaces and `& ' . , ( ) -`, with at least
/// one letter and at most three digits: a name of an organisation, and no room for a number that stands for a person.
///
/// It is the one place where capitals and spaces enter the control plane, so it is a type of its own and only
/// the command about organisations has a field for it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicName(Box<str>);

/// The text is not a public name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a public name: expected 1 to 80 letters, digits, spaces and & ' . , ( ) -, with a letter and at most three digits, not starting or ending with a space"
)]
pub struct NotAPublicName;

impl PublicName {
    /// The longest name, in characters.
    pub const LEN_MAX: usize = 80;

    /// The most digits in a name. Dates, telephone, account and record numbers have more.
    pub const DIGITS_MAX: usize = 3;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicName {
    type Err = NotAPublicName;

    fn from_str(text: &str) -> Result<Self, NotAPublicName> {
        let allowed =
            |c: char| c.is_alphanumeric() || matches!(c, ' ' | '&' | '\'' | '.' | ',' | '(' | ')' | '-');
        let length = text.chars().count();
        let named = text.chars().any(char::is_alphabetic)
            && text.chars().filter(|c| c.is_numeric()).count() <= Self::DIGITS_MAX;
        if !named || length > Self::LEN_MAX || text.trim() != text || !text.chars().all(allowed) {
            return Err(NotAPublicName);
        }
        Ok(Self(text.into()))
    }
}

residency_policy::spelt!(PublicName, NotAPublicName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_name_is_one_short_line() {
        for text in ["St. Mary's (North)", "Lone Star Health & Co., P.C.", "Clínica Ñandú", "A-1", "Clinic 123"]
        {
            assert_eq!(text.parse::<PublicName>().map(|n| n.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            " a",
            "a ",
            "a\nb",
            "a;b",
            "<b>",
            "1",
            "(-)",
            "Clinic 1980",
            "1 2 3 4 a",
            "Ana ١٩٨٠",
            "a\u{202e}b",
            &"a".repeat(81),
        ] {
            assert_eq!(text.parse::<PublicName>(), Err(NotAPublicName), "{text:?}");
        }
    }
}
