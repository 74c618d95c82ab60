//! What somebody does who confirms with what they sign in with: a new password, and codes that are used up.

use residency_control::command::{Command, Refusal};
use residency_control::signin::{SecondFactor, SignInChange};
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
