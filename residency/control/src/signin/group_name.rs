//! What an identity provider calls the groups of its people, and the claim that lists them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A group at an identity provider: 1 to 128 letters, digits, single spaces and `. _ : / ~ - = ,`, the first a letter or a
/// digit and the last no space, which names such as `Clinical Staff`, an object id or an LDAP name have. It belongs to an
/// organisation, as its own name does; only the table of what groups make of people has a field for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(Box<str>);

/// The text is not a group's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a group's name: expected 1 to 128 letters, digits, spaces and . _ : / ~ - = ,")]
pub struct NotAGroupName;

/// The claim of a token that lists somebody's groups: 1 to 128 of `A-Z a-z 0-9 _ . : / -`, such as `groups` or
/// `cognito:groups`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimName(Box<str>);

/// The text is not a claim's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a claim: expected 1 to 128 letters, digits and _ . : / -")]
pub struct NotAClaimName;

impl GroupName {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ClaimName {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = NotAGroupName;

    fn from_str(text: &str) -> Result<Self, NotAGroupName> {
        let taken = |b: u8| b.is_ascii_alphanumeric() || b" ._:/~-=,".contains(&b);
        let named = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let spaced = text.ends_with(' ') || text.contains("  ");
        if !named || spaced || text.len() > Self::LEN_MAX || !text.bytes().all(taken) {
            return Err(NotAGroupName);
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for ClaimName {
    type Err = NotAClaimName;

    fn from_str(text: &str) -> Result<Self, NotAClaimName> {
        let taken = |b: u8| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b);
        if !(1..=Self::LEN_MAX).contains(&text.len()) || !text.bytes().all(taken) {
            return Err(NotAClaimName);
        }
        Ok(Self(text.into()))
    }
}

residency_policy::spelt!(GroupName, NotAGroupName);
residency_policy::spelt!(ClaimName, NotAClaimName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_bounded_name() {
        for text in ["a", "Clinical Staff", "3f8a1c52-0d4e", "CN=Lab,OU=Elm Street", &"a".repeat(128)] {
            assert_eq!(text.parse::<GroupName>().map(|one| one.to_string()), Ok(text.to_owned()));
        }
        for text in ["", " a", "a ", "a  b", "-a", "é", "a\n", "robin@elm.example", "a\"b", &"a".repeat(129)] {
            assert_eq!(text.parse::<GroupName>(), Err(NotAGroupName), "{text:?}");
        }
    }

    #[test]
    fn a_claim_has_a_bounded_name() {
        for text in ["groups", "cognito:groups", "https://elm.example/roles", &"a".repeat(128)] {
            assert_eq!(text.parse::<ClaimName>().map(|one| one.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "a b", "é", "a\n", &"a".repeat(129)] {
            assert_eq!(text.parse::<ClaimName>(), Err(NotAClaimName), "{text:?}");
        }
    }
}
