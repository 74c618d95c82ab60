//! On which dates a visit takes place where the patient is: what a licence is asked for.
//!
//! A licence counts by the day of the place, and a place may have two zones. Where in it the patient is, is not known
//! to whoever keeps a calendar, so a visit is on every date that any of its clocks shows while it lasts.

use jiff::tz::TimeZone;
use residency_policy::Jurisdiction;

use super::minute::Day;
use super::slots::{Slot, dates};
use super::zone::ZoneName;

/// Places with more zones than one, or with another than their neighbours' (tzdb 2026, `zone1970.tab`).
const ZONES: &[(&str, &[&str])] = &[
    (
        "America/New_York",
        &[
            "US-CT", "US-DC", "US-DE", "US-FL", "US-GA", "US-IN", "US-KY", "US-MA", "US-MD", "US-ME", "US-MI",
            "US-NC", "US-NH", "US-NJ", "US-NY", "US-OH", "US-PA", "US-RI", "US-SC", "US-TN", "US-VA", "US-VT",
            "US-WV",
        ],
    ),
    (
        "America/Chicago",
        &[
            "US-AL", "US-AR", "US-FL", "US-IA", "US-IL", "US-IN", "US-KS", "US-KY", "US-LA", "US-MI", "US-MN",
            "US-MO", "US-MS", "US-ND", "US-NE", "US-OK", "US-SD", "US-TN", "US-TX", "US-WI",
        ],
    ),
    (
        "America/Denver",
        &[
            "US-AZ", "US-CO", "US-ID", "US-KS", "US-MT", "US-ND", "US-NE", "US-NM", "US-NV", "US-OR", "US-SD",
            "US-TX", "US-UT", "US-WY",
        ],
    ),
    ("America/Phoenix", &["US-AZ"]),
    ("America/Los_Angeles", &["US-CA", "US-ID", "US-NV", "US-OR", "US-WA"]),
    ("America/Anchorage", &["US-AK"]),
    ("America/Adak", &["US-AK"]),
    ("Pacific/Honolulu", &["US-HI"]),
    ("America/Puerto_Rico", &["US-PR", "US-VI"]),
    ("Pacific/Guam", &["US-GU", "US-MP"]),
    ("Pacific/Pago_Pago", &["US-AS", "US-UM"]),
    ("Pacific/Wake", &["US-UM"]),
];

/// The names of the zones whose clocks hang in a jurisdiction, from east to west.
pub fn zone_names(place: Jurisdiction) -> impl Iterator<Item = ZoneName> {
    ZONES
        .iter()
        .filter(move |(_, places)| places.contains(&place.code()))
        .filter_map(|(name, _)| name.parse().ok())
}

fn zones_of(place: Jurisdiction) -> impl Iterator<Item = TimeZone> {
    zone_names(place).filter_map(|name| name.find().ok())
}

/// The dates on which a visit takes place in a jurisdiction, ascending.
pub fn service_days(place: Jurisdiction, slot: Slot) -> Vec<Day> {
    let mut days: Vec<Day> = zones_of(place).flat_map(|zone| dates(&zone, slot)).collect();
    days.sort_unstable();
    days.dedup();
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Minute;

    #[test]
    fn every_jurisdiction_has_a_clock() {
        for place in Jurisdiction::all() {
            assert!(zones_of(place).count() > 0, "{place:?}");
        }
        let names: usize = ZONES.iter().map(|(name, _)| usize::from(name.parse::<ZoneName>().is_ok())).sum();
        let found = ZONES.iter().filter_map(|(name, _)| name.parse::<ZoneName>().ok()?.find().ok()).count();
        assert_eq!((names, found), (ZONES.len(), ZONES.len()));
    }

    #[test]
    fn a_visit_is_on_the_dates_of_the_place() {
        let days = |code: &str, start: &str, minutes: u32| {
            let start = Minute::at(start.parse().expect("an instant")).expect("a minute");
            let slot = Slot { start, end: start.plus(minutes) };
            let days = service_days(code.parse().expect("a jurisdiction"), slot);
            days.into_iter().map(|day| day.date().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(days("US-CA", "2027-01-01T07:00:00Z", 60), ["2026-12-31"], "it ends at midnight");
        assert_eq!(days("US-CA", "2027-01-01T07:30:00Z", 60), ["2026-12-31", "2027-01-01"]);
        assert_eq!(
            days("US-TX", "2027-01-01T06:00:00Z", 30),
            ["2026-12-31", "2027-01-01"],
            "El Paso is behind"
        );
        assert_eq!(days("US-NY", "2027-01-01T06:00:00Z", 30), ["2027-01-01"]);
        assert_eq!(days("US-GU", "2026-12-31T15:00:00Z", 30), ["2027-01-01"]);
    }
}
