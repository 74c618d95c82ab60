//! One licence, certificate or privilege of a clinician, and the bounded list of them.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Compact;
use crate::Jurisdiction;
use crate::workforce::words;

/// A licence as its issuer published it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Licence {
    /// Who issued it: the state of the board. For what a compact gives on the strength of a home licence (a
    /// multistate licence, a certificate) this is the home state; for a privilege it is the state that it is for.
    pub jurisdiction: Jurisdiction,
    /// What it is.
    pub kind: LicenceKind,
    /// Its number, as printed by the board.
    pub number: LicenceNumber,
    /// Its state at the board.
    pub status: LicenceStatus,
    /// The day on which that state began. A status that takes authority away does so from this day.
    pub status_since: Date,
    /// Its first day. After a reinstatement, the day of that.
    pub from: Date,
    /// Its last day, in the issuer's own calendar. None where the issuer sets none.
    pub until: Option<Date>,
    /// Where it was looked up.
    pub source: LicenceSource,
    /// The day on which it was looked up.
    pub verified: Date,
}

/// What a licence is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LicenceKind {
    /// A full and unrestricted licence of one jurisdiction.
    Full,
    /// A registration of a clinician of elsewhere for telehealth into one jurisdiction.
    Telehealth,
    /// What a compact gives. What that is depends on the compact.
    Compact(Compact),
}

impl LicenceKind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Telehealth => "telehealth",
            Self::Compact(compact) => compact.as_str(),
        }
    }

    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Full, Self::Telehealth].into_iter().chain(Compact::ALL.iter().copied().map(Self::Compact))
    }
}

/// The text is not a kind of licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of licence: expected full, telehealth or the name of a compact")]
pub struct NotALicenceKind;

impl FromStr for LicenceKind {
    type Err = NotALicenceKind;

    fn from_str(text: &str) -> Result<Self, NotALicenceKind> {
        Self::all().find(|kind| kind.as_str() == text).ok_or(NotALicenceKind)
    }
}

impl fmt::Display for LicenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LicenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

words! {
    /// The state of a licence at its board.
    LicenceStatus, NotALicenceStatus, "the status of a licence" {
        /// In force.
        Active = "active",
        /// Its time is over.
        Expired = "expired",
        /// Taken away for a time.
        Suspended = "suspended",
        /// Taken away.
        Revoked = "revoked",
        /// Given back.
        Surrendered = "surrendered",
        /// Applied for and not given yet.
        Pending = "pending",
    }
}

words! {
    /// Where a licence was looked up: primary sources only, since what a clinician says of themselves proves nothing.
    LicenceSource, NotALicenceSource, "a source of licences" {
        /// The register of the state's board.
        StateBoard = "state-board",
        /// Nursys, the boards' own register of nurses.
        Nursys = "nursys",
        /// The Federation of State Medical Boards.
        Fsmb = "fsmb",
        /// The commission of a compact.
        CompactCommission = "compact-commission",
    }
}

/// A licence's number: 1 to 24 of `A-Z a-z 0-9 . / -`, at least one of them a digit. Public, and too narrow for a
/// sentence or a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LicenceNumber {
    bytes: [u8; LicenceNumber::LEN_MAX],
    len: u8,
}

/// The text is not a licence's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a licence's number: expected 1 to 24 letters, digits and . / -, with at least one digit")]
pub struct NotALicenceNumber;

impl LicenceNumber {
    /// The longest number, in bytes.
    pub const LEN_MAX: usize = 24;

    /// The number as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl FromStr for LicenceNumber {
    type Err = NotALicenceNumber;

    fn from_str(text: &str) -> Result<Self, NotALicenceNumber> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'-');
        let fits = (1..=Self::LEN_MAX).contains(&text.len())
            && text.bytes().all(allowed)
            && text.bytes().any(|b| b.is_ascii_digit());
        if !fits {
            return Err(NotALicenceNumber);
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: u8::try_from(text.len()).map_err(|_| NotALicenceNumber)? })
    }
}

crate::spelt!(LicenceNumber, NotALicenceNumber);

/// The licences of one clinician: at most [`Licences::LEN_MAX`], each coherent, no number twice in one jurisdiction.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Licence>", into = "Vec<Licence>")]
pub struct Licences(Box<[Licence]>);

/// Why licences do not make a list. The number is the place in the list, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLicences {
    /// There are more than the bound.
    #[error("more than {} licences", Licences::LEN_MAX)]
    TooMany,
    /// It ends before it begins.
    #[error("licence {0} ends before it begins")]
    EndsBeforeItBegins(usize),
    /// Its number stands before it in the list already, for the same jurisdiction.
    #[error("licence {0} has the number of another one of the same jurisdiction")]
    SameNumber(usize),
}

impl Licences {
    /// The most licences: every jurisdiction, and some of the compacts.
    pub const LEN_MAX: usize = 64;

    /// Checks a list.
    pub fn new(all: Vec<Licence>) -> Result<Self, NotLicences> {
        if all.len() > Self::LEN_MAX {
            return Err(NotLicences::TooMany);
        }
        for (at, one) in all.iter().enumerate() {
            if one.until.is_some_and(|until| until < one.from) {
                return Err(NotLicences::EndsBeforeItBegins(at));
            }
            let same = |other: &Licence| other.jurisdiction == one.jurisdiction && other.number == one.number;
            if all[..at].iter().any(same) {
                return Err(NotLicences::SameNumber(at));
            }
        }
        Ok(Self(all.into()))
    }

    /// The licences, in the order given.
    pub fn as_slice(&self) -> &[Licence] {
        &self.0
    }
}

impl std::ops::Deref for Licences {
    type Target = [Licence];

    fn deref(&self) -> &[Licence] {
        &self.0
    }
}

impl TryFrom<Vec<Licence>> for Licences {
    type Error = NotLicences;

    fn try_from(all: Vec<Licence>) -> Result<Self, NotLicences> {
        Self::new(all)
    }
}

impl From<Licences> for Vec<Licence> {
    fn from(licences: Licences) -> Self {
        licences.0.into()
    }
}

impl fmt::Debug for Licences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn licence(code: &str, number: &str, from: &str, until: Option<&str>) -> Licence {
        let day = |text: &str| text.parse().expect("a date");
        Licence {
            jurisdiction: code.parse().expect("a jurisdiction"),
            kind: LicenceKind::Full,
            number: number.parse().expect("a number"),
            status: LicenceStatus::Active,
            status_since: day(from),
            from: day(from),
            until: until.map(day),
            source: LicenceSource::StateBoard,
            verified: day(from),
        }
    }

    #[test]
    fn a_number_is_short_and_no_name() {
        for text in ["A-12345", "ME.0012345", "7", "RN/123-A", "123456789012345678901234"] {
            assert_eq!(text.parse::<LicenceNumber>().map(|n| n.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "Ana", "ana garcia 1", "1234567890123456789012345", "1\n", "é1", "1;"] {
            assert_eq!(text.parse::<LicenceNumber>(), Err(NotALicenceNumber), "{text:?}");
        }
    }

    #[test]
    fn every_kind_reads_back() {
        for kind in LicenceKind::all() {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("Full".parse::<LicenceKind>(), Err(NotALicenceKind));
    }

    #[test]
    fn a_list_is_coherent_also_when_it_is_read() {
        let one = licence("US-TX", "A1", "2024-01-01", Some("2024-01-01"));
        let other = licence("US-CA", "A1", "2024-01-01", None);
        let fine = Licences::new(vec![one, other]).expect("one day, and one number in two states");
        let bytes = postcard::to_allocvec(&fine).expect("encodes");
        assert_eq!(postcard::from_bytes::<Licences>(&bytes), Ok(fine));
        let backwards = licence("US-NY", "A2", "2024-01-02", Some("2024-01-01"));
        let twice = licence("US-CA", "A1", "2025-01-01", None);
        for (list, wrong) in [
            (vec![one, backwards], NotLicences::EndsBeforeItBegins(1)),
            (vec![one, other, twice], NotLicences::SameNumber(2)),
        ] {
            assert_eq!(Licences::new(list.clone()), Err(wrong));
            let bytes = postcard::to_allocvec(&list).expect("encodes");
            assert!(postcard::from_bytes::<Licences>(&bytes).is_err());
        }
        let number = |n: usize| licence("US-TX", &format!("A{n}"), "2024-01-01", None);
        assert!(Licences::new((0..Licences::LEN_MAX).map(number).collect()).is_ok());
        assert_eq!(Licences::new((0..=Licences::LEN_MAX).map(number).collect()), Err(NotLicences::TooMany));
    }
}
