//! A set of jurisdictions in one word of memory.

use std::fmt;

use residency_policy::{Jurisdiction, NotAJurisdiction};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of jurisdictions: bit `n` stands for the jurisdiction whose index is `n`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct JurisdictionSet(u64);

impl JurisdictionSet {
    /// No jurisdiction.
    pub const EMPTY: Self = Self(0);

    /// Every jurisdiction.
    pub fn all() -> Self {
        Jurisdiction::all().collect()
    }

    /// The set whose bits these are, refused when a bit stands for no jurisdiction.
    pub fn from_bits(bits: u64) -> Result<Self, NotAJurisdiction> {
        if bits & !Self::all().0 == 0 { Ok(Self(bits)) } else { Err(NotAJurisdiction) }
    }

    /// The set as bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the set holds this jurisdiction.
    pub fn contains(self, jurisdiction: Jurisdiction) -> bool {
        self.0 & (1 << jurisdiction.index()) != 0
    }

    /// The set with this jurisdiction in it.
    #[must_use]
    pub fn with(self, jurisdiction: Jurisdiction) -> Self {
        Self(self.0 | (1 << jurisdiction.index()))
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many jurisdictions are in the set.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// What is in the set, in the order of the indexes.
    pub fn iter(self) -> impl Iterator<Item = Jurisdiction> {
        Jurisdiction::all().filter(move |j| self.contains(*j))
    }
}

impl FromIterator<Jurisdiction> for JurisdictionSet {
    fn from_iter<I: IntoIterator<Item = Jurisdiction>>(iter: I) -> Self {
        iter.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl From<Jurisdiction> for JurisdictionSet {
    fn from(one: Jurisdiction) -> Self {
        Self::EMPTY.with(one)
    }
}

/// Codes where people read it, one word where only programs do.
impl Serialize for JurisdictionSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter())
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for JurisdictionSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Ok(Vec::<Jurisdiction>::deserialize(deserializer)?.into_iter().collect())
        } else {
            Self::from_bits(u64::deserialize(deserializer)?).map_err(D::Error::custom)
        }
    }
}

impl fmt::Debug for JurisdictionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let tx: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        let ca: Jurisdiction = "US-CA".parse().expect("a jurisdiction");
        let set = JurisdictionSet::from(tx);
        assert!(set.contains(tx) && !set.contains(ca));
        assert_eq!(JurisdictionSet::all().len(), 57);
        assert_eq!(JurisdictionSet::from_bits(set.bits()), Ok(set));
        assert_eq!(JurisdictionSet::from_bits(1 << 63), Err(NotAJurisdiction));
    }
}
