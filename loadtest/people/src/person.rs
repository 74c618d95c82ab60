//! One synthetic person.

use jiff::civil::Date;
use serde::Serialize;

/// A person. Serializes to exactly the body of `POST /v1/patients`; what is left out there is for the test's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The given name.
    pub given_name: String,
    /// The family name.
    pub family_name: String,
    /// The day of birth.
    pub birth_date: Date,
    /// `female`, `male`, `other` or `unknown`.
    pub sex: &'static str,
    /// An address at `example.com` that nobody else has.
    pub email: String,
    /// E.164, `555-01XX`.
    pub phone: String,
    /// Where mail goes, which need not be the home.
    pub address: Address,
    /// The IANA time zone of the address.
    #[serde(skip)]
    pub time_zone: &'static str,
    /// The index of the person whom this one registers a second time.
    #[serde(skip)]
    pub near_duplicate_of: Option<usize>,
    /// The index of the older twin, who is somebody else.
    #[serde(skip)]
    pub twin_of: Option<usize>,
    /// What is special.
    #[serde(skip)]
    pub note: Note,
}

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    /// One to four lines.
    pub line: Vec<String>,
    /// The town.
    pub city: String,
    /// The postal abbreviation.
    pub state: String,
    /// Five or nine digits.
    pub postal_code: String,
}

/// What is special about a person. The labels score a matcher and name a failing case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// Nothing.
    Ordinary,
    /// A second registration with a letter wrong.
    Typo,
    /// A second registration under a short form of the given name.
    Nickname,
    /// A second registration with day and month of birth exchanged.
    DayAndMonthSwapped,
    /// A second registration from another address.
    Moved,
    /// A second registration under another family name.
    FamilyNameChanged,
    /// A twin: same birth date, family name and address, another person.
    Twin,
    /// Made to be hard to handle, in the way that is said.
    Edge(&'static str),
    /// Made to be found again wherever it should not be.
    Canary,
}
