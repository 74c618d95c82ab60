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

pub(crate) fn changes() -> impl Strategy<Value = Command> {
    (0..4_u8, 0..4_u8, prop::option::of(0..6_u8)).prop_map(|(who, of, one)| bind(who, of, one))
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
