//! Reads the times that callers send: an instant, or a time on a wall with the zone it hangs in.

use jiff::Timestamp;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{AmbiguousOffset, TimeZone};
use node_access::parameters::bad;
use residency_control::calendar::{Minute, ZoneName};
use residency_policy::{Problem, ProblemKind};

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotATime {
    /// It is not written as one.
    Format,
    /// It does not begin a minute.
    NotAMinute,
    /// Its zone is none.
    Zone,
    /// The clock in that zone never shows it on that day.
    Skipped,
    /// The clock in that zone shows it twice on that day.
    Twice,
}

impl NotATime {
    /// The refusal of a member of a body.
    pub fn of_field(self, pointer: &'static str) -> Problem {
        match self {
            Self::Format => Problem::new(ProblemKind::Invalid).field(
                pointer,
                "format",
                "expected an instant such as 2026-12-01T15:00:00Z, or 2026-12-01T09:00[America/Chicago]",
            ),
            Self::NotAMinute => {
                Problem::new(ProblemKind::Invalid).field(pointer, "not-a-minute", "expected a whole minute")
            }
            named => named.named(pointer),
        }
    }

    /// The refusal of a query parameter.
    pub fn of_parameter(self, name: &'static str) -> Problem {
        match self {
            Self::Format | Self::NotAMinute => {
                bad(name, "format", "is a date, or an instant such as 2026-12-01T15:00:00Z")
            }
            named => named.named(name),
        }
    }

    fn named(self, pointer: &'static str) -> Problem {
        let (kind, detail) = match self {
            Self::Zone => (ProblemKind::UnknownZone, "expected a name of the IANA database"),
            Self::Skipped => (ProblemKind::NoSuchLocalTime, "the clock is changed past this time on that day"),
            Self::Twice => (ProblemKind::AmbiguousLocalTime, "add the offset that is meant, such as -05:00"),
            Self::Format | Self::NotAMinute => (ProblemKind::Invalid, "expected a time"),
        };
        Problem::new(kind).field(pointer, kind.slug(), detail)
    }
}

/// A zone by its name.
pub fn zone(text: &str) -> Result<TimeZone, NotATime> {
    let name: ZoneName = text.parse().map_err(|_| NotATime::Zone)?;
    name.find().map_err(|_| NotATime::Zone)
}

/// The minute that a text names: RFC 3339, or RFC 9557 with a zone.
pub fn minute(text: &str) -> Result<Minute, NotATime> {
    let pieces = pieces(text)?;
    Minute::at(instant_of(&pieces, None)?).ok_or(NotATime::NotAMinute)
}

/// The instant that a query parameter names: as above, or a date, which begins with its first instant in `zone`.
pub fn instant_or_date(text: &str, zone: &TimeZone) -> Result<Timestamp, NotATime> {
    instant_of(&pieces(text)?, Some(zone))
}

fn pieces(text: &str) -> Result<Pieces<'_>, NotATime> {
    // The longest that anybody needs: an instant, its offset and a zone.
    if text.len() > 80 || !text.is_ascii() {
        return Err(NotATime::Format);
    }
    Pieces::parse(text).map_err(|_| NotATime::Format)
}

fn instant_of(pieces: &Pieces<'_>, of_dates: Option<&TimeZone>) -> Result<Timestamp, NotATime> {
    let named = match pieces.time_zone_annotation() {
        None => None,
        Some(annotation) => {
            // An offset in brackets is no zone: it does not say when a clock is changed.
            let name = annotation.kind();
            let name = match name {
                jiff::fmt::temporal::TimeZoneAnnotationKind::Named(name) => name.as_str(),
                _ => return Err(NotATime::Zone),
            };
            Some(zone(name)?)
        }
    };
    let Some(time) = pieces.time() else {
        let zone = named.as_ref().or(of_dates).filter(|_| pieces.offset().is_none()).ok_or(NotATime::Format)?;
        let midnight = pieces.date().to_zoned(zone.clone()).and_then(|zoned| zoned.start_of_day());
        return of_dates.and(midnight.ok()).map(|zoned| zoned.timestamp()).ok_or(NotATime::Format);
    };
    let wall = pieces.date().to_datetime(time);
    let offset = match pieces.offset() {
        Some(PiecesOffset::Zulu) => Some(jiff::tz::Offset::UTC),
        Some(PiecesOffset::Numeric(numeric)) => Some(numeric.offset()),
        Some(_) => return Err(NotATime::Format),
        None => None,
    };
    match (offset, named) {
        (Some(offset), None) => offset.to_timestamp(wall).map_err(|_| NotATime::Format),
        (Some(offset), Some(zone)) => {
            let instant = offset.to_timestamp(wall).map_err(|_| NotATime::Format)?;
            // `Z` says which instant and nothing of the clock on the wall (RFC 9557 section 2); `+00:00` does.
            let zulu = matches!(pieces.offset(), Some(PiecesOffset::Zulu));
            let agrees = zulu || zone.to_offset(instant) == offset;
            if agrees { Ok(instant) } else { Err(NotATime::Skipped) }
        }
        (None, Some(zone)) => match zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).map_err(|_| NotATime::Format),
            AmbiguousOffset::Gap { .. } => Err(NotATime::Skipped),
            AmbiguousOffset::Fold { .. } => Err(NotATime::Twice),
        },
        (None, None) => Err(NotATime::Format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, NotATime> {
        minute(text).map(|minute| minute.timestamp().to_string())
    }

    #[test]
    fn an_instant_may_be_written_with_or_without_a_zone() {
        for text in [
            "2026-12-01T15:00:00Z",
            "2026-12-01T10:00:00-05:00",
            "2026-12-01T10:00[America/New_York]",
            "2026-12-01T10:00:00-05:00[America/New_York]",
            "2026-12-01T15:00Z[America/New_York]",
        ] {
            assert_eq!(read(text).as_deref(), Ok("2026-12-01T15:00:00Z"), "{text}");
        }
    }

    #[test]
    fn a_time_that_is_skipped_or_comes_twice_is_refused_by_its_name() {
        assert_eq!(read("2026-03-08T02:30[America/New_York]"), Err(NotATime::Skipped));
        assert_eq!(read("2026-03-08T02:30-05:00[America/New_York]"), Err(NotATime::Skipped));
        assert_eq!(read("2026-12-01T15:00+00:00[America/New_York]"), Err(NotATime::Skipped));
        assert_eq!(read("2026-11-01T01:30[America/New_York]"), Err(NotATime::Twice));
        let first = read("2026-11-01T01:30-04:00[America/New_York]");
        let second = read("2026-11-01T01:30-05:00[America/New_York]");
        assert_eq!(
            (first.as_deref(), second.as_deref()),
            (Ok("2026-11-01T05:30:00Z"), Ok("2026-11-01T06:30:00Z"))
        );
        for text in ["2026-03-08T02:30[America/Phoenix]", "2026-11-01T01:30[America/Phoenix]"] {
            assert!(read(text).is_ok(), "{text}: no clock is changed there");
        }
        let slugs =
            [NotATime::Zone, NotATime::Skipped, NotATime::Twice].map(|n| n.of_field("/start").kind().slug());
        assert_eq!(slugs, ["unknown-zone", "no-such-local-time", "ambiguous-local-time"]);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let long = format!("2026-12-01T15:00:00Z{}", "[a=b]".repeat(40));
        for (text, wrong) in [
            ("", NotATime::Format),
            ("tomorrow", NotATime::Format),
            ("2026-12-01", NotATime::Format),
            ("2026-12-01T15:00", NotATime::Format),
            ("2026-02-30T15:00:00Z", NotATime::Format),
            ("2026-12-01T15:00:30Z", NotATime::NotAMinute),
            ("1969-12-01T15:00:00Z", NotATime::NotAMinute),
            ("2026-12-01T10:00[America/Nowhere]", NotATime::Zone),
            ("2026-12-01T10:00[america/new_york]", NotATime::Zone),
            ("2026-12-01T10:00[-05:00]", NotATime::Zone),
            (&long, NotATime::Format),
        ] {
            assert_eq!(read(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn a_date_begins_with_its_first_instant() {
        let of = |text, name| {
            let zone = zone(name).expect("a zone");
            instant_or_date(text, &zone).map(|instant| instant.to_string())
        };
        assert_eq!(of("2026-12-01", "America/New_York").as_deref(), Ok("2026-12-01T05:00:00Z"));
        // In Havana the clock is changed at midnight: the day begins at one.
        assert_eq!(of("2026-03-08", "America/Havana").as_deref(), Ok("2026-03-08T05:00:00Z"));
        assert_eq!(of("2026-12-01T10:00Z", "UTC").as_deref(), Ok("2026-12-01T10:00:00Z"));
        assert_eq!(of("2026-12-01T10:00", "UTC"), Err(NotATime::Format));
    }
}
