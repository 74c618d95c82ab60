//! Time as the calendars count it: whole minutes, whole days, no zone.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A minute of UTC: how many have passed since the Unix epoch. Enough until the year 10135.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minute(pub u32);

impl Minute {
    /// The minute that begins at this instant; `None` where none does.
    pub fn at(instant: Timestamp) -> Option<Self> {
        let seconds = instant.as_second();
        let whole = seconds % 60 == 0 && instant.subsec_nanosecond() == 0;
        whole.then(|| u32::try_from(seconds / 60).ok().map(Self)).flatten()
    }

    /// The first minute that does not begin before this instant.
    pub fn from_instant(instant: Timestamp) -> Self {
        let seconds = instant.as_second() + i64::from(instant.subsec_nanosecond() > 0);
        Self::from_seconds(seconds.saturating_add(59))
    }

    /// The minute in which this second after the epoch lies.
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        Self(u32::try_from(seconds.max(0) / 60).unwrap_or(u32::MAX))
    }

    /// The instant at which it begins.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_second(i64::from(self.0) * 60).unwrap_or(Timestamp::MAX)
    }

    /// This many minutes later.
    #[must_use]
    pub const fn plus(self, minutes: u32) -> Self {
        Self(self.0.saturating_add(minutes))
    }

    /// This many minutes earlier.
    #[must_use]
    pub const fn minus(self, minutes: u32) -> Self {
        Self(self.0.saturating_sub(minutes))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl fmt::Debug for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A day of a calendar on a wall: how many have passed since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub i32);

const EPOCH: Date = date(1970, 1, 1);

impl Day {
    /// The day of this date.
    pub fn of(date: Date) -> Self {
        // Dates reach from -9999 to 9999: some four million days to either side.
        let midnight = date.to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_second());
        Self(i32::try_from(midnight.div_euclid(86_400)).unwrap_or(0))
    }

    /// The date.
    pub fn date(self) -> Date {
        EPOCH.saturating_add(jiff::Span::new().try_days(self.0).unwrap_or_default())
    }

    /// This many days later.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// 0 on a Monday, 6 on a Sunday.
    pub fn weekday(self) -> u8 {
        // The first of January 1970 was a Thursday.
        u8::try_from(self.0.wrapping_add(3).rem_euclid(7)).unwrap_or(0)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_begins_where_an_instant_says() {
        let at: Timestamp = "2026-11-22T03:07:00Z".parse().expect("an instant");
        let minute = Minute::at(at).expect("a minute");
        assert_eq!((minute.timestamp(), Minute::from_instant(at)), (at, minute));
        let later: Timestamp = "2026-11-22T03:07:00.000000001Z".parse().expect("an instant");
        assert_eq!((Minute::at(later), Minute::from_instant(later)), (None, minute.plus(1)));
        assert_eq!(Minute::at("1969-12-31T23:59:00Z".parse().expect("an instant")), None);
    }

    #[test]
    fn a_day_is_its_date_and_knows_its_weekday() {
        for (text, weekday) in [("1970-01-01", 3), ("2026-11-22", 6), ("2026-11-23", 0), ("1969-12-29", 0)] {
            let date: Date = text.parse().expect("a date");
            let day = Day::of(date);
            assert_eq!((day.date(), day.weekday()), (date, weekday), "{text}");
        }
        assert_eq!(Day(0).plus(1).date().to_string(), "1970-01-02");
    }
}
