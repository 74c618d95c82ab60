//! The day a person was born.

use jiff::civil::{Date, date};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Wrong;

/// A real day from 1890 on. That it is not in the future is checked when it comes in, because what is "today" is an
/// argument; what was sealed has passed that check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BirthDate(Date);

impl BirthDate {
    /// The first day that is accepted. The oldest person on record was born in 1875; nobody born before 1890 lives.
    pub const FIRST: Date = date(1890, 1, 1);

    /// Reads a day that `today` has reached.
    pub fn parse(text: &str, today: Date) -> Result<Self, Wrong> {
        let born = Self::read(text)?;
        if born.0 > today { Err(Wrong::new("future", "a birth date is not in the future")) } else { Ok(born) }
    }

    /// The day.
    pub fn date(self) -> Date {
        self.0
    }

    /// What a search compares: the ISO 8601 form.
    pub fn normalised(&self) -> String {
        self.0.to_string()
    }

    fn read(text: &str) -> Result<Self, Wrong> {
        const FORMAT: Wrong = Wrong::new("format", "expected a real day as YYYY-MM-DD");
        // jiff reads several spellings of a day; one is enough.
        let shaped = text.len() == 10
            && text
                .bytes()
                .enumerate()
                .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
        let born = if shaped { text.parse().map_err(|_| FORMAT)? } else { return Err(FORMAT) };
        if born < Self::FIRST {
            return Err(Wrong::new("too-early", "a birth date before 1890 is not accepted"));
        }
        Ok(Self(born))
    }
}

impl std::fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BirthDate")
    }
}

impl Serialize for BirthDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.normalised())
    }
}

impl<'de> Deserialize<'de> for BirthDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::read_text(deserializer, Self::read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = date(2026, 11, 22);

    #[test]
    fn real_days_up_to_today_are_accepted() {
        for text in ["1890-01-01", "1926-11-22", "2000-02-29", "2024-02-29", "2026-11-22"] {
            assert_eq!(BirthDate::parse(text, TODAY).map(|b| b.normalised()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn other_days_are_refused() {
        for (text, code) in [
            ("2026-11-23", "future"),
            ("9999-12-31", "future"),
            ("1889-12-31", "too-early"),
            ("0000-01-01", "too-early"),
            ("2023-02-29", "format"),
            ("1900-02-29", "format"),
            ("2024-13-01", "format"),
            ("2024-00-10", "format"),
            ("20240229", "format"),
            ("2024-2-29", "format"),
            ("02/29/2024", "format"),
            ("2024-02-29T00:00:00", "format"),
            ("-002024-02", "format"),
            ("２０２４-02", "format"),
            ("", "format"),
        ] {
            assert_eq!(BirthDate::parse(text, TODAY).map_err(|w| w.code), Err(code), "{text:?}");
        }
    }
}
