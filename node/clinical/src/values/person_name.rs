//! A given or a family name.

use storage::IndexField;

use super::Wrong;
use super::readable::readable;

/// One to 100 characters in normalisation form C. People's names follow no grammar, so none is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The longest name, in characters.
    pub const CHARS_MAX: usize = 100;

    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let name = readable(text, Self::CHARS_MAX).map(Self)?;
        // A mark alone, such as the Telugu length mark, is readable and leaves nothing to search by.
        if name.normalised().is_empty() {
            return Err(Wrong::new("blank", "expected at least one letter or digit"));
        }
        Ok(name)
    }

    /// What a search compares: capitals, without accents, punctuation and blanks, so that `O'Brien-Núñez` is found
    /// as `obrien nunez`.
    pub fn normalised(&self) -> String {
        IndexField::FamilyName.normalise(&self.0)
    }
}

text_value!(PersonName);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_as_people_have_them_are_accepted() {
        for text in [
            "X",
            "Ana",
            "O'Brien",
            "Nguyễn",
            "de la Cruz",
            "Smith-Jones",
            "محمد",
            "李",
            "St. John",
            "Björk Guðmundsdóttir",
        ] {
            assert_eq!(PersonName::parse(text).map(|n| n.as_str().to_owned()).as_deref(), Ok(text));
        }
        assert!(PersonName::parse(&"é".repeat(100)).is_ok());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, code) in [
            ("", "blank"),
            (" \t ", "blank"),
            ("'", "blank"),
            ("\u{C55}", "blank"),
            ("A\0", "control-character"),
            ("A\u{7}", "control-character"),
        ] {
            assert_eq!(PersonName::parse(text).map_err(|w| w.code), Err(code), "{text:?}");
        }
        assert_eq!(PersonName::parse(&"é".repeat(101)).map_err(|w| w.code), Err("too-long"));
    }

    #[test]
    fn a_search_forgives_case_accents_and_punctuation() {
        for (one, other) in [
            ("O'Brien", "obrien"),
            ("O\u{2019}Brien", "OBRIEN"),
            ("Núñez", "nunez"),
            ("Smith-Jones", "smith jones"),
            ("Groß", "GROSS"),
            ("De La Cruz", "delacruz"),
            ("مُحَمَّد", "محمد"),
        ] {
            let normalised = |text| PersonName::parse(text).expect("a name").normalised();
            assert_eq!(normalised(one), normalised(other));
        }
        let normalised = |text| PersonName::parse(text).expect("a name").normalised();
        assert_ne!(normalised("राम"), normalised("रमा"), "vowel signs are letters");
    }

    proptest! {
        #[test]
        fn a_name_reads_back_as_itself_and_is_never_searched_by_nothing(text in "\\PC{0,120}") {
            if let Ok(name) = PersonName::parse(&text) {
                prop_assert!(PersonName::parse(name.as_str()) == Ok(name.clone()));
                prop_assert!(!name.normalised().is_empty());
                let json = serde_json::to_string(&name).expect("writes");
                prop_assert!(serde_json::from_str::<PersonName>(&json).ok() == Some(name));
            }
        }
    }
}
