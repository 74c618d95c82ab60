//! The name under which a member of the workforce works.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of somebody who works for an organisation, as it stands on a badge: 1 to 60 characters of letters,
/// spaces and `' . , -`, with at least one letter and no digit.
///
/// It is never a patient's: only the commands about users have a field for it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StaffName(Box<str>);

/// The text is not a name on a badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a name: expected 1 to 60 letters, spaces and ' . , -, with a letter, not starting or ending with a space"
)]
pub struct NotAStaffName;

impl StaffName {
    /// The longest name, in characters.
    pub const LEN_MAX: usize = 60;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StaffName {
    type Err = NotAStaffName;

    fn from_str(text: &str) -> Result<Self, NotAStaffName> {
        if !is_a_persons_name(text, Self::LEN_MAX) {
            return Err(NotAStaffName);
        }
        Ok(Self(text.into()))
    }
}

/// Whether a text is at most so many letters, spaces and `' . , -`, with a letter, neither beginning nor ending with
/// a space.
pub(crate) fn is_a_persons_name(text: &str, len_max: usize) -> bool {
    let allowed = |c: char| c.is_alphabetic() || matches!(c, ' ' | '\'' | '.' | ',' | '-');
    text.chars().any(char::is_alphabetic)
        && text.chars().count() <= len_max
        && text.trim() == text
        && text.chars().all(allowed)
}

residency_policy::spelt!(StaffName, NotAStaffName, without Debug);

/// A log is no place for who works where.
impl fmt::Debug for StaffName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaffName")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staff_name_is_one_short_line_without_a_digit() {
        for text in ["Robin O'Neil", "Dr. Iñaki Sample-Lee", "陳大文", "A"] {
            assert_eq!(text.parse::<StaffName>().map(|n| n.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", " a", "a ", "a\nb", "Ana 1980", "Ana (MRN)", "a;b", "<b>", "-", "ana@x", "٣a", &"a".repeat(61)]
        {
            assert_eq!(text.parse::<StaffName>(), Err(NotAStaffName), "{text:?}");
        }
        let name: StaffName = "Robin Sample".parse().expect("a name");
        assert_eq!(format!("{name:?}"), "StaffName");
    }
}
