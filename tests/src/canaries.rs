//! People whose every field is a marker, and what must be looked for because of them.

use anyhow::Result;
use loadtest_people::{EncounterText, Person, encounter_markers, markers};
use residency_policy::Jurisdiction;

use crate::scan::Scanner;

/// One canary: a person, and the texts of an encounter.
#[derive(Debug, Clone)]
pub struct Canary {
    /// Where its home is, such as `US-TX`.
    pub home: String,
    /// The person as registered.
    pub person: Person,
    /// The person after an update.
    pub updated: Person,
    /// What the visit was about.
    pub encounter: EncounterText,
    /// What was said about it later.
    pub addendum: EncounterText,
}

impl Canary {
    /// A canary for a home. Canaries of different numbers below 600 share no marker.
    pub fn new(home: &str, number: u32) -> Self {
        let place: Jurisdiction = home.parse().unwrap_or_else(|_| panic!("{home} is a jurisdiction"));
        let tag = |of: u32| (number * 10 + of).to_string();
        Self {
            home: home.to_owned(),
            person: loadtest_people::canary_in(place, &tag(1)),
            updated: loadtest_people::canary_in(place, &tag(2)),
            encounter: loadtest_people::canary_encounter(&tag(3)),
            addendum: loadtest_people::canary_encounter(&tag(4)),
        }
    }

    /// Every text that must be nowhere in the clear, each with a name that does not tell it.
    pub fn markers(&self) -> Vec<(String, String)> {
        let groups = [
            ("person", markers(&self.person)),
            ("updated person", markers(&self.updated)),
            ("encounter", encounter_markers(&self.encounter)),
            ("addendum", encounter_markers(&self.addendum)),
        ];
        let named = groups.into_iter().flat_map(|(of, markers)| {
            markers
                .into_iter()
                .enumerate()
                .map(move |(number, marker)| (format!("{of}'s marker {number}"), marker))
        });
        named.map(|(what, marker)| (format!("{}: {what}", self.home), marker)).collect()
    }
}

/// Looks for every marker of these canaries.
pub fn scanner(canaries: &[Canary]) -> Result<Scanner> {
    let markers: Vec<(String, String)> = canaries.iter().flat_map(Canary::markers).collect();
    Scanner::for_texts(markers.iter().map(|(what, text)| (what.clone(), text.as_str())))
}
