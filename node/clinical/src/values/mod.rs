//! Values that are right by construction: whoever holds one need not check it again.
//!
//! Every type reads its text with `parse`, which says what is wrong by constants of the program and never repeats
//! the text. The types that can hold PHI print nothing but their own name, and a body that cannot be read is
//! refused without an echo: `serde`'s own messages quote the input, so they are replaced here.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// What all text values have in common: read by `parse`, written as a JSON string, printed by name only.
macro_rules! text_value {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::values::read_text(deserializer, Self::parse)
            }
        }
    };
}

mod address;
mod birth_date;
mod city;
mod dea;
mod email;
mod fields;
mod icd10;
mod loinc;
mod money;
mod mrn;
mod npi;
mod person_name;
mod phone;
mod postal_code;
mod readable;
mod sex;
mod state;
mod street_line;
mod words;

pub use address::Address;
pub use birth_date::BirthDate;
pub use city::City;
pub use dea::Dea;
pub use email::Email;
pub use fields::{Fields, Given, Raw};
pub use icd10::Icd10;
pub use loinc::Loinc;
pub use money::{Currency, Money};
pub use mrn::Mrn;
pub use npi::parse_npi;
pub use person_name::PersonName;
pub use phone::PhoneE164;
pub use postal_code::PostalCode;
pub use sex::Sex;
pub use state::State;
pub use street_line::StreetLine;
pub(crate) use words::words;

/// Why a text is not such a value. Both parts are constants of the program: a value cannot travel in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// A stable word for programs.
    pub code: &'static str,
    /// What would be right, for people.
    pub detail: &'static str,
}

impl Wrong {
    /// Something required is not there.
    pub const REQUIRED: Self = Self { code: "required", detail: "this field is required" };
    /// Something is there, and it is not a JSON string.
    pub const NOT_TEXT: Self = Self { code: "type", detail: "expected a string" };

    const fn new(code: &'static str, detail: &'static str) -> Self {
        Self { code, detail }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl std::error::Error for Wrong {}

/// Reads a value from a string; an error says what would be right, and not what was there.
fn read_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, Wrong>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(Wrong::NOT_TEXT))?;
    parse(&text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that a caller or a patient wrote appears in what is printed or in what is answered.
    #[test]
    fn neither_debug_nor_an_error_repeats_a_value() {
        const CANARY: &str = "zzphi7q";
        let name = PersonName::parse(CANARY).expect("a name");
        let printed = [
            format!("{name:?}"),
            format!("{:?}", Email::parse("zzphi7q@example.com")),
            format!("{:?}", City::parse(CANARY)),
            format!("{:?}", StreetLine::parse(CANARY)),
            format!("{:?}", Mrn::parse(CANARY)),
            format!("{:?}", Sex::parse("female")),
        ];
        for text in printed {
            assert!(!text.to_lowercase().contains(CANARY) && !text.contains("emale"), "{text}");
        }
        let wrong = [
            serde_json::from_str::<Email>("\"zzphi7q\"").err().map(|e| e.to_string()),
            serde_json::from_str::<PhoneE164>("19905550100").err().map(|e| e.to_string()),
            serde_json::from_str::<BirthDate>("[\"zzphi7q\"]").err().map(|e| e.to_string()),
            serde_json::from_str::<BirthDate>("\"zzphi7q\"").err().map(|e| e.to_string()),
            serde_json::from_str::<Sex>("\"zzphi7q\"").err().map(|e| e.to_string()),
            serde_json::from_str::<Money>("{\"minor\":1.5,\"currency\":\"zzphi7q\"}")
                .err()
                .map(|e| e.to_string()),
            serde_json::from_str::<Address>("{\"zzphi7q\":1}").err().map(|e| e.to_string()),
            serde_json::from_str::<Address>("\"zzphi7q\"").err().map(|e| e.to_string()),
        ];
        for text in wrong {
            let text = text.expect("is refused");
            assert!(!text.contains(CANARY) && !text.contains("555"), "{text}");
        }
        // The control: serde by itself does repeat the value, so the assertion above can fail.
        let own = serde_json::from_str::<u8>("\"zzphi7q\"").expect_err("is refused").to_string();
        assert!(own.contains(CANARY), "{own}");
    }
}
