//! Keyed blind indexes: exact search on normalised values without knowing the values, and never an order.
//!
//! A value is normalised here and nowhere else, so what was indexed and what is searched for agree. An index is as
//! guessable as its value is to whoever holds the key, and to nobody else.

use std::fmt;

use bytes::BytesMut;
use residency_policy::OrgId;
use ring::hmac;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use zeroize::Zeroizing;

use crate::{Phi, RegionPool, RegionTx};

/// What is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexField {
    /// The family name.
    FamilyName,
    /// Given and family name together, in this order.
    FullName,
    /// Family name and birth date together, in this order.
    FamilyNameBirthDate,
    /// The birth date, `YYYY-MM-DD`.
    BirthDate,
    /// The phone number, E.164.
    Phone,
    /// The e-mail address.
    Email,
    /// The medical record number.
    Mrn,
}

impl IndexField {
    /// Every field.
    pub const ALL: [Self; 7] = [
        Self::FamilyName,
        Self::FullName,
        Self::FamilyNameBirthDate,
        Self::BirthDate,
        Self::Phone,
        Self::Email,
        Self::Mrn,
    ];

    /// The word in `patient_index.field`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FamilyName => "family-name",
            Self::FullName => "full-name",
            Self::FamilyNameBirthDate => "family-name-birth-date",
            Self::BirthDate => "birth-date",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Mrn => "mrn",
        }
    }

    /// One spelling for all spellings of a value. Names lose accents, case, spaces and punctuation.
    pub fn normalise(self, value: &str) -> String {
        match self {
            Self::FamilyName | Self::FullName | Self::FamilyNameBirthDate => {
                letters(value, |c| c.is_alphanumeric())
            }
            Self::Mrn => letters(value, |c| c.is_alphanumeric() || *c == '-'),
            Self::Phone => value.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect(),
            Self::BirthDate => value.chars().filter(|c| c.is_ascii_digit() || *c == '-').collect(),
            Self::Email => value.trim().nfkc().flat_map(char::to_lowercase).collect(),
        }
    }
}

/// Only marks with a combining class are accents. A vowel sign of an Indic script has none and is a letter: without
/// it, different names would be one.
fn letters(value: &str, kept: impl Fn(&char) -> bool) -> String {
    if value.is_ascii() {
        // There is nothing to take apart, and no mark.
        return value.chars().filter(kept).map(|c| c.to_ascii_uppercase()).collect();
    }
    taken_apart(value, kept)
}

fn taken_apart(value: &str, kept: impl Fn(&char) -> bool) -> String {
    let letter = |c: &char| canonical_combining_class(*c) == 0 && kept(c);
    let plain: String = value.nfkd().filter(letter).flat_map(char::to_uppercase).collect();
    plain.nfkd().filter(letter).collect()
}

/// One blind index: equal for equal normalised values of one organisation, one field and one region.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlindIndex(pub(crate) [u8; 16]);

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindIndex(…)")
    }
}

impl ToSql for BlindIndex {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.as_slice().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <&[u8] as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

impl FromSql<'_> for BlindIndex {
    fn from_sql(ty: &Type, raw: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(<&[u8]>::from_sql(ty, raw)?.try_into()?))
    }

    fn accepts(ty: &Type) -> bool {
        <&[u8] as FromSql>::accepts(ty)
    }
}

/// Region, then organisation, then field: equal values of two organisations, or of two fields, are not seen as equal.
pub(crate) fn blind(pool: &RegionPool, org: OrgId, field: IndexField, value: &str) -> Option<BlindIndex> {
    let normalised = Zeroizing::new(field.normalise(value));
    if normalised.is_empty() {
        return None;
    }
    let subkey = Zeroizing::new(pool.mac("blind-index", &[&org.to_bytes(), field.as_str().as_bytes()]));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, subkey.as_slice()), normalised.as_bytes());
    let mut index = [0; 16];
    index.copy_from_slice(&tag.as_ref()[..16]);
    Some(BlindIndex(index))
}

impl RegionTx {
    /// The blind index of a value; `None` when nothing is left of it after normalisation, so that values without a
    /// letter are not found as each other.
    pub fn blind(&self, field: IndexField, value: &Phi<String>) -> Option<BlindIndex> {
        blind(&self.pool, self.scope().org, field, value.inside())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_value_are_one_and_different_values_stay_different() {
        let name = |text| IndexField::FamilyName.normalise(text);
        assert_eq!(name("García-López"), "GARCIALOPEZ");
        assert_eq!(name(" garcia lopez "), name("GARCI\u{301}A LÓPEZ"));
        assert_eq!(name("O'Brien"), name("O’Brien"));
        assert_ne!(name("Garcia"), name("Garza"));
        assert_eq!(name("José"), name("Jose"));
        assert_eq!(name("مُحَمَّد"), name("محمد"));
        assert_eq!(name("Groß"), name("GROSS"));
        assert_ne!(name("राम"), name("रमा"), "vowel signs are letters");
        assert_eq!(name("李"), "李");
        assert_eq!(name(" -'. "), "");
        assert_eq!(IndexField::Email.normalise(" Ana@Example.ORG "), "ana@example.org");
        assert_eq!(IndexField::Phone.normalise("+1 (512) 555-0100"), "+15125550100");
        assert_eq!(IndexField::BirthDate.normalise(" 1980-01-31"), "1980-01-31");
        assert_eq!(IndexField::Mrn.normalise("mrn-00 12"), "MRN-0012");
    }

    #[test]
    fn what_is_ascii_is_read_as_any_text_is() {
        for value in (0_u8..128).map(|byte| format!("a{0}B{0} z", char::from(byte))) {
            let name = |c: &char| c.is_alphanumeric();
            let mrn = |c: &char| c.is_alphanumeric() || *c == '-';
            assert_eq!(letters(&value, name), taken_apart(&value, name), "{value:?}");
            assert_eq!(letters(&value, mrn), taken_apart(&value, mrn), "{value:?}");
        }
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for field in IndexField::ALL {
            for text in
                ["García-López 1980-01-31", "+1 512 555 0100", "Ana@Example.ORG", "ß ﬁ Ⅷ", "राम रमा", "Nguyễn"]
            {
                let once = field.normalise(text);
                assert_eq!(field.normalise(&once), once, "{field:?}");
            }
        }
    }
}
