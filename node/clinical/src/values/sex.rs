//! Administrative sex.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Wrong;

/// The codes of FHIR R4 `administrative-gender`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// `male`.
    Male,
    /// `female`.
    Female,
    /// `other`.
    Other,
    /// `unknown`.
    Unknown,
}

impl Sex {
    /// Every code.
    pub const ALL: [Self; 4] = [Self::Male, Self::Female, Self::Other, Self::Unknown];

    /// Reads a code.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        Self::ALL
            .into_iter()
            .find(|sex| sex.as_str() == text)
            .ok_or(Wrong::new("not-a-code", "expected male, female, other or unknown"))
    }

    /// The code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Male => "male",
            Self::Female => "female",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Debug for Sex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sex")
    }
}

impl Serialize for Sex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Sex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::read_text(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_codes_and_no_others() {
        for sex in Sex::ALL {
            assert_eq!(Sex::parse(sex.as_str()), Ok(sex));
        }
        for text in ["", "F", "Female", "female ", "m", "männlich"] {
            assert_eq!(Sex::parse(text).map_err(|w| w.code), Err("not-a-code"), "{text:?}");
        }
    }
}
