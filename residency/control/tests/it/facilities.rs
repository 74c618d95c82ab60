//! Laboratories and pharmacies with what public registers call them.

use proptest::prelude::*;
use residency_control::Organisation;
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_policy::{Facility, Npi, OrgType};

use crate::support::{org, organisation};

fn lab(number: u32) -> Facility {
    Facility::Lab { clia: format!("45D{number:07}").parse().expect("a CLIA number") }
}

fn pharmacy(number: u32) -> Facility {
    Facility::Pharmacy {
        ncpdp: format!("{number:07}").parse().expect("an NCPDP Provider ID"),
        npi: Npi::from_nine(199_999_000 + number).expect("an NPI"),
    }
}

fn add(n: u8, facility: Facility) -> Command {
    Command::AddFacility { organisation: organisation(n), facility }
}

/// Additions that often collide.
pub(crate) fn changes() -> impl Strategy<Value = Command> {
    (0..4_u8, 0..3_u32, any::<bool>())
        .prop_map(|(n, number, is_lab)| add(n, if is_lab { lab(number) } else { pharmacy(number) }))
}

#[test]
fn a_facility_is_added_with_its_numbers_once_and_keeps_them() {
    let mut state = State::default();
    let known = Outcome::Refused(Refusal::AlreadyKnown);
    assert_eq!(apply(&mut state, Command::AddOrganisation(organisation(3))), Outcome::Done);
    for (command, outcome) in [
        (add(1, lab(1)), Outcome::Done),
        (add(1, lab(1)), Outcome::Done),
        (add(1, lab(2)), known),
        (add(1, pharmacy(1)), known),
        (Command::AddOrganisation(organisation(1)), known),
        (add(2, pharmacy(1)), Outcome::Done),
        (add(3, lab(1)), known),
    ] {
        assert_eq!(apply(&mut state, command.clone()), outcome, "{command:?}");
    }
    assert_eq!(state.facility(org(1)), Some(lab(1)));
    assert_eq!(state.facility(org(2)), Some(pharmacy(1)));
    assert_eq!(state.facility(org(3)), None, "it was added without");
    let kind = |n| state.organisations().get(&org(n)).map(|org| org.org_type);
    assert_eq!((kind(1), kind(2)), (Some(OrgType::Lab), Some(OrgType::Pharmacy)));
    assert_eq!(restore(&encode(&state).expect("encodes")).as_ref(), Ok(&state));
    // As members send it.
    let bytes = postcard::to_allocvec(&add(2, pharmacy(1))).expect("encodes");
    assert_eq!(postcard::from_bytes::<Command>(&bytes).ok(), Some(add(2, pharmacy(1))));

    let renamed = Organisation { name: "Another Lab".parse().expect("a name"), ..organisation(1) };
    let change = Command::ChangeOrganisation { organisation: renamed, expected: 1 };
    assert_eq!(apply(&mut state, change), Outcome::Done);
    assert_eq!(state.facility(org(1)), Some(lab(1)), "a change leaves them");
    assert_eq!(apply(&mut state, Command::PutOrganisation(organisation(1))), Outcome::Done);
    assert_eq!(state.facility(org(1)), None, "an operator made it a clinic");
}
