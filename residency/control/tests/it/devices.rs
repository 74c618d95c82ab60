//! Known devices: what the state allows, whoever asks.

use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::signin::{
    Account, Device, Invitation, PasswordVerifier, SignInChange, SignInSettings, SignIns,
};
use residency_control::snapshot::{encode, restore};
use residency_policy::{DeviceId, UserId};

use crate::support::{org, organisation};
use crate::tenants::user;

fn person() -> UserId {
    UserId::from_bytes([1; 16])
}

fn state() -> State {
    let mut state = State::default();
    let name = "robin@clinic.example".parse().expect("a login name");
    for command in [
        Command::AddOrganisation(organisation(1)),
        Command::AddUser(user(1, &[1])),
        Command::SignIn(SignInChange::AddAccount(Account::new(org(1), person(), name))),
    ] {
        done(&mut state, command);
    }
    state
}

fn done(state: &mut State, command: Command) {
    let said = format!("{command:?}");
    assert_eq!(apply(state, command), Outcome::Done, "{said}");
}

fn refused(state: &mut State, command: Command, why: Refusal) {
    let (before, said) = (state.clone(), format!("{command:?}"));
    assert_eq!(apply(state, command), Outcome::Refused(why), "{said}");
    assert_eq!(*state, before, "a refusal changes nothing");
}

fn id(n: u8) -> DeviceId {
    DeviceId::from_bytes([n; 16])
}

fn note(n: u8, secret: u8, seen: i64) -> Command {
    // What the proposer says of admission is not looked at.
    let (org, user, admitted) = (org(1), person(), true);
    let device = Device { org, user, id: id(n), secret_sha256: [secret; 32], admitted, seen };
    Command::SignIn(SignInChange::NoteDevice(device))
}

fn admit(n: u8) -> Command {
    Command::SignIn(SignInChange::AdmitDevice { org: org(1), user: person(), id: id(n) })
}

fn known_only(expected: u64) -> Command {
    let settings = SignInSettings { known_devices_only: true, ..SignInSettings::unset(org(1)) };
    Command::SignIn(SignInChange::PutSettings { settings, expected })
}

fn held(state: &State) -> Vec<(u8, bool, i64)> {
    let all = state.signin().devices_of(org(1), person());
    all.map(|one| (one.id.to_bytes()[0], one.admitted, one.seen)).collect()
}

#[test]
fn a_device_is_admitted_before_that_is_asked_for_and_waits_afterwards() {
    let mut state = state();
    done(&mut state, note(1, 1, 5));
    done(&mut state, known_only(0));
    done(&mut state, note(2, 2, 6));
    done(&mut state, note(1, 1, 7));
    done(&mut state, note(2, 2, 4));
    assert_eq!(held(&state), [(1, true, 7), (2, false, 6)]);
    refused(&mut state, note(1, 9, 8), Refusal::AlreadyKnown);
    refused(&mut state, admit(3), Refusal::UnknownDevice);
    done(&mut state, admit(2));
    assert_eq!(held(&state), [(1, true, 7), (2, true, 6)]);
    assert_eq!(restore(&encode(&state).expect("encodes")).as_ref(), Ok(&state));
    let remove = || Command::SignIn(SignInChange::RemoveDevice { org: org(1), user: person(), id: id(1) });
    done(&mut state, remove());
    refused(&mut state, remove(), Refusal::UnknownDevice);
    assert_eq!(held(&state), [(2, true, 6)]);
}

#[test]
fn one_too_many_takes_the_place_of_one_that_waits() {
    let mut state = state();
    for n in 0..7 {
        done(&mut state, note(n, n, 10));
    }
    done(&mut state, known_only(0));
    done(&mut state, note(20, 20, 90));
    assert_eq!(held(&state).len(), SignIns::DEVICES_EACH_MAX);
    done(&mut state, note(21, 21, 91));
    let ids: Vec<u8> = held(&state).iter().map(|(n, ..)| *n).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 21], "no flood of new ones takes one that was admitted");
}

#[test]
fn none_that_would_wait_takes_the_place_of_one_that_was_admitted() {
    let mut state = state();
    for n in 0..8 {
        done(&mut state, note(n, n, 10));
    }
    // The control: a new one that does not wait takes the place of the one that was seen the longest ago.
    done(&mut state, note(8, 8, 11));
    done(&mut state, known_only(0));
    refused(&mut state, note(20, 20, 90), Refusal::Full);
    done(&mut state, note(8, 8, 91));
    let ids: Vec<u8> = held(&state).iter().map(|(n, ..)| *n).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8]);
    let (org, user) = (org(1), person());
    done(&mut state, Command::SignIn(SignInChange::RemoveDevice { org, user, id: id(1) }));
    done(&mut state, note(20, 20, 92));
    assert_eq!(held(&state).last(), Some(&(20, false, 92)));
}

#[test]
fn an_invitation_that_is_taken_up_forgets_the_devices() {
    let mut state = state();
    done(&mut state, note(1, 1, 5));
    let (org, user) = (org(1), person());
    let name = "robin@clinic.example".parse().expect("a login name");
    let invitation = Invitation { secret_sha256: [7; 32], expires: 100 };
    done(&mut state, Command::SignIn(SignInChange::Invite { org, user, name, invitation }));
    assert_eq!(held(&state).len(), 1, "the control");
    let password = PasswordVerifier { memory_kib: 1, passes: 1, lanes: 1, salt: [1; 16], hash: [1; 32] };
    let accept = SignInChange::Accept { org, user, secret_sha256: [7; 32], password, at: 1 };
    done(&mut state, Command::SignIn(accept));
    assert_eq!(held(&state), []);
}
