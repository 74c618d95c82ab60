//! Accounts, sessions and signing keys: what the state allows, whoever asks.

use proptest::prelude::*;
use residency_control::Membership;
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::signin::{
    Account, Invitation, LoginName, PasswordVerifier, RecoveryCodes, SecondFactor, Session, SignInChange,
    SignIns, SigningKey, TotpVerifier,
};
use residency_control::snapshot::{encode, restore};
use residency_policy::{OrgId, Role, SessionId, SigningKeyId, UserId};

use crate::again::{change_password, step_up, use_code};
use crate::support::{org, organisation, region};
use crate::tenants::user;

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn id(n: u8) -> UserId {
    UserId::from_bytes([n; 16])
}

fn name(n: u8) -> LoginName {
    format!("user-{n}@clinic.example").parse().expect("a login name")
}

pub(crate) fn password(n: u8) -> PasswordVerifier {
    PasswordVerifier { memory_kib: 19_456, passes: 2, lanes: 1, salt: [n; 16], hash: [n; 32] }
}

fn totp() -> TotpVerifier {
    let (nonce, secret, tag) = ([1; 12], [2; 20], [3; 16]);
    TotpVerifier { sealed_under: 1, nonce, secret, tag, confirmed: false, last_step: 0 }
}

fn codes() -> RecoveryCodes {
    RecoveryCodes { sha256: Box::new(std::array::from_fn(|n| [u8::try_from(n).unwrap_or(0); 32])), used: 0 }
}

pub(crate) fn account(n: u8, of: u8) -> Account {
    Account { password: Some(password(n)), ..Account::new(org(of), id(n), name(n)) }
}

pub(crate) fn session(n: u8, whose: u8, of: u8) -> Session {
    Session {
        id: SessionId::from_bytes([n; 16]),
        org: org(of),
        user: id(whose),
        role: Role::Provider,
        family_sha256: [n; 32],
        refresh_sha256: [n; 32],
        rotations: 0,
        assurance: 1,
        created: NOW + i64::from(n),
        expires: NOW + 3_600,
        ends: NOW + 43_200,
    }
}

pub(crate) fn open(session: Session, expected: u64, second: SecondFactor) -> Command {
    Command::SignIn(SignInChange::OpenSession { session, expected, second })
}

fn refresh(n: u8, from: u8, to: u8) -> Command {
    Command::SignIn(SignInChange::Refresh {
        session: SessionId::from_bytes([n; 16]),
        from: [from; 32],
        to: [to; 32],
        expires: NOW + 9_000,
    })
}

pub(crate) fn invite(n: u8, secret: u8) -> Command {
    let invitation = Invitation { secret_sha256: [secret; 32], expires: NOW + 100 };
    Command::SignIn(SignInChange::Invite { org: org(1), user: id(n), name: name(n), invitation })
}

pub(crate) fn accept(n: u8, secret: u8, at: i64) -> Command {
    Command::SignIn(SignInChange::Accept {
        org: org(1),
        user: id(n),
        secret_sha256: [secret; 32],
        password: password(secret),
        at,
    })
}

pub(crate) fn failure(at: i64) -> Command {
    Command::SignIn(SignInChange::NoteFailure { org: org(1), user: id(1), at })
}

pub(crate) fn confirm(step: u64, session: u8, expected: u64) -> Command {
    let session = SessionId::from_bytes([session; 16]);
    Command::SignIn(SignInChange::ConfirmTotp { org: org(1), user: id(1), step, session, expected })
}

pub(crate) fn enrol(expected: u64) -> Command {
    let (totp, recovery) = (totp(), codes());
    Command::SignIn(SignInChange::EnrolTotp { org: org(1), user: id(1), totp, recovery, expected })
}

fn signing_key(n: u8, from: i64) -> Command {
    Command::SignIn(SignInChange::AddSigningKey(SigningKey {
        id: SigningKeyId::from_bytes([n; 16]),
        region: region("US-TX"),
        public: [n; 32],
        not_before: from,
        not_after: from + 100,
    }))
}

/// Two organisations, two users of the first, of whom the first works for both; and an account of the first.
pub(crate) fn state() -> State {
    let mut state = State::default();
    for command in [
        Command::AddOrganisation(organisation(1)),
        Command::AddOrganisation(organisation(2)),
        Command::AddUser(user(1, &[1, 2])),
        Command::AddUser(user(2, &[1])),
        Command::SignIn(SignInChange::AddAccount(account(1, 1))),
    ] {
        done(&mut state, command);
    }
    state
}

pub(crate) fn done(state: &mut State, command: Command) {
    let said = format!("{command:?}");
    assert_eq!(apply(state, command), Outcome::Done, "{said}");
}

pub(crate) fn refused(state: &mut State, command: Command, why: Refusal) {
    let (before, said) = (state.clone(), format!("{command:?}"));
    assert_eq!(apply(state, command), Outcome::Refused(why), "{said}");
    assert_eq!(*state, before, "a refusal changes nothing");
}

pub(crate) fn kept(state: &State) {
    assert_eq!(restore(&encode(state).expect("encodes")).as_ref(), Ok(state));
}

/// Changes that often collide.
pub(crate) fn changes() -> impl Strategy<Value = Command> {
    prop_oneof![
        (0..4_u8, 0..4_u8).prop_map(|(n, of)| Command::SignIn(SignInChange::AddAccount(account(n, of)))),
        (0..4_u8, 0..3_u8).prop_map(|(n, secret)| invite(n, secret)),
        (0..4_u8, 0..3_u8).prop_map(|(n, secret)| accept(n, secret, NOW)),
        Just(failure(NOW)),
        (0..4_u8, 0..4_u8, 0..4_u8, 1..4_u64).prop_map(|(n, whose, of, expected)| open(
            session(n, whose, of),
            expected,
            SecondFactor::None
        )),
        (0..4_u8, 0..4_u8, 0..4_u8).prop_map(|(n, from, to)| refresh(n, from, to)),
        (0..4_u8).prop_map(|n| Command::SignIn(SignInChange::EndSession(SessionId::from_bytes([n; 16])))),
        (1..4_u64).prop_map(enrol),
        (0..4_u8, 1..4_u64).prop_map(|(n, expected)| confirm(7, n, expected)),
        (0..4_u8, 0..400_i64).prop_map(|(n, from)| signing_key(n, from)),
        (0..4_u8, 0..4_u8, 1..4_u64).prop_map(|(n, session, expected)| change_password(
            n,
            session,
            SecondFactor::None,
            expected,
            NOW
        )),
        (1..4_u64, 6..9_u64).prop_map(|(expected, step)| use_code(SecondFactor::Totp(step), expected, NOW)),
        (0..4_u8, 1..4_u64, 6..12_u64).prop_map(|(session, expected, step)| step_up(
            session,
            SecondFactor::Totp(step),
            expected,
            NOW
        )),
    ]
}

#[test]
fn an_account_is_added_once_and_its_name_is_the_organisations_only_one() {
    let mut state = state();
    done(&mut state, Command::SignIn(SignInChange::AddAccount(account(1, 1))));
    let add = |account| Command::SignIn(SignInChange::AddAccount(account));
    refused(&mut state, add(Account { name: name(1), ..account(2, 1) }), Refusal::LoginNameTaken);
    refused(&mut state, add(account(2, 2)), Refusal::NotAMember);
    refused(&mut state, add(account(9, 1)), Refusal::UnknownUser);
    // Another organisation's names are its own, and so is its password.
    done(&mut state, add(Account { password: None, ..account(1, 2) }));
    let found = |state: &State, of| state.signin().account_named(org(of), &name(1)).cloned();
    assert!(found(&state, 1).is_some_and(|one| one.password.is_some()));
    assert!(found(&state, 2).is_some_and(|one| one.password.is_none()));
    kept(&state);
}

#[test]
fn an_invitation_is_good_once_in_time_and_ends_what_signed_in_before() {
    let mut state = state();
    done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
    done(&mut state, invite(1, 5));
    refused(&mut state, accept(1, 6, NOW), Refusal::Lapsed);
    refused(&mut state, accept(1, 5, NOW + 100), Refusal::Lapsed);
    done(&mut state, invite(1, 7));
    refused(&mut state, accept(1, 5, NOW), Refusal::Lapsed);
    assert_eq!(state.signin().sessions().len(), 1, "an invitation alone changes nothing");
    done(&mut state, accept(1, 7, NOW));
    refused(&mut state, accept(1, 7, NOW), Refusal::Lapsed);
    assert_eq!(state.signin().sessions().len(), 0);
    let now = state.signin().account(org(1), id(1)).expect("an account");
    assert!(now.password == Some(password(7)) && now.version == 2);
    refused(&mut state, open(session(2, 1, 1), 1, SecondFactor::None), Refusal::StaleVersion);
    // Somebody new gets an account with the invitation.
    done(&mut state, invite(2, 8));
    done(&mut state, accept(2, 8, NOW));
    kept(&state);
}

#[test]
fn failures_lock_out_for_longer_and_longer_and_a_success_forgets_them() {
    let mut state = state();
    for _ in 0..4 {
        done(&mut state, failure(NOW));
    }
    done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
    let failures = |state: &State| state.signin().account(org(1), id(1)).map(|a| (a.failures, a.not_before));
    assert_eq!(failures(&state), Some((0, 0)));
    for _ in 0..5 {
        done(&mut state, failure(NOW));
    }
    assert_eq!(failures(&state), Some((5, NOW + 30)));
    let at = |created| Session { created, ..session(2, 1, 1) };
    refused(&mut state, open(at(NOW + 29), 1, SecondFactor::None), Refusal::TooSoon);
    done(&mut state, failure(NOW + 30));
    assert_eq!(failures(&state), Some((6, NOW + 90)));
    done(&mut state, open(at(NOW + 90), 1, SecondFactor::None));
    assert_eq!(failures(&state), Some((0, 0)));
    refused(
        &mut state,
        Command::SignIn(SignInChange::NoteFailure { org: org(2), user: id(1), at: NOW }),
        Refusal::UnknownAccount,
    );
}

#[test]
fn a_refresh_token_is_replaced_once_and_never_outlives_its_session() {
    let mut state = state();
    done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
    done(&mut state, refresh(1, 1, 2));
    done(&mut state, refresh(1, 1, 2));
    refused(&mut state, refresh(1, 1, 3), Refusal::StaleVersion);
    done(&mut state, refresh(1, 2, 3));
    let now = state.signin().session(SessionId::from_bytes([1; 16])).expect("a session");
    assert_eq!((now.rotations, now.expires), (2, NOW + 9_000));
    let end = Command::SignIn(SignInChange::EndSession(SessionId::from_bytes([1; 16])));
    done(&mut state, end.clone());
    done(&mut state, end);
    refused(&mut state, refresh(1, 3, 4), Refusal::UnknownSession);
    let brief = Session { ends: NOW + 10, ..session(2, 1, 1) };
    done(&mut state, open(brief, 1, SecondFactor::None));
    done(&mut state, refresh(2, 2, 5));
    let now = state.signin().session(SessionId::from_bytes([2; 16])).expect("a session");
    assert_eq!(now.expires, NOW + 10);
    kept(&state);
}

#[test]
fn sessions_end_with_what_they_rest_on_and_do_not_come_back() {
    let there = |active, role: Role| Membership { org: org(1), roles: role.into(), active };
    let with = |one| residency_control::User {
        memberships: user(1, &[1, 2]).memberships.with(one).expect("two"),
        ..user(1, &[1])
    };
    for (changed, ends) in [
        (residency_control::User { active: false, ..user(1, &[1, 2]) }, true),
        (with(there(false, Role::Provider)), true),
        (with(there(true, Role::ProviderStaff)), true),
        (user(1, &[2]), true),
        (user(1, &[1]), false),
    ] {
        let mut state = state();
        done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
        done(&mut state, Command::ChangeUser { user: changed.clone(), expected: 1 });
        assert_eq!(state.signin().sessions().is_empty(), ends, "{changed:?}");
        if ends {
            let one = Session { created: NOW, ..session(2, 1, 1) };
            refused(&mut state, open(one, 1, SecondFactor::None), Refusal::NotAMember);
        }
        done(&mut state, Command::ChangeUser { user: user(1, &[1, 2]), expected: 2 });
        assert_eq!(state.signin().sessions().is_empty(), ends, "{changed:?}");
    }
    let mut state = state();
    done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
    let asleep = residency_control::Organisation { active: false, ..organisation(1) };
    done(&mut state, Command::PutOrganisation(asleep));
    assert!(state.signin().sessions().is_empty());
    refused(&mut state, open(session(2, 1, 1), 1, SecondFactor::None), Refusal::NotAMember);
}

#[test]
fn the_oldest_session_gives_way_and_what_is_long_over_is_forgotten() {
    let mut state = state();
    let most = u8::try_from(SignIns::SESSIONS_EACH_MAX).expect("few");
    for n in 1..=most + 1 {
        done(&mut state, open(session(n, 1, 1), 1, SecondFactor::None));
    }
    let of = |state: &State, of: OrgId| state.signin().sessions_of(of, id(1)).count();
    assert_eq!((of(&state, org(1)), of(&state, org(2))), (usize::from(most), 0));
    assert!(state.signin().session(SessionId::from_bytes([1; 16])).is_none());
    done(&mut state, Command::SignIn(SignInChange::AddAccount(account(2, 1))));
    let later = Session { created: NOW + 200_000, ends: NOW + 300_000, ..session(99, 2, 1) };
    done(&mut state, open(later, 1, SecondFactor::None));
    assert_eq!(of(&state, org(1)), 0, "they ended more than a day before");
    kept(&state);
}

#[test]
fn a_second_factor_is_asked_for_once_it_is_shown_and_each_code_is_good_once() {
    let mut state = state();
    refused(&mut state, enrol(2), Refusal::StaleVersion);
    refused(&mut state, confirm(7, 1, 1), Refusal::UnknownAccount);
    done(&mut state, open(session(1, 1, 1), 1, SecondFactor::None));
    done(&mut state, open(session(2, 1, 1), 1, SecondFactor::None));
    done(&mut state, enrol(1));
    // What nobody has shown a code of yet is asked of nobody.
    done(&mut state, open(session(3, 1, 1), 2, SecondFactor::None));
    // A code of one that was enrolled before confirms none that was enrolled since.
    refused(&mut state, confirm(7, 1, 1), Refusal::StaleVersion);
    done(&mut state, confirm(7, 1, 2));
    refused(&mut state, confirm(8, 1, 3), Refusal::AlreadyKnown);
    let left: Vec<u16> = state.signin().sessions_of(org(1), id(1)).map(|one| one.assurance).collect();
    assert_eq!(left, [2], "the others knew the password only");

    refused(&mut state, enrol(3), Refusal::AlreadyKnown);
    refused(&mut state, open(session(4, 1, 1), 3, SecondFactor::None), Refusal::StaleVersion);
    refused(&mut state, open(session(4, 1, 1), 3, SecondFactor::Totp(7)), Refusal::CodeUsed);
    done(&mut state, open(session(4, 1, 1), 3, SecondFactor::Totp(8)));
    refused(&mut state, open(session(5, 1, 1), 3, SecondFactor::Totp(8)), Refusal::CodeUsed);
    done(&mut state, open(session(5, 1, 1), 3, SecondFactor::Recovery(9)));
    refused(&mut state, open(session(6, 1, 1), 3, SecondFactor::Recovery(9)), Refusal::CodeUsed);
    refused(&mut state, open(session(6, 1, 1), 3, SecondFactor::Recovery(10)), Refusal::CodeUsed);
    kept(&state);
}

#[test]
fn signing_keys_are_kept_while_anything_they_signed_may_be_good() {
    let mut state = state();
    done(&mut state, signing_key(1, 0));
    done(&mut state, signing_key(1, 0));
    refused(&mut state, signing_key(1, 1), Refusal::AlreadyKnown);
    done(&mut state, signing_key(2, 99));
    let known = |state: &State| state.signin().signing_keys().map(|key| key.public[0]).collect::<Vec<_>>();
    assert_eq!(known(&state), [1, 2]);
    kept(&state);
    done(&mut state, signing_key(3, 100));
    assert_eq!(known(&state), [2, 3]);
    for n in 4..=33 {
        done(&mut state, signing_key(n, 100));
    }
    refused(&mut state, signing_key(34, 100), Refusal::Full);
}
