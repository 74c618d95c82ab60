//! Whose law applies.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Label;

/// A state, district or territory of the United States by its ISO 3166-2 code, such as `US-TX`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jurisdiction(u8);

/// (ISO 3166-2 code, name), in the order of the bits of a set of jurisdictions: append only.
static TABLE: [(&str, &str); 57] = [
    ("US-AL", "Alabama"),
    ("US-AK", "Alaska"),
    ("US-AZ", "Arizona"),
    ("US-AR", "Arkansas"),
    ("US-CA", "California"),
    ("US-CO", "Colorado"),
    ("US-CT", "Connecticut"),
    ("US-DE", "Delaware"),
    ("US-DC", "District of Columbia"),
    ("US-FL", "Florida"),
    ("US-GA", "Georgia"),
    ("US-HI", "Hawaii"),
    ("US-ID", "Idaho"),
    ("US-IL", "Illinois"),
    ("US-IN", "Indiana"),
    ("US-IA", "Iowa"),
    ("US-KS", "Kansas"),
    ("US-KY", "Kentucky"),
    ("US-LA", "Louisiana"),
    ("US-ME", "Maine"),
    ("US-MD", "Maryland"),
    ("US-MA", "Massachusetts"),
    ("US-MI", "Michigan"),
    ("US-MN", "Minnesota"),
    ("US-MS", "Mississippi"),
    ("US-MO", "Missouri"),
    ("US-MT", "Montana"),
    ("US-NE", "Nebraska"),
    ("US-NV", "Nevada"),
    ("US-NH", "New Hampshire"),
    ("US-NJ", "New Jersey"),
    ("US-NM", "New Mexico"),
    ("US-NY", "New York"),
    ("US-NC", "North Carolina"),
    ("US-ND", "North Dakota"),
    ("US-OH", "Ohio"),
    ("US-OK", "Oklahoma"),
    ("US-OR", "Oregon"),
    ("US-PA", "Pennsylvania"),
    ("US-RI", "Rhode Island"),
    ("US-SC", "South Carolina"),
    ("US-SD", "South Dakota"),
    ("US-TN", "Tennessee"),
    ("US-TX", "Texas"),
    ("US-UT", "Utah"),
    ("US-VT", "Vermont"),
    ("US-VA", "Virginia"),
    ("US-WA", "Washington"),
    ("US-WV", "West Virginia"),
    ("US-WI", "Wisconsin"),
    ("US-WY", "Wyoming"),
    ("US-AS", "American Samoa"),
    ("US-GU", "Guam"),
    ("US-MP", "Northern Mariana Islands"),
    ("US-PR", "Puerto Rico"),
    ("US-UM", "United States Minor Outlying Islands"),
    ("US-VI", "Virgin Islands"),
];

/// The text names no jurisdiction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a jurisdiction: expected an ISO 3166-2 code such as US-TX")]
pub struct NotAJurisdiction;

impl Jurisdiction {
    /// Every jurisdiction, in a fixed order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (0..57u8).map(Self)
    }

    /// The ISO 3166-2 code, such as `US-TX`.
    pub fn code(self) -> &'static str {
        TABLE[usize::from(self.0)].0
    }

    /// The two letters that the postal service uses, such as `TX`.
    pub fn postal(self) -> &'static str {
        &self.code()[3..]
    }

    /// The name in English, such as `Texas`.
    pub fn name(self) -> &'static str {
        TABLE[usize::from(self.0)].1
    }

    /// The place in the fixed order, below 64: a bit of a set of jurisdictions.
    pub fn index(self) -> u8 {
        self.0
    }

    /// The jurisdiction at a place in the fixed order.
    pub fn from_index(index: u8) -> Result<Self, NotAJurisdiction> {
        if usize::from(index) < TABLE.len() { Ok(Self(index)) } else { Err(NotAJurisdiction) }
    }

    /// The jurisdiction of a postal abbreviation, such as `TX`.
    pub fn from_postal(text: &str) -> Result<Self, NotAJurisdiction> {
        Self::all().find(|j| j.postal() == text).ok_or(NotAJurisdiction)
    }
}

impl FromStr for Jurisdiction {
    type Err = NotAJurisdiction;

    fn from_str(text: &str) -> Result<Self, NotAJurisdiction> {
        Self::all().find(|j| j.code() == text).ok_or(NotAJurisdiction)
    }
}

/// The code where people read it, one byte where only programs do: the directory holds one for every patient.
impl Serialize for Jurisdiction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.code())
        } else {
            serializer.serialize_u8(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Jurisdiction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            Self::from_index(u8::deserialize(deserializer)?).map_err(D::Error::custom)
        }
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The deployment that serves one jurisdiction: nodes, a Postgres, a keyring, a KMS key, an audit log.
/// There is exactly one for a jurisdiction, so the jurisdiction is its identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Region(pub Jurisdiction);

impl Region {
    /// The short name that people type and that paths and logs carry, such as `tx`.
    pub fn name(self) -> Label {
        // Two lower-case letters are always a label.
        self.0.postal().to_ascii_lowercase().parse().unwrap_or_else(|_| unreachable!())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_no_other_does() {
        for j in Jurisdiction::all() {
            assert_eq!(j.code().parse(), Ok(j));
            assert_eq!(Jurisdiction::from_postal(j.postal()), Ok(j));
            assert_eq!(Jurisdiction::from_index(j.index()), Ok(j));
        }
        for text in ["", "TX", "us-tx", "US-ZZ", "US-TX ", "US", "CA-ON"] {
            assert_eq!(text.parse::<Jurisdiction>(), Err(NotAJurisdiction), "{text:?}");
        }
    }
}
