//! Real towns with their ZIP Codes, time zones and area codes.

use std::sync::OnceLock;

use residency_policy::Jurisdiction;

/// A town as mail and clocks know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose law applies there.
    pub jurisdiction: Jurisdiction,
    /// Five digits.
    pub postal_code: &'static str,
    /// The town.
    pub city: &'static str,
    /// The county, or nothing where the source has none.
    pub county: &'static str,
    /// The IANA time zone.
    pub time_zone: &'static str,
    /// Telephone area codes in use there.
    pub area_codes: Vec<&'static str>,
}

fn table() -> &'static [Place] {
    static TABLE: OnceLock<Vec<Place>> = OnceLock::new();
    TABLE.get_or_init(|| {
        include_str!("../data/places.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let mut column = line.split('\t');
                Some(Place {
                    jurisdiction: Jurisdiction::from_postal(column.next()?).ok()?,
                    postal_code: column.next()?,
                    city: column.next()?,
                    county: column.next()?,
                    time_zone: column.next()?,
                    area_codes: column.next()?.split(',').collect(),
                })
            })
            .collect()
    })
}

/// The places of one jurisdiction: at least one for each.
pub fn places(jurisdiction: Jurisdiction) -> &'static [Place] {
    // The table has each jurisdiction's lines together, which the test below holds it to.
    let table = table();
    let first = table.iter().position(|place| place.jurisdiction == jurisdiction).unwrap_or(table.len());
    let rest = &table[first..];
    let len = rest.iter().position(|place| place.jurisdiction != jurisdiction).unwrap_or(rest.len());
    &rest[..len]
}

/// Every area code, in order, each once.
pub(crate) fn area_codes() -> &'static [&'static str] {
    static CODES: OnceLock<Vec<&'static str>> = OnceLock::new();
    CODES.get_or_init(|| {
        let mut codes: Vec<_> = table().iter().flat_map(|place| place.area_codes.iter().copied()).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jurisdiction_has_places_and_every_line_is_read() {
        let lines = include_str!("../data/places.tsv").lines().filter(|line| !line.starts_with('#')).count();
        let read: usize = Jurisdiction::all().map(|j| places(j).len()).sum();
        assert_eq!(read, lines, "a line is not read, or a jurisdiction's lines are not together");
        for jurisdiction in Jurisdiction::all() {
            // American Samoa and Wake Island have one ZIP Code each, the Northern Marianas three.
            let least = match jurisdiction.postal() {
                "AS" | "UM" => 1,
                "MP" => 3,
                "CA" | "NY" | "TX" => 30,
                _ => 8,
            };
            assert!(places(jurisdiction).len() >= least, "{jurisdiction}: {}", places(jurisdiction).len());
        }
    }

    #[test]
    fn every_place_is_well_formed() {
        for place in table() {
            assert!(place.postal_code.len() == 5 && place.postal_code.bytes().all(|b| b.is_ascii_digit()));
            assert!(!place.city.is_empty() && !place.area_codes.is_empty(), "{place:?}");
            assert!(jiff::tz::TimeZone::get(place.time_zone).is_ok(), "{place:?}");
        }
        for code in area_codes() {
            let bytes = code.as_bytes();
            assert!(bytes.len() == 3 && bytes[0] >= b'2' && bytes[1] != b'9' && &bytes[1..] != b"11", "{code}");
        }
    }
}
