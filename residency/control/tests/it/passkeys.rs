//! Passkeys: what the state allows, whoever asks.

use residency_control::command::{Command, Refusal};
use residency_control::machine::State;
use residency_control::signin::{
    Passkey, PasskeyAdded, PasskeyKey, PasskeyShown, SecondFactor, Session, SignInChange, SignIns,
};
use residency_policy::{PasskeyId, SessionId};

use crate::again::{change_password, use_code};
use crate::signin::{NOW, account, confirm, done, enrol, id, invite, kept, open, refused, session, state};
use crate::support::org;

fn passkey(n: u8, whose: u8) -> Passkey {
    Passkey {
        org: org(1),
        user: id(whose),
        id: PasskeyId::from_bytes([n; 16]),
        credential: vec![n; 20].try_into().expect("an id"),
        key: PasskeyKey::Es256 { x: [n; 32], y: [n; 32] },
        counter: 5,
        backup_eligible: false,
        backed_up: false,
        added: NOW + 10,
        used: None,
    }
}

/// Adds a passkey in a session, with a challenge of its own.
fn added(passkey: Passkey, session: u8, expected: u64) -> PasskeyAdded {
    let flow_sha256 = [100 + passkey.id.to_bytes()[0]; 32];
    let session = SessionId::from_bytes([session; 16]);
    PasskeyAdded { passkey, session, expected, flow_sha256, flow_ends: NOW + 300 }
}

fn add(added: PasskeyAdded) -> Command {
    Command::SignIn(SignInChange::AddPasskey(added))
}

/// A session that a passkey of the first user begins, with this challenge.
fn opens(n: u8, flow: u8, counter: u32, expected: u64) -> PasskeyShown {
    let session = Session { assurance: 2, ..session(n, 1, 1) };
    PasskeyShown {
        org: org(1),
        user: id(1),
        passkey: PasskeyId::from_bytes([1; 16]),
        counter,
        backed_up: false,
        expected,
        at: session.created,
        flow_sha256: [flow; 32],
        flow_ends: NOW + 300,
        session: Some(session),
    }
}

fn show(shown: PasskeyShown) -> Command {
    Command::SignIn(SignInChange::ShowPasskey(shown))
}

fn remove(n: u8, session: u8) -> Command {
    let (id, session) = (PasskeyId::from_bytes([n; 16]), SessionId::from_bytes([session; 16]));
    Command::SignIn(SignInChange::RemovePasskey { org: org(1), user: crate::signin::id(1), id, session })
}

/// Two sessions of the first user, the first of which added a passkey: the account's version is 2.
fn with_passkey() -> State {
    let mut state = state();
    done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
    done(&mut state, open(session(2, 1, 1), 1, SecondFactor::None));
    done(&mut state, add(added(passkey(1, 1), 1, 1)));
    state
}

fn sessions(state: &State) -> Vec<(u8, u16)> {
    let all = state.signin().sessions_of(org(1), id(1));
    all.map(|one| (one.id.to_bytes()[0], one.assurance)).collect()
}

#[test]
fn a_passkey_is_added_once_and_ends_what_one_factor_began() {
    let mut state = with_passkey();
    assert_eq!(sessions(&state), [(1, 2)]);
    done(&mut state, add(added(passkey(1, 1), 1, 1)));
    let account = state.signin().account(org(1), id(1)).cloned().expect("an account");
    assert!(state.signin().asks_for_more(&account) && account.version == 2);
    refused(&mut state, open(session(3, 1, 1), 2, SecondFactor::None), Refusal::StaleVersion);
    // The challenge is used up, for this passkey and for any other.
    let again = PasskeyAdded { flow_sha256: [101; 32], ..added(passkey(2, 1), 1, 2) };
    refused(&mut state, add(again), Refusal::CodeUsed);
    let known = |n: u8, called: u8| Passkey { credential: passkey(called, 1).credential, ..passkey(n, 1) };
    refused(&mut state, add(added(known(2, 1), 1, 2)), Refusal::AlreadyKnown);
    refused(
        &mut state,
        add(PasskeyAdded { flow_sha256: [9; 32], ..added(known(1, 2), 1, 2) }),
        Refusal::AlreadyKnown,
    );
    refused(&mut state, add(added(passkey(2, 1), 1, 1)), Refusal::StaleVersion);
    refused(&mut state, add(added(passkey(2, 1), 2, 2)), Refusal::UnknownSession);
    refused(&mut state, add(added(passkey(2, 2), 1, 1)), Refusal::UnknownAccount);
    let late = Passkey { added: NOW + 300, ..passkey(2, 1) };
    refused(&mut state, add(added(late, 1, 2)), Refusal::Lapsed);
    for n in 2..9 {
        done(&mut state, add(added(passkey(n, 1), 1, u64::from(n))));
    }
    assert_eq!(state.signin().passkeys_of(org(1), id(1)).count(), SignIns::PASSKEYS_EACH_MAX);
    refused(&mut state, add(added(passkey(9, 1), 1, 9)), Refusal::Full);
    kept(&state);
}

#[test]
fn two_users_have_no_passkey_in_common() {
    let mut state = with_passkey();
    done(&mut state, Command::SignIn(SignInChange::AddAccount(account(2, 1))));
    done(&mut state, open(session(3, 2, 1), 1, SecondFactor::None));
    let same = Passkey { credential: passkey(1, 1).credential, ..passkey(2, 2) };
    refused(&mut state, add(added(same, 3, 1)), Refusal::AlreadyKnown);
    refused(&mut state, add(added(passkey(2, 2), 1, 1)), Refusal::UnknownSession);
    done(&mut state, add(added(passkey(2, 2), 3, 1)));
    let whose = |n| state.signin().passkey_called(&passkey(n, 1).credential).map(|one| one.user);
    assert_eq!((whose(1), whose(2), whose(3)), (Some(id(1)), Some(id(2)), None));
}

#[test]
fn a_challenge_opens_one_session_and_the_counter_goes_on() {
    let mut state = with_passkey();
    done(&mut state, show(opens(3, 1, 6, 2)));
    done(&mut state, show(opens(3, 1, 6, 2)));
    refused(&mut state, show(opens(4, 1, 7, 2)), Refusal::CodeUsed);
    for counter in [0, 5, 6] {
        refused(&mut state, show(opens(4, 2, counter, 2)), Refusal::CodeUsed);
    }
    refused(&mut state, show(opens(4, 2, 7, 1)), Refusal::StaleVersion);
    let lapsed = PasskeyShown { flow_ends: NOW + 4, ..opens(4, 2, 7, 2) };
    refused(&mut state, show(lapsed), Refusal::Lapsed);
    let unknown = PasskeyShown { passkey: PasskeyId::from_bytes([9; 16]), ..opens(4, 2, 7, 2) };
    refused(&mut state, show(unknown), Refusal::UnknownPasskey);
    let others = PasskeyShown { session: Some(session(4, 2, 1)), ..opens(4, 2, 7, 2) };
    refused(&mut state, show(others), Refusal::UnknownSession);
    // Where a device waits the challenge is used up all the same.
    done(&mut state, show(PasskeyShown { session: None, ..opens(4, 2, 7, 2) }));
    refused(&mut state, show(opens(4, 2, 8, 2)), Refusal::CodeUsed);
    done(&mut state, show(opens(4, 3, 8, 2)));
    assert_eq!(sessions(&state), [(1, 2), (3, 2), (4, 2)]);
    let held = state.signin().passkey(org(1), id(1), PasskeyId::from_bytes([1; 16])).cloned().expect("there");
    assert_eq!((held.counter, held.used), (8, Some(NOW + 4)));
    kept(&state);
}

#[test]
fn an_authenticator_that_does_not_count_is_taken_until_it_counts() {
    let mut state = state();
    done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
    done(&mut state, add(added(Passkey { counter: 0, ..passkey(1, 1) }, 1, 1)));
    done(&mut state, show(opens(3, 1, 0, 2)));
    done(&mut state, show(opens(4, 2, 0, 2)));
    done(&mut state, show(opens(5, 3, 1, 2)));
    refused(&mut state, show(opens(6, 4, 0, 2)), Refusal::CodeUsed);
}

#[test]
fn a_passkey_that_is_removed_opens_nothing_and_the_other_sessions_end() {
    let mut state = with_passkey();
    done(&mut state, show(opens(3, 1, 6, 2)));
    refused(&mut state, remove(2, 1), Refusal::UnknownPasskey);
    done(&mut state, remove(1, 3));
    assert_eq!(sessions(&state), [(3, 2)]);
    refused(&mut state, remove(1, 3), Refusal::UnknownPasskey);
    refused(&mut state, show(opens(4, 2, 7, 3)), Refusal::UnknownPasskey);
    // What was looked at before rests on it; without one a password will do again.
    refused(&mut state, open(session(5, 1, 1), 2, SecondFactor::None), Refusal::StaleVersion);
    done(&mut state, open(session(5, 1, 1), 3, SecondFactor::None));
    done(&mut state, add(added(passkey(2, 1), 3, 3)));
    kept(&state);
}

#[test]
fn an_authenticator_that_nobody_confirmed_is_forgotten_with_its_codes() {
    let mut state = state();
    done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
    done(&mut state, enrol(1));
    done(&mut state, add(added(passkey(1, 1), 1, 2)));
    // Whoever began to enrol it may have been somebody else.
    refused(&mut state, open(session(3, 1, 1), 3, SecondFactor::Recovery(0)), Refusal::CodeUsed);
    refused(&mut state, confirm(7, 1, 3), Refusal::UnknownAccount);
    // One that is enrolled afterwards is asked for, and so are its codes.
    done(&mut state, enrol(3));
    refused(&mut state, open(session(3, 1, 1), 4, SecondFactor::Recovery(0)), Refusal::CodeUsed);
    done(&mut state, confirm(7, 1, 4));
    done(&mut state, open(session(3, 1, 1), 5, SecondFactor::Recovery(0)));
    done(&mut state, add(added(passkey(2, 1), 1, 5)));
    done(&mut state, open(session(4, 1, 1), 6, SecondFactor::Totp(8)));
    let ids: Vec<u8> = sessions(&state).into_iter().map(|(n, _)| n).collect();
    assert_eq!(ids, [1, 3, 4], "they had a second factor before");
}

#[test]
fn a_session_stands_in_for_a_code_only_where_there_is_none_and_it_is_sure() {
    let held = |n: u8| SecondFactor::Held(SessionId::from_bytes([n; 16]));
    let mut state = with_passkey();
    refused(&mut state, open(session(3, 1, 1), 2, held(1)), Refusal::CodeUsed);
    refused(&mut state, use_code(held(2), 2, NOW), Refusal::UnknownSession);
    refused(&mut state, use_code(SecondFactor::None, 2, NOW), Refusal::StaleVersion);
    refused(&mut state, use_code(held(1), 2, NOW + 7_200), Refusal::UnknownSession);
    done(&mut state, use_code(held(1), 2, NOW));
    done(&mut state, Command::SignIn(SignInChange::AddAccount(account(2, 1))));
    done(&mut state, open(session(3, 2, 1), 1, SecondFactor::None));
    refused(&mut state, use_code(held(3), 2, NOW), Refusal::UnknownSession);
    done(&mut state, change_password(5, 1, held(1), 2, NOW));
    done(&mut state, enrol(3));
    done(&mut state, confirm(7, 1, 4));
    refused(&mut state, use_code(held(1), 5, NOW), Refusal::UnknownSession);

    let mut one_factor = crate::signin::state();
    done(&mut one_factor, open(session(1, 1, 1), 1, SecondFactor::None));
    refused(&mut one_factor, use_code(held(1), 1, NOW), Refusal::UnknownSession);
}

#[test]
fn an_invitation_that_is_taken_up_forgets_the_passkeys() {
    let mut state = with_passkey();
    done(&mut state, invite(1, 7));
    assert_eq!(state.signin().passkeys_of(org(1), id(1)).count(), 1, "the control");
    done(&mut state, crate::signin::accept(1, 7, NOW));
    assert_eq!(state.signin().passkeys_of(org(1), id(1)).count(), 0);
    assert!(state.signin().passkey_called(&passkey(1, 1).credential).is_none());
    done(&mut state, open(session(3, 1, 1), 3, SecondFactor::None));
    kept(&state);
}
