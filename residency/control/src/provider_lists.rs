//! The bounded lists of a clinician: organisations, taxonomy, languages.

use std::fmt;
use std::str::FromStr;

use residency_policy::OrgId;
use residency_policy::licensure::Taxonomy;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

macro_rules! bounded_list {
    ($(#[$doc:meta])* $name:ident: $least:literal to $most:literal of $item:ty, $wrong:ident, $says:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<[$item]>);

        #[doc = concat!("Not ", $says, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("expected {}", $says)]
        pub struct $wrong;

        impl $name {
            /// The most items.
            pub const LEN_MAX: usize = $most;

            /// Checks a list.
            pub fn new(all: Vec<$item>) -> Result<Self, $wrong> {
                let bounded = ($least..=$most).contains(&all.len());
                let doubled = all.iter().enumerate().any(|(at, one)| all[..at].contains(one));
                if bounded && !doubled { Ok(Self(all.into())) } else { Err($wrong) }
            }

            /// The items, in the order given.
            pub fn as_slice(&self) -> &[$item] {
                &self.0
            }

            /// Whether this is one of them.
            pub fn contains(&self, one: $item) -> bool {
                self.0.contains(&one)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.0.iter()).finish()
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

bounded_list! {
    /// For which organisations a clinician works.
    ProviderOrgs: 1 to 16 of OrgId, NotProviderOrgs, "1 to 16 different organisations"
}

bounded_list! {
    /// What a clinician is, the primary one first. The national register takes as many.
    Taxonomies: 1 to 15 of Taxonomy, NotTaxonomies, "1 to 15 different taxonomy codes"
}

bounded_list! {
    /// In which languages a clinician sees patients.
    Languages: 0 to 16 of Language, NotLanguages, "at most 16 different languages"
}

/// A language as BCP 47 writes it, such as `es`, `es-MX` or `zh-Hant`: language, script and region in their usual
/// case. Variants, extensions and private use are left out: they would be room for other things.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language {
    bytes: [u8; Language::LEN_MAX],
    len: u8,
}

/// The text is not a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a language: expected a BCP 47 tag such as es, es-MX or zh-Hant")]
pub struct NotALanguage;

impl Language {
    /// The longest tag, in bytes: language, script and region.
    pub const LEN_MAX: usize = 11;

    /// The tag.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Whether whoever asks for `range` is served: `es` finds `es-MX`, `es-MX` does not find `es` (RFC 4647 section
    /// 3.3.1).
    pub fn is_within(&self, range: &Self) -> bool {
        let rest = self.as_str().strip_prefix(range.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// The language without script and region.
    #[must_use]
    pub fn primary(&self) -> Self {
        let length = self.as_str().find('-').unwrap_or(usize::from(self.len));
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..length].copy_from_slice(&self.bytes[..length]);
        // Shorter than the tag, whose length is a byte.
        Self { bytes, len: u8::try_from(length).unwrap_or(self.len) }
    }
}

fn letters(text: &str, count: std::ops::RangeInclusive<usize>) -> bool {
    count.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

impl FromStr for Language {
    type Err = NotALanguage;

    fn from_str(text: &str) -> Result<Self, NotALanguage> {
        let mut parts = text.split('-');
        let language = parts.next().filter(|part| letters(part, 2..=3)).ok_or(NotALanguage)?;
        let mut tag = language.to_ascii_lowercase();
        let mut next = parts.next();
        if let Some(script) = next.filter(|part| letters(part, 4..=4)) {
            tag.push('-');
            tag.push_str(&script[..1].to_ascii_uppercase());
            tag.push_str(&script[1..].to_ascii_lowercase());
            next = parts.next();
        }
        let is_region =
            |part: &&str| letters(part, 2..=2) || (part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()));
        if let Some(region) = next.filter(is_region) {
            tag.push('-');
            tag.push_str(&region.to_ascii_uppercase());
            next = parts.next();
        }
        if next.is_some() || tag.len() > Self::LEN_MAX {
            return Err(NotALanguage);
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..tag.len()].copy_from_slice(tag.as_bytes());
        Ok(Self { bytes, len: u8::try_from(tag.len()).map_err(|_| NotALanguage)? })
    }
}

residency_policy::spelt!(Language, NotALanguage);

#[cfg(test)]
mod tests {
    use super::*;

    fn language(text: &str) -> Language {
        text.parse().expect("a language")
    }

    #[test]
    fn a_language_has_one_spelling() {
        for (text, canonical) in [
            ("es", "es"),
            ("ES-mx", "es-MX"),
            ("zh-hant", "zh-Hant"),
            ("ase", "ase"),
            ("es-419", "es-419"),
            ("sr-LATN-rs", "sr-Latn-RS"),
        ] {
            assert_eq!(language(text).as_str(), canonical);
        }
        for text in [
            "",
            "e",
            "english",
            "es-",
            "es-MX-x-ana",
            "x-ana",
            "es_MX",
            "es-MXX",
            "de-johnsmit",
            "es-MX-MX",
            "é",
        ] {
            assert_eq!(text.parse::<Language>(), Err(NotALanguage), "{text:?}");
        }
    }

    #[test]
    fn a_range_finds_what_is_narrower() {
        assert!(language("es-MX").is_within(&language("es")));
        assert!(language("es").is_within(&language("es")));
        assert!(!language("es").is_within(&language("es-MX")));
        assert!(!language("est").is_within(&language("es")));
        assert_eq!(language("zh-Hant-TW").primary(), language("zh"));
        assert_eq!(language("ase").primary(), language("ase"));
    }

    #[test]
    fn a_list_is_bounded_and_without_doubles_also_when_it_is_read() {
        let org = |n: u8| OrgId::from_bytes([n; 16]);
        assert_eq!(ProviderOrgs::new(vec![]), Err(NotProviderOrgs));
        assert_eq!(ProviderOrgs::new(vec![org(1), org(1)]), Err(NotProviderOrgs));
        assert_eq!(ProviderOrgs::new((0..17).map(org).collect()), Err(NotProviderOrgs));
        let fine = ProviderOrgs::new((0..16).map(org).collect()).expect("a list");
        assert_eq!(
            postcard::from_bytes::<ProviderOrgs>(&postcard::to_allocvec(&fine).expect("encodes")),
            Ok(fine)
        );
        let doubled = postcard::to_allocvec(&[org(1), org(1)][..]).expect("encodes");
        assert!(postcard::from_bytes::<ProviderOrgs>(&doubled).is_err());
        assert!(Languages::new(vec![]).is_ok());
        assert!(Taxonomies::new(vec![]).is_err());
    }
}
