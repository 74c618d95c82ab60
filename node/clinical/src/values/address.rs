//! A postal address.

use residency_policy::Jurisdiction;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{City, Fields, Given, PostalCode, State, StreetLine, Wrong};

/// One to four lines, a town, a state, a ZIP Code. Whether the four fit each other is not checked: mail services
/// change them faster than a release, and a wrong guess would refuse a real person.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    line: Vec<StreetLine>,
    city: City,
    state: State,
    postal_code: PostalCode,
}

/// Where each line is in the body of a patient, for the problem document.
const LINES: [&str; Address::LINES_MAX] =
    ["/address/line/0", "/address/line/1", "/address/line/2", "/address/line/3"];

impl Address {
    /// The most lines above the town.
    pub const LINES_MAX: usize = 4;

    /// Reads the parts of `/address`, and notes each one that is wrong.
    pub fn take<L: Given>(
        fields: &mut Fields,
        line: &[L],
        city: impl Given,
        state: impl Given,
        postal_code: impl Given,
    ) -> Option<Self> {
        let lines_wrong = match line.len() {
            0 => Some(Wrong::REQUIRED),
            1..=Self::LINES_MAX => None,
            _ => Some(Wrong::new("too-many", "an address has one to four lines")),
        };
        if let Some(wrong) = lines_wrong {
            fields.note("/address/line", wrong);
        }
        let read: Vec<_> =
            line.iter().zip(LINES).map(|(line, at)| fields.take(at, line, StreetLine::parse)).collect();
        let city = fields.take("/address/city", city, City::parse);
        let state = fields.take("/address/state", state, State::parse);
        let postal_code = fields.take("/address/postal_code", postal_code, PostalCode::parse);
        if lines_wrong.is_some() {
            return None;
        }
        Some(Self {
            line: read.into_iter().collect::<Option<_>>()?,
            city: city?,
            state: state?,
            postal_code: postal_code?,
        })
    }

    /// The lines above the town.
    pub fn line(&self) -> &[StreetLine] {
        &self.line
    }

    /// The town.
    pub fn city(&self) -> &City {
        &self.city
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The ZIP Code.
    pub fn postal_code(&self) -> &PostalCode {
        &self.postal_code
    }

    /// Whether the address is somewhere else than this home. A military address always is.
    pub fn differs_from(&self, home: Jurisdiction) -> bool {
        self.state.jurisdiction() != Some(home)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    line: Vec<StreetLine>,
    city: City,
    state: State,
    postal_code: PostalCode,
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("expected one to four lines, a city, a state and a postal code");
        let Written { line, city, state, postal_code } =
            Written::deserialize(deserializer).map_err(|_| wrong())?;
        if !(1..=Self::LINES_MAX).contains(&line.len()) {
            return Err(wrong());
        }
        Ok(Self { line, city, state, postal_code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_and_knows_where_it_is() {
        let mut fields = Fields::default();
        let address = Address::take(&mut fields, &["1 SAMPLE ST", "APT 2"], "Austin", "TX", "78701-0001");
        let address = address.expect("an address");
        let json = serde_json::to_string(&address).expect("writes");
        assert_eq!(
            json,
            r#"{"line":["1 SAMPLE ST","APT 2"],"city":"Austin","state":"TX","postal_code":"78701-0001"}"#
        );
        assert_eq!(serde_json::from_str::<Address>(&json).ok().as_ref(), Some(&address));
        let home = |code: &str| code.parse::<Jurisdiction>().expect("a jurisdiction");
        assert!(!address.differs_from(home("US-TX")) && address.differs_from(home("US-CA")));
    }

    #[test]
    fn every_wrong_part_is_named_at_once() {
        let mut fields = Fields::default();
        let lines = ["1 SAMPLE ST", " ", "a", "b", "c"];
        assert!(Address::take(&mut fields, &lines, None::<&str>, "Texas", "787").is_none());
        let named: Vec<_> = fields.errors().iter().map(|e| (e.pointer, e.code)).collect();
        assert_eq!(
            named,
            [
                ("/address/line", "too-many"),
                ("/address/line/1", "blank"),
                ("/address/city", "required"),
                ("/address/state", "not-a-state"),
                ("/address/postal_code", "format"),
            ]
        );
        assert!(Address::take(&mut Fields::default(), &[""; 0], "Austin", "TX", "78701").is_none());
    }
}
