//! The name of a time zone, and the one database that it is looked up in.

use std::str::FromStr;
use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// A name of the IANA database, such as `America/New_York`: 1 to 40 characters of `[A-Za-z0-9_+/-]` that begin with
/// a letter. Whether there is such a zone is asked by whoever proposes: members with another database must not come
/// to another state.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(Box<str>);

/// The text is not the name of a time zone that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time zone: expected a name of the IANA database such as America/New_York")]
pub struct NotAZone;

/// The database in the program. The machine's own may be older or newer, and two machines' may differ.
static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

impl ZoneName {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 40;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The zone, if the database in the program has one of exactly this name.
    pub fn find(&self) -> Result<TimeZone, NotAZone> {
        let zone = BUNDLED.get(&self.0).map_err(|_| NotAZone)?;
        // Look-ups ignore case; one zone must not have two names here.
        if zone.iana_name() == Some(self.as_str()) { Ok(zone) } else { Err(NotAZone) }
    }
}

impl FromStr for ZoneName {
    type Err = NotAZone;

    fn from_str(text: &str) -> Result<Self, NotAZone> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'/' | b'-');
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !begins || text.len() > Self::LEN_MAX || !text.bytes().all(allowed) {
            return Err(NotAZone);
        }
        Ok(Self(text.into()))
    }
}

residency_policy::spelt!(ZoneName, NotAZone);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_one_of_the_database_by_its_one_name() {
        for text in
            ["America/New_York", "America/Phoenix", "America/Argentina/Buenos_Aires", "UTC", "Pacific/Guam"]
        {
            let name: ZoneName = text.parse().expect(text);
            assert!(name.find().is_ok(), "{text}");
        }
        for text in ["america/new_york", "America/Nowhere", "EST5EDT4", "America", "Etc"] {
            let name: Result<ZoneName, _> = text.parse();
            assert_eq!(name.and_then(|name| name.find().map(|_| ())), Err(NotAZone), "{text}");
        }
        let long = "A".repeat(41);
        for text in ["", "/etc/passwd", "../x", "America/New York", "+05:00", "Ana Sample", "é", &long] {
            assert_eq!(text.parse::<ZoneName>(), Err(NotAZone), "{text:?}");
        }
    }
}
