//! People made to be found again wherever they should not be.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use residency_policy::Jurisdiction;
use residency_policy::ruleset::Digest;

use crate::encounter::EncounterText;
use crate::person::{Address, Note, Person};
use crate::place::{area_codes, places};

/// What every written marker begins with.
const PREFIX: &str = "zzphi";
/// No ordinary or edge person is so old, so a canary's birth date is nobody else's.
const FIRST_BIRTH: Date = date(1890, 1, 2);
const BIRTHS: u32 = 6_700;
/// Ordinary people have `555-0100` to `-0179`.
const FIRST_LINE: u32 = 80;
const LINES: u32 = 20;

/// A person whose every field holds a marker of this tag and still is accepted. The address is in a jurisdiction
/// that follows from the tag.
pub fn canary(tag: &str) -> Person {
    let everywhere: Vec<_> = Jurisdiction::all().collect();
    let (_, number) = mark(tag);
    canary_in(everywhere[number as usize % everywhere.len()], tag)
}

/// The same, with the address in this jurisdiction. Two decimal tags below 6,700 share no marker; other tags are
/// hashed to a number, so that their birth dates and telephone numbers might meet where there are hundreds of them.
pub fn canary_in(jurisdiction: Jurisdiction, tag: &str) -> Person {
    let (mark, number) = mark(tag);
    let here = places(jurisdiction);
    let place = &here[number as usize % here.len()];
    let area = area_codes()[(number / LINES) as usize % area_codes().len()];
    Person {
        given_name: format!("{mark}given"),
        family_name: format!("{mark}family"),
        birth_date: FIRST_BIRTH.saturating_add(i64::from(number % BIRTHS).days()),
        sex: ["female", "male", "other"][number as usize % 3],
        email: format!("{mark}mail@example.com"),
        phone: format!("+1{area}55501{:02}", FIRST_LINE + number % LINES),
        address: Address {
            line: vec![format!("{} {mark}street ST", 1 + number % 9_999), format!("APT {mark}unit")],
            city: format!("{mark}city"),
            state: jurisdiction.postal().to_owned(),
            postal_code: place.postal_code.to_owned(),
        },
        time_zone: place.time_zone,
        near_duplicate_of: None,
        twin_of: None,
        note: Note::Canary,
    }
}

/// The text of an encounter that carries markers of this tag: one at the start, one in the middle and one at the
/// end of a note that is long enough for Postgres to store it compressed if it were stored in the clear.
pub fn canary_encounter(tag: &str) -> EncounterText {
    let (mark, _) = mark(tag);
    let filler = "The patient reports no new symptoms and agrees with the plan. ".repeat(40);
    EncounterText {
        reason: format!("{mark}reason for the visit"),
        note: format!("{mark}begin {filler}{mark}middle {filler}{mark}end"),
        diagnosis: "Z00.00",
    }
}

/// The strings to scan for. Names may be stored in capitals for search, so a scan should ignore case.
pub fn markers(canary: &Person) -> Vec<String> {
    let mut all = vec![
        canary.given_name.clone(),
        canary.family_name.clone(),
        canary.birth_date.to_string(),
        canary.email.clone(),
        canary.phone.trim_start_matches("+1").to_owned(),
        canary.address.city.clone(),
    ];
    all.extend(canary.address.line.iter().flat_map(|line| written(line)));
    all
}

/// The strings to scan for in the text of a canary's encounter.
pub fn encounter_markers(text: &EncounterText) -> Vec<String> {
    written(&text.reason).chain(written(&text.note)).collect()
}

fn written(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().filter(|word| word.starts_with(PREFIX)).map(str::to_owned)
}

/// The marker's stem and a number, both of which follow from the tag.
fn mark(tag: &str) -> (String, u32) {
    let Digest(digest) = Digest::of(tag.as_bytes());
    let hashed = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    // The `q` ends the tag, so that the markers of `1` are not found in those of `12`.
    if (1..=16).contains(&tag.len()) && tag.bytes().all(plain) {
        let number = tag.parse().ok().filter(|n: &u32| n.to_string() == tag).unwrap_or(hashed);
        (format!("{PREFIX}{tag}q"), number)
    } else {
        let hex = digest[..6].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        (format!("{PREFIX}{hex}q"), hashed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{edge_cases, people};

    #[test]
    fn no_two_canaries_share_a_marker() {
        let mut seen = HashSet::new();
        for tag in 0..6_700u32 {
            for marker in markers(&canary(&tag.to_string())) {
                assert!(seen.insert(marker.clone()), "{marker} of {tag}");
            }
        }
        let twice = markers(&canary("1"));
        assert!(twice.iter().all(|marker| seen.contains(marker)), "the control: the same tag does share");
    }

    #[test]
    fn every_field_is_marked_and_no_other_person_has_the_mark() {
        let today = date(2026, 11, 22);
        let found: Vec<_> = ["7", "tx-patient", "ABC", "zz", ""].map(canary).iter().flat_map(markers).collect();
        assert_eq!(found.len(), 5 * 8);
        for jurisdiction in Jurisdiction::all() {
            let everybody = people(1, jurisdiction, 50, today).chain(edge_cases(jurisdiction, today));
            for person in everybody {
                let text = serde_json::to_string(&person).expect("writes").to_lowercase();
                for marker in &found {
                    assert!(!text.contains(marker.as_str()), "{marker} in {text}");
                }
            }
        }
        let text = serde_json::to_string(&canary("7")).expect("writes");
        assert!(markers(&canary("7")).iter().all(|m| text.contains(m.as_str())), "the control: it has its own");
    }

    #[test]
    fn a_canarys_encounter_is_marked_at_both_ends_and_inside() {
        let text = canary_encounter("7");
        assert_eq!(encounter_markers(&text), ["zzphi7qreason", "zzphi7qbegin", "zzphi7qmiddle", "zzphi7qend"]);
        assert!(text.note.len() > 4_000);
    }
}
