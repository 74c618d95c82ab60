//! The state of a postal address, which need not be the patient's home.

use residency_policy::Jurisdiction;

use super::Wrong;

/// A postal abbreviation (USPS Publication 28, appendix B): a state, a district, a territory, or the armed forces'
/// `AA`, `AE` and `AP`, which are in no jurisdiction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State([u8; 2]);

impl State {
    /// Reads an abbreviation.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let known = Jurisdiction::from_postal(text).is_ok() || matches!(text, "AA" | "AE" | "AP");
        match text.as_bytes() {
            &[a, b] if known => Ok(Self([a, b])),
            _ => Err(Wrong::new("not-a-state", "expected a postal abbreviation such as TX")),
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters are ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whose law applies there, unless it is a military address.
    pub fn jurisdiction(&self) -> Option<Jurisdiction> {
        Jurisdiction::from_postal(self.as_str()).ok()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl serde::Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for State {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::read_text(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jurisdiction_and_the_armed_forces() {
        for place in Jurisdiction::all() {
            assert_eq!(State::parse(place.postal()).expect("a state").jurisdiction(), Some(place));
        }
        assert_eq!(State::parse("AE").expect("a military address").jurisdiction(), None);
        for text in ["", "T", "tx", "ZZ", "US-TX", "Texas", "TX "] {
            assert_eq!(State::parse(text).map_err(|w| w.code), Err("not-a-state"), "{text:?}");
        }
    }
}
