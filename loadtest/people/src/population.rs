//! A population: ordinary people, second registrations of them, and twins.

use jiff::ToSpan;
use jiff::civil::Date;
use residency_policy::Jurisdiction;

use crate::draw::{Draw, For};
use crate::names;
use crate::near_duplicate::register_again;
use crate::person::{Address, Note, Person};
use crate::place::{Place, places};

/// In every block of so many people the shares of near-duplicates and twins are exact.
const BLOCK: usize = 50;
/// 6 % of a block.
const NEAR_DUPLICATES: usize = 3;
/// 2 % of a block.
const TWINS: usize = 1;
const OTHERS: usize = NEAR_DUPLICATES + TWINS;

/// Ages from 0 in steps of ten years, with how many in a hundred are so old.
const AGES: [(u32, u32); 10] =
    [(0, 12), (10, 13), (20, 14), (30, 14), (40, 12), (50, 12), (60, 12), (70, 7), (80, 3), (90, 1)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Original,
    NearDuplicate,
    Twin,
}

/// The first `count` people of one jurisdiction.
pub fn people(
    seed: u64,
    jurisdiction: Jurisdiction,
    count: usize,
    today: Date,
) -> impl Iterator<Item = Person> {
    (0..count).map(move |index| person(seed, jurisdiction, index, today))
}

/// The person at one place of that population.
pub fn person(seed: u64, jurisdiction: Jurisdiction, index: usize, today: Date) -> Person {
    match role(seed, jurisdiction, index) {
        As::Original => original(seed, jurisdiction, index, today),
        As::NearDuplicate => {
            let mut draw = Draw::new(seed, Some(jurisdiction), For::NearDuplicate, index);
            let of = earlier_original(&mut draw, seed, jurisdiction, index);
            let first = original(seed, jurisdiction, of, today);
            let mut again = register_again(&mut draw, &first, jurisdiction);
            again.email = email(&again, seed, jurisdiction, index);
            again.near_duplicate_of = Some(of);
            again
        }
        As::Twin => {
            let mut draw = Draw::new(seed, Some(jurisdiction), For::NearDuplicate, index);
            let of = earlier_original(&mut draw, seed, jurisdiction, index);
            let first = original(seed, jurisdiction, of, today);
            let mut twin = original(seed, jurisdiction, index, today);
            while twin.given_name == first.given_name {
                names::given(&mut draw, twin.sex).clone_into(&mut twin.given_name);
            }
            twin.family_name.clone_from(&first.family_name);
            twin.birth_date = first.birth_date;
            twin.address = first.address;
            twin.time_zone = first.time_zone;
            twin.email = email(&twin, seed, jurisdiction, index);
            twin.twin_of = Some(of);
            twin.note = Note::Twin;
            twin
        }
    }
}

fn role(seed: u64, jurisdiction: Jurisdiction, index: usize) -> As {
    let mut draw = Draw::new(seed, Some(jurisdiction), For::Roles, index / BLOCK);
    // The first of a block is always an original, so that there is one to repeat.
    let mut others: Vec<usize> = (1..BLOCK).collect();
    for taken in 0..OTHERS {
        let chosen = taken + draw.index(others.len() - taken);
        others.swap(taken, chosen);
        if others[taken] == index % BLOCK {
            return if taken < NEAR_DUPLICATES { As::NearDuplicate } else { As::Twin };
        }
    }
    As::Original
}

fn earlier_original(draw: &mut Draw, seed: u64, jurisdiction: Jurisdiction, index: usize) -> usize {
    let from = draw.index(index);
    (0..=from).rev().find(|one| role(seed, jurisdiction, *one) == As::Original).unwrap_or(0)
}

fn original(seed: u64, jurisdiction: Jurisdiction, index: usize, today: Date) -> Person {
    let mut draw = Draw::new(seed, Some(jurisdiction), For::Person, index);
    let sex = draw.weighed(&[("female", 505), ("male", 485), ("other", 6), ("unknown", 4)], |one| one.1).0;
    let given_name = names::given(&mut draw, sex).to_owned();
    let family_name = names::family(&mut draw).to_owned();
    let birth_date = born(&mut draw, today);
    // Some live elsewhere: students, winter guests, people who have just moved.
    let place =
        if draw.happens(40) { elsewhere(&mut draw, jurisdiction) } else { draw.pick(places(jurisdiction)) };
    let mut person = Person {
        given_name,
        family_name,
        birth_date,
        sex,
        email: String::new(),
        phone: phone(&mut draw, place),
        address: address(&mut draw, place),
        time_zone: place.time_zone,
        near_duplicate_of: None,
        twin_of: None,
        note: Note::Ordinary,
    };
    person.email = email(&person, seed, jurisdiction, index);
    person
}

fn born(draw: &mut Draw, today: Date) -> Date {
    let decade = draw.weighed(&AGES, |age| age.1).0;
    let years = i64::from(decade + draw.below(10));
    let days = i64::from(draw.below(365));
    today.saturating_sub(years.years()).saturating_sub(days.days())
}

fn elsewhere(draw: &mut Draw, home: Jurisdiction) -> &'static Place {
    let others: Vec<_> = Jurisdiction::all().filter(|other| *other != home).collect();
    let other = *draw.pick(&others);
    draw.pick(places(other))
}

/// `555-0100` to `-0179`: the rest of what is kept for fiction is for canaries, which must be unlike everybody.
fn phone(draw: &mut Draw, place: &Place) -> String {
    let area = draw.pick(&place.area_codes);
    format!("+1{area}55501{:02}", draw.below(80))
}

/// An address in this place on a street that does not exist.
pub(crate) fn address(draw: &mut Draw, place: &Place) -> Address {
    let street = draw.pick(&["ST", "AVE", "RD", "LN", "BLVD", "CT"]);
    let mut line = vec![format!("{} SAMPLE {street}", 1 + draw.below(9_999))];
    if draw.happens(250) {
        line.push(format!("APT {}", 1 + draw.below(400)));
    }
    let postal_code = if draw.happens(200) {
        format!("{}-{:04}", place.postal_code, 1 + draw.below(9_999))
    } else {
        place.postal_code.to_owned()
    };
    Address { line, city: place.city.to_owned(), state: place.jurisdiction.postal().to_owned(), postal_code }
}

/// Unique: seed, jurisdiction and index are in it.
fn email(person: &Person, seed: u64, jurisdiction: Jurisdiction, index: usize) -> String {
    let given = names::for_email(&person.given_name);
    let family = names::for_email(&person.family_name);
    format!("{given}.{family}.{}.{seed}.{index}@example.com", jurisdiction.postal().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::civil::date;
    use residency_policy::ruleset::Digest;

    use super::*;

    const TODAY: Date = date(2026, 11, 22);

    fn texas(count: usize) -> Vec<Person> {
        people(1, "US-TX".parse().expect("a jurisdiction"), count, TODAY).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let hex = |count| {
            let Digest(digest) = Digest::of(&serde_json::to_vec(&texas(count)).expect("writes"));
            digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
        };
        // When the generator is changed on purpose, the new digest goes here, and with it every stored population.
        assert_eq!(hex(200), "1f2f53798b5cad039fa786c29a2eff07bff27d0f4b5f73c22077c28e41fedbcf");
        assert_ne!(hex(199), hex(200), "the control: other people, another digest");
    }

    #[test]
    fn a_longer_run_begins_with_the_shorter_one() {
        assert_eq!(texas(120)[..75], texas(75));
        let other: Vec<_> = people(2, "US-TX".parse().expect("a jurisdiction"), 75, TODAY).collect();
        assert_ne!(other, texas(75));
    }

    #[test]
    fn six_in_a_hundred_are_near_duplicates_and_two_are_twins() {
        let people = texas(1_000);
        assert_eq!(people.iter().filter(|p| p.near_duplicate_of.is_some()).count(), 60);
        let twins: Vec<_> = people.iter().filter(|p| p.twin_of.is_some()).collect();
        assert_eq!(twins.len(), 20);
        for twin in twins {
            let other = &people[twin.twin_of.expect("a twin")];
            assert_eq!((&twin.family_name, twin.birth_date), (&other.family_name, other.birth_date));
            assert_ne!(twin.given_name, other.given_name);
        }
    }

    #[test]
    fn a_near_duplicate_differs_a_little_from_an_earlier_original() {
        let people = texas(2_000);
        let mut kinds = HashSet::new();
        for (index, again) in people.iter().enumerate() {
            let Some(of) = again.near_duplicate_of else { continue };
            let first = &people[of];
            assert!(of < index && first.near_duplicate_of.is_none() && first.twin_of.is_none());
            let same = [
                first.given_name == again.given_name,
                first.family_name == again.family_name,
                first.birth_date == again.birth_date,
                first.address == again.address,
            ];
            assert_eq!(same.iter().filter(|same| !**same).count(), 1, "{first:?} {again:?}");
            kinds.insert(format!("{:?}", again.note));
        }
        assert_eq!(kinds.len(), 5, "{kinds:?}");
    }

    #[test]
    fn nobody_can_be_reached_and_nobody_shares_an_email() {
        let mut emails = HashSet::new();
        for jurisdiction in Jurisdiction::all() {
            for person in people(7, jurisdiction, 60, TODAY) {
                assert!(person.email.ends_with("@example.com") && person.email.is_ascii(), "{person:?}");
                assert!(person.email.len() <= 76 && emails.insert(person.email.clone()), "{person:?}");
                assert!(person.phone.len() == 12 && person.phone[5..].starts_with("55501"), "{person:?}");
                assert!(person.address.line[0].contains(" SAMPLE "), "{person:?}");
                assert!(person.birth_date <= TODAY && person.birth_date > date(1920, 1, 1), "{person:?}");
            }
        }
    }

    #[test]
    fn some_live_outside_the_home() {
        let outside = texas(1_000).iter().filter(|p| p.address.state != "TX").count();
        assert!((15..90).contains(&outside), "{outside}");
    }

    #[test]
    fn the_body_is_exactly_what_the_api_takes() {
        let body = serde_json::to_value(&texas(1)[0]).expect("writes");
        let keys = |of: &serde_json::Value| {
            let mut keys: Vec<_> = of.as_object().expect("an object").keys().cloned().collect();
            keys.sort();
            keys
        };
        let those = ["address", "birth_date", "email", "family_name", "given_name", "phone", "sex"];
        assert_eq!(keys(&body), those);
        assert_eq!(keys(&body["address"]), ["city", "line", "postal_code", "state"]);
    }
}
