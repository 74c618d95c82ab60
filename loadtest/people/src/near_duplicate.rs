//! The same person registered twice, with one thing written differently.

use jiff::civil::Date;
use residency_policy::Jurisdiction;

use crate::draw::Draw;
use crate::names;
use crate::person::{Note, Person};
use crate::place::places;
use crate::population::address;

/// A second registration of somebody. Exactly one of names, birth date and address differs, and the note says how.
pub(crate) fn register_again(draw: &mut Draw, first: &Person, jurisdiction: Jurisdiction) -> Person {
    let mut again = first.clone();
    // Not everybody has a nickname or a birth date that can be swapped; a typo or a move is always possible.
    again.note = match draw.below(5) {
        0 if nickname(&mut again) => Note::Nickname,
        1 if swap_day_and_month(&mut again) => Note::DayAndMonthSwapped,
        2 => {
            while again.family_name == first.family_name {
                names::family(draw).clone_into(&mut again.family_name);
            }
            Note::FamilyNameChanged
        }
        3 => {
            while again.address == first.address {
                let place = draw.pick(places(jurisdiction));
                again.address = address(draw, place);
                again.time_zone = place.time_zone;
            }
            Note::Moved
        }
        _ => {
            mistype(draw, &mut again.family_name);
            Note::Typo
        }
    };
    again
}

fn nickname(person: &mut Person) -> bool {
    names::nickname(&person.given_name).is_some_and(|nick| {
        nick.clone_into(&mut person.given_name);
        true
    })
}

fn swap_day_and_month(person: &mut Person) -> bool {
    let born = person.birth_date;
    // Not when it would put the birth after the day it was: it might then be in the future.
    match Date::new(born.year(), born.day(), born.month()) {
        Ok(swapped) if swapped < born => {
            person.birth_date = swapped;
            true
        }
        _ => false,
    }
}

/// Two neighbouring letters exchanged, or one doubled where they are the same.
fn mistype(draw: &mut Draw, name: &mut String) {
    let mut letters: Vec<char> = name.chars().collect();
    let at = draw.index(letters.len().saturating_sub(1).max(1));
    match letters.get(at + 1).copied() {
        Some(next) if next != letters[at] => letters.swap(at, at + 1),
        _ => letters.insert(at, letters[at]),
    }
    *name = letters.into_iter().collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::For;

    #[test]
    fn a_mistyped_name_is_another_name_that_is_still_one() {
        let mut draw = Draw::new(3, None, For::NearDuplicate, 0);
        for name in ["Ng", "Lee", "O'Brien", "X", "Muñoz", "del Río"] {
            for _ in 0..50 {
                let mut typed = name.to_owned();
                mistype(&mut draw, &mut typed);
                assert_ne!(typed, name);
                assert_eq!(typed.trim(), typed);
            }
        }
    }
}
