//! The name under which a clinician is known to the public.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::staff_name::is_a_persons_name;

/// The public name of a clinician: 1 to 80 characters of letters, spaces and `' . , -`, with at least one letter and
/// no digit. A type of its own, for which only the command about clinicians has a field.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderName(Box<str>);

/// The text is not a clinician's public name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a name: expected 1 to 80 letters, spaces and ' . , -, with a letter, not starting or ending with a space"
)]
pub struct NotAProviderName;

impl ProviderName {
    /// The longest name, in characters.
    pub const LEN_MAX: usize = 80;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProviderName {
    type Err = NotAProviderName;

    fn from_str(text: &str) -> Result<Self, NotAProviderName> {
        if !is_a_persons_name(text, Self::LEN_MAX) {
            return Err(NotAProviderName);
        }
        Ok(Self(text.into()))
    }
}

residency_policy::spelt!(ProviderName, NotAProviderName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_line_without_a_digit() {
        for text in ["Robin O'Neil, MD", "Dr. Iñaki Sample-Lee", "陳大文", "A"] {
            assert_eq!(text.parse::<ProviderName>().map(|n| n.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", " a", "a ", "a\nb", "Ana 1980", "Ana (MRN)", "a;b", "<b>", "-", "ana@x", &"a".repeat(81)]
        {
            assert_eq!(text.parse::<ProviderName>(), Err(NotAProviderName), "{text:?}");
        }
    }
}
