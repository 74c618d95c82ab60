//! What somebody does who confirms with what they sign in with: a new password, and codes that are used up.

use residency_control::command::{Command, Refusal};
use residency_control::machine::State;
use residency_control::signin::{SecondFactor, Session, SignInChange, SignIns};
use residency_policy::SessionId;

use crate::signin::{
    NOW, account, confirm, done, enrol, failure, id, kept, open, password, refused, session, state,
};
use crate::support::org;

pub(crate) fn change_password(n: u8, session: u8, second: SecondFactor, expected: u64, at: i64) -> Command {
    let (password, session) = (password(n), SessionId::from_bytes([session; 16]));
    let (org, user) = (org(1), id(1));
    Command::SignIn(SignInChange::ChangePassword { org, user, password, second, session, expected, at })
}

pub(crate) fn use_code(second: SecondFactor, expected: u64, at: i64) -> Command {
    Command::SignIn(SignInChange::UseCode { org: org(1), user: id(1), second, expected, at })
}

pub(crate) fn step_up(session: u8, second: SecondFactor, expected: u64, at: i64) -> Command {
    let (org, user, session) = (org(1), id(1), SessionId::from_bytes([session; 16]));
    Command::SignIn(SignInChange::StepUp { org, user, second, session, expected, at })
}

#[test]
fn a_password_is_changed_by_a_session_of_its_holder_which_alone_goes_on() {
    let none = SecondFactor::None;
    let mut state = state();
    done(&mut state, Command::SignIn(SignInChange::AddAccount(account(2, 1))));
    for (n, whose) in [(1, 1), (2, 1), (3, 2)] {
        done(&mut state, open(session(n, whose, 1), 1, none));
    }
    refused(&mut state, change_password(5, 3, none, 1, NOW), Refusal::UnknownSession);
    refused(&mut state, change_password(5, 9, none, 1, NOW), Refusal::UnknownSession);
    refused(&mut state, change_password(5, 1, none, 1, NOW + 43_200), Refusal::UnknownSession);
    refused(&mut state, change_password(5, 1, none, 2, NOW), Refusal::StaleVersion);
    refused(&mut state, change_password(5, 1, SecondFactor::Totp(7), 1, NOW), Refusal::CodeUsed);
    for _ in 0..5 {
        done(&mut state, failure(NOW));
    }
    refused(&mut state, change_password(5, 1, none, 1, NOW + 29), Refusal::TooSoon);
    done(&mut state, change_password(5, 1, none, 1, NOW + 30));
    // The same proposal again.
    done(&mut state, change_password(5, 1, none, 1, NOW + 30));
    let now = state.signin().account(org(1), id(1)).expect("an account");
    assert!(now.password == Some(password(5)) && (now.version, now.failures) == (2, 0));
    let left: Vec<SessionId> = state.signin().sessions().keys().copied().collect();
    assert_eq!(left, [SessionId::from_bytes([1; 16]), SessionId::from_bytes([3; 16])]);
    refused(&mut state, open(session(4, 1, 1), 1, none), Refusal::StaleVersion);
    done(&mut state, open(session(4, 1, 1), 2, none));
    kept(&state);
}

#[test]
fn a_code_that_confirms_a_change_is_used_up() {
    let (none, totp) = (SecondFactor::None, SecondFactor::Totp);
    let mut state = state();
    done(&mut state, open(session(1, 1, 1), 1, none));
    done(&mut state, enrol(1));
    refused(&mut state, use_code(totp(7), 2, NOW), Refusal::CodeUsed);
    done(&mut state, confirm(7, 1, 2));
    refused(&mut state, use_code(none, 3, NOW), Refusal::StaleVersion);
    refused(&mut state, use_code(totp(7), 3, NOW), Refusal::CodeUsed);
    refused(&mut state, use_code(totp(8), 2, NOW), Refusal::StaleVersion);
    done(&mut state, use_code(totp(8), 3, NOW));
    refused(&mut state, use_code(totp(8), 3, NOW), Refusal::CodeUsed);
    refused(&mut state, change_password(5, 1, totp(8), 3, NOW), Refusal::CodeUsed);
    refused(&mut state, change_password(5, 1, none, 3, NOW), Refusal::StaleVersion);
    done(&mut state, change_password(5, 1, SecondFactor::Recovery(2), 3, NOW));
    refused(&mut state, use_code(SecondFactor::Recovery(2), 4, NOW), Refusal::CodeUsed);
    for _ in 0..5 {
        done(&mut state, failure(NOW));
    }
    refused(&mut state, use_code(totp(9), 4, NOW), Refusal::TooSoon);
    done(&mut state, use_code(totp(9), 4, NOW + 30));
    kept(&state);
}

fn is_sure(state: &State, n: u8, at: i64) -> bool {
    let signins = state.signin();
    signins.session(SessionId::from_bytes([n; 16])).is_some_and(|held| signins.is_sure(held, at))
}

#[test]
fn a_second_factor_counts_for_an_hour_after_it_was_shown_and_is_shown_again() {
    let (none, totp) = (SecondFactor::None, SecondFactor::Totp);
    let hour = SignIns::SURE_SECONDS;
    // The step of a code says when it was shown.
    let step = u64::try_from(NOW / 30).expect("after the epoch");
    let mut state = state();
    done(&mut state, open(session(1, 1, 1), 1, none));
    assert!(!is_sure(&state, 1, NOW), "the control: one factor");
    done(&mut state, enrol(1));
    done(&mut state, confirm(step, 1, 2));
    let shown = NOW / 30 * 30;
    assert!(is_sure(&state, 1, shown + hour - 1) && !is_sure(&state, 1, shown + hour));

    // One that began with both counts from then on, and a refresh makes nothing of it longer.
    let both = Session { assurance: 2, created: NOW + 40, ..session(2, 1, 1) };
    done(&mut state, open(both, 3, totp(step + 1)));
    assert!(is_sure(&state, 2, NOW + 40 + hour - 1) && !is_sure(&state, 2, NOW + 40 + hour));
    let later = NOW + 2 * hour;
    let step = u64::try_from(later / 30).expect("after the epoch");
    for (command, why) in [
        (step_up(9, totp(step), 3, later), Refusal::UnknownSession),
        (step_up(2, none, 3, later), Refusal::CodeUsed),
        (step_up(2, totp(2), 3, later), Refusal::CodeUsed),
        (step_up(2, totp(step), 2, later), Refusal::StaleVersion),
        (step_up(2, totp(step), 3, NOW + 43_200), Refusal::UnknownSession),
    ] {
        refused(&mut state, command, why);
    }
    done(&mut state, step_up(2, totp(step), 3, later));
    refused(&mut state, step_up(1, totp(step), 3, later), Refusal::CodeUsed);
    assert!(is_sure(&state, 2, later + hour - 1) && !is_sure(&state, 2, later + hour));
    assert!(!is_sure(&state, 1, later), "another session of theirs is no surer for it");
    kept(&state);
    let refresh = SignInChange::Refresh {
        session: SessionId::from_bytes([2; 16]),
        from: [2; 32],
        to: [8; 32],
        expires: later + 9,
    };
    done(&mut state, Command::SignIn(refresh));
    assert!(is_sure(&state, 2, later + hour - 1) && !is_sure(&state, 2, later + hour), "nor for a refresh");
    kept(&state);
    done(&mut state, Command::SignIn(SignInChange::EndSession(SessionId::from_bytes([2; 16]))));
    assert!(!is_sure(&state, 2, later));
    kept(&state);
}

#[test]
fn only_its_holder_makes_a_session_sure() {
    let mut state = state();
    done(&mut state, Command::SignIn(SignInChange::AddAccount(account(2, 1))));
    for (n, whose) in [(1, 1), (3, 2)] {
        done(&mut state, open(session(n, whose, 1), 1, SecondFactor::None));
    }
    done(&mut state, enrol(1));
    done(&mut state, confirm(7, 1, 2));
    refused(&mut state, step_up(3, SecondFactor::Totp(8), 3, NOW), Refusal::UnknownSession);
    for _ in 0..5 {
        done(&mut state, failure(NOW));
    }
    refused(&mut state, step_up(1, SecondFactor::Totp(8), 3, NOW + 29), Refusal::TooSoon);
    done(&mut state, step_up(1, SecondFactor::Totp(8), 3, NOW + 30));
}
