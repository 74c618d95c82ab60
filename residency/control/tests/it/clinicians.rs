//! Which clinician somebody is at an organisation.

use proptest::prelude::*;
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_control::{Membership, Memberships, User};
use residency_policy::{Role, UserId};

use crate::providers::{self, provider, put};
use crate::support::{org, organisation};
use crate::tenants::user;

fn bind(who: u8, of: u8, one: Option<u8>) -> Command {
    Command::BindClinician {
        user: UserId::from_bytes([who; 16]),
        org: org(of),
        provider: one.map(providers::id),
    }
}

fn change(who: u8, of: u8, one: Option<u8>, expected: u64) -> Command {
    let (user, provider) = (UserId::from_bytes([who; 16]), one.map(providers::id));
    Command::ChangeClinician { user, org: org(of), provider, expected }
}

pub(crate) fn changes() -> impl Strategy<Value = Command> {
    let expected = prop::option::of(1..4_u64);
    (0..4_u8, 0..4_u8, prop::option::of(0..6_u8), expected).prop_map(
        |(who, of, one, expected)| match expected {
            None => bind(who, of, one),
            Some(expected) => change(who, of, one, expected),
        },
    )
}

/// Two who work for one organisation, the first for another one too, and a clinician of it.
fn clinic() -> State {
    let mut state = State::default();
    for command in [
        Command::AddOrganisation(organisation(1)),
        Command::AddOrganisation(organisation(2)),
        Command::AddUser(user(1, &[1, 2])),
        Command::AddUser(user(2, &[1])),
        put(provider(1, 1), 0),
        put(provider(2, 2), 0),
    ] {
        assert_eq!(apply(&mut state, command), Outcome::Done);
    }
    state
}

#[test]
fn of_two_changes_that_rest_on_one_version_one_is_made() {
    let mut state = clinic();
    let version = |state: &State| state.user(UserId::from_bytes([1; 16])).map(|user| user.version);
    let late = Outcome::Refused(Refusal::StaleVersion);
    for (command, outcome, after) in [
        (change(1, 1, Some(1), 2), late, 1),
        (change(1, 1, Some(1), 1), Outcome::Done, 2),
        (change(1, 1, None, 1), late, 2),
        (change(1, 1, Some(1), 2), Outcome::Done, 2),
        (change(9, 1, None, 1), Outcome::Refused(Refusal::UnknownUser), 2),
        (change(1, 1, None, 2), Outcome::Done, 3),
        (bind(1, 1, Some(1)), Outcome::Done, 4),
        (bind(1, 1, Some(1)), Outcome::Done, 4),
    ] {
        assert_eq!(apply(&mut state, command.clone()), outcome, "{command:?}");
        assert_eq!(version(&state), Some(after), "{command:?}");
    }
    assert_eq!(restore(&encode(&state).expect("encodes")), Ok(state));
}

/// Suspended, deactivated, gone, or something else there: whichever it is, somebody else may be the same clinician.
#[test]
fn whoever_is_no_provider_there_any_more_is_no_clinician_there() {
    let there = |roles: Role, active| Membership { org: org(1), roles: roles.into(), active };
    let with = |one: Membership| User {
        memberships: user(1, &[1, 2]).memberships.with(one).expect("two"),
        ..user(1, &[1, 2])
    };
    for (after, stays, elsewhere) in [
        (User { name: "Another Name".parse().expect("a name"), ..user(1, &[1, 2]) }, true, true),
        (with(there(Role::Provider, false)), false, true),
        (with(there(Role::ProviderStaff, true)), false, true),
        (user(1, &[2]), false, true),
        (User { active: false, ..user(1, &[1, 2]) }, false, false),
    ] {
        let mut state = clinic();
        for command in [bind(1, 1, Some(1)), bind(1, 2, Some(2))] {
            assert_eq!(apply(&mut state, command), Outcome::Done);
        }
        let taken = Outcome::Refused(Refusal::AlreadyKnown);
        assert_eq!(apply(&mut state, bind(2, 1, Some(1))), taken, "the control");
        let changed = Command::ChangeUser { user: after.clone(), expected: 3 };
        assert_eq!(apply(&mut state, changed), Outcome::Done);
        let of = |state: &State, at| state.clinician(UserId::from_bytes([1; 16]), org(at)).is_some();
        assert_eq!((of(&state, 1), of(&state, 2)), (stays, elsewhere), "{after:?}");
        let then = if stays { taken } else { Outcome::Done };
        assert_eq!(apply(&mut state, bind(2, 1, Some(1))), then, "{after:?}");
        assert_eq!(restore(&encode(&state).expect("encodes")), Ok(state));
    }
}

#[test]
fn a_clinician_is_one_user_of_an_organisation_where_both_work() {
    let mut state = State::default();
    let clerk = Membership { org: org(1), roles: Role::ProviderStaff.into(), active: true };
    let clerk = User { memberships: Memberships::new(vec![clerk]).expect("one"), ..user(3, &[1]) };
    for command in [
        Command::AddOrganisation(organisation(1)),
        Command::AddOrganisation(organisation(2)),
        Command::AddUser(user(1, &[1, 2])),
        Command::AddUser(user(2, &[1])),
        Command::AddUser(clerk),
        put(provider(1, 1), 0),
        put(provider(2, 2), 0),
        put(provider(3, 1), 0),
    ] {
        assert_eq!(apply(&mut state, command), Outcome::Done);
    }
    let refused = Outcome::Refused;
    for (command, outcome) in [
        (bind(9, 1, Some(1)), refused(Refusal::UnknownUser)),
        (bind(2, 2, Some(2)), refused(Refusal::NotAMember)),
        (bind(3, 1, Some(1)), refused(Refusal::NotAMember)),
        (bind(1, 1, Some(9)), refused(Refusal::UnknownProvider)),
        (bind(1, 1, Some(2)), refused(Refusal::UnknownProvider)),
        (bind(1, 1, Some(1)), Outcome::Done),
        (bind(1, 1, Some(1)), Outcome::Done),
        (bind(2, 1, Some(1)), refused(Refusal::AlreadyKnown)),
        (bind(1, 2, Some(2)), Outcome::Done),
        (bind(1, 1, Some(3)), Outcome::Done),
        (bind(2, 1, Some(1)), Outcome::Done),
        (bind(1, 1, None), Outcome::Done),
        (bind(1, 1, None), Outcome::Done),
        (bind(2, 1, Some(3)), Outcome::Done),
    ] {
        assert_eq!(apply(&mut state, command.clone()), outcome, "{command:?}");
    }
    let of = |who: u8, at: u8| state.clinician(UserId::from_bytes([who; 16]), org(at));
    assert_eq!((of(1, 1), of(1, 2), of(2, 1)), (None, Some(providers::id(2)), Some(providers::id(3))));
    assert_eq!(restore(&encode(&state).expect("encodes")), Ok(state));
}
