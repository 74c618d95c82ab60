//! An organisation's settings of signing in: what the state allows, whoever asks.

use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::signin::{Networks, SignInChange, SignInSettings};
use residency_control::snapshot::{encode, restore};
use residency_policy::{Closure, OrgId};

use crate::support::{org, organisation};

fn put(of: OrgId, networks: &[&str], expected: u64) -> Command {
    let networks = networks.iter().map(|one| one.parse().expect("a network")).collect();
    let networks = Networks::new(networks).expect("networks");
    let settings =
        SignInSettings { networks, second_factor_required: true, version: 99, ..SignInSettings::unset(of) };
    Command::SignIn(SignInChange::PutSettings { settings, expected })
}

#[test]
fn settings_are_an_organisations_own_and_replace_what_was_read() {
    let mut state = State::default();
    assert_eq!(apply(&mut state, put(org(1), &[], 0)), Outcome::Refused(Refusal::UnknownOrg));
    for n in [1, 2] {
        assert_eq!(apply(&mut state, Command::AddOrganisation(organisation(n))), Outcome::Done);
    }
    assert_eq!(apply(&mut state, put(org(1), &["10.0.0.0/8"], 1)), Outcome::Refused(Refusal::StaleVersion));
    assert_eq!(apply(&mut state, put(org(1), &["10.0.0.0/8"], 0)), Outcome::Done);
    assert_eq!(apply(&mut state, put(org(1), &[], 0)), Outcome::Refused(Refusal::StaleVersion));
    let known =
        |state: &State, n| state.signin().settings(org(n)).map(|one| (one.version, one.networks.clone()));
    let (version, networks) = known(&state, 1).expect("they are set");
    assert_eq!((version, networks.as_slice().len()), (1, 1), "the state counts");
    assert_eq!(known(&state, 2), None);
    assert_eq!(restore(&encode(&state).expect("encodes")).as_ref(), Ok(&state));
    assert_eq!(apply(&mut state, put(org(1), &[], 1)), Outcome::Done);
    assert_eq!(known(&state, 1).map(|(version, _)| version), Some(2));
    let close = Command::CloseOrganisation { org: org(1), reason: Closure::ALL[0], expected: 1 };
    assert_eq!(apply(&mut state, close), Outcome::Done);
    assert_eq!(apply(&mut state, put(org(1), &[], 2)), Outcome::Refused(Refusal::Closed));
}
