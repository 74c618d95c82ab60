//! A rules' file as it is written, before its words are understood.

use jiff::civil::Date;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{AfterDeparture, Departure, TransitMode};

/// What every rule says of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) home: String,
    #[serde(default)]
    pub(super) ingress: Option<String>,
    #[serde(default)]
    pub(super) to: Option<String>,
    pub(super) category: String,
    #[serde(default)]
    pub(super) mode: Option<TransitMode>,
    #[serde(default)]
    pub(super) departure: Option<Departure>,
    #[serde(default)]
    pub(super) after_departure: Option<AfterDeparture>,
    #[serde(default)]
    pub(super) years_min: Option<u16>,
    #[serde(deserialize_with = "toml_date")]
    pub(super) effective_from: Date,
    #[serde(default, deserialize_with = "toml_date_perhaps")]
    pub(super) effective_to: Option<Date>,
    pub(super) citation: String,
}

impl Written {
    /// How many keys are given that only one kind of rule has.
    pub(super) fn keys_of_a_kind(&self) -> usize {
        let given = [
            self.ingress.is_some(),
            self.to.is_some(),
            self.mode.is_some(),
            self.departure.is_some(),
            self.after_departure.is_some(),
            self.years_min.is_some(),
        ];
        given.into_iter().filter(|given| *given).count()
    }
}

/// A date as TOML writes it, without quotes. A day has no hour, so neither has a rule's first day.
pub(crate) fn toml_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let written = toml::value::Datetime::deserialize(deserializer)?;
    let wrong = || D::Error::custom("expected a day such as 2027-07-01, without quotes and without a time");
    match (written.date, written.time, written.offset) {
        (Some(day), None, None) => {
            let number = |n: u8| i8::try_from(n).map_err(|_| wrong());
            let year = i16::try_from(day.year).map_err(|_| wrong())?;
            Date::new(year, number(day.month)?, number(day.day)?).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

pub(crate) fn toml_date_perhaps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    toml_date(deserializer).map(Some)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) version: u64,
    #[serde(default)]
    pub(super) transit: Vec<Written>,
    #[serde(default)]
    pub(super) departure: Vec<Written>,
    #[serde(default)]
    pub(super) retention: Vec<Written>,
}
