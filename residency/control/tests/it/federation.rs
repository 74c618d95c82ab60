//! Identity providers, whom they call what, and flows that are good once: what the state allows, whoever asks.

use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::signin::{
    Account, Entrance, Federation, GroupRoles, IdentityProvider, Invitation, Joining, Preset, RoleMapping,
    SecondFactor, Session, SignInChange, SignIns, TotpVerifier,
};
use residency_control::snapshot::{encode, restore};
use residency_policy::{IdentityProviderId, Role, SessionId, UserId};

use crate::support::{org, organisation};
use crate::tenants::user;

const NOW: i64 = 1_800_000_000;

fn person(n: u8) -> UserId {
    UserId::from_bytes([n; 16])
}

fn session_id(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

fn provider(n: u8, of: u8) -> IdentityProvider {
    IdentityProvider {
        id: IdentityProviderId::from_bytes([n; 16]),
        org: org(of),
        preset: Preset::Custom,
        issuer: "https://idp.example".parse().expect("an issuer"),
        client: "client".parse().expect("a client id"),
        secret: None,
        mail_domain: Some("clinic.example".parse().expect("a host")),
        active: true,
        version: 1,
    }
}

fn session(n: u8, whose: u8) -> Session {
    Session {
        id: session_id(n),
        org: org(1),
        user: person(whose),
        role: Role::Provider,
        family_sha256: [n; 32],
        refresh_sha256: [n; 32],
        rotations: 0,
        assurance: 1,
        created: NOW,
        expires: NOW + 3_600,
        ends: NOW + 43_200,
    }
}

/// Somebody comes in through the first provider as subject 5, with a flow that nobody used.
fn entrance(n: u8, whose: u8, expected: u64, joining: Joining) -> Entrance {
    Entrance {
        session: session(n, whose),
        expected,
        provider: IdentityProviderId::from_bytes([1; 16]),
        subject_sha256: [5; 32],
        joining,
        second: false,
        flow_sha256: [n; 32],
        flow_ends: NOW + 600,
    }
}

fn enter(entrance: Entrance) -> Command {
    Command::SignIn(SignInChange::Enter(entrance))
}

fn add(provider: IdentityProvider) -> Command {
    Command::SignIn(SignInChange::AddIdentityProvider(provider))
}

fn change(provider: IdentityProvider, expected: u64) -> Command {
    Command::SignIn(SignInChange::ChangeIdentityProvider { provider, expected })
}

fn remove(n: u8, of: u8) -> Command {
    let provider = IdentityProviderId::from_bytes([n; 16]);
    Command::SignIn(SignInChange::RemoveIdentityProvider { org: org(of), provider })
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

fn kept(state: &State) {
    assert_eq!(restore(&encode(state).expect("encodes")).as_ref(), Ok(state));
}

/// Two organisations, two users of the first with accounts there, and a provider of the first.
fn state() -> State {
    let mut state = State::default();
    let account = |n: u8| {
        let name = format!("user-{n}@clinic.example").parse().expect("a login name");
        Command::SignIn(SignInChange::AddAccount(Account::new(org(1), person(n), name)))
    };
    for command in [
        Command::AddOrganisation(organisation(1)),
        Command::AddOrganisation(organisation(2)),
        Command::AddUser(user(1, &[1, 2])),
        Command::AddUser(user(2, &[1])),
        account(1),
        account(2),
        add(provider(1, 1)),
    ] {
        done(&mut state, command);
    }
    state
}

#[test]
fn an_organisation_has_few_providers_and_what_links_rest_on_never_changes() {
    let mut state = state();
    done(&mut state, add(provider(1, 1)));
    refused(&mut state, add(provider(1, 2)), Refusal::AlreadyKnown);
    refused(&mut state, add(provider(2, 9)), Refusal::UnknownOrg);
    let most = u8::try_from(Federation::PROVIDERS_EACH_MAX).expect("few");
    for n in 2..=most {
        done(&mut state, add(provider(n, 1)));
    }
    refused(&mut state, add(provider(99, 1)), Refusal::Full);
    done(&mut state, add(provider(100, 2)));

    let other = IdentityProvider { issuer: "https://other.example".parse().expect("one"), ..provider(1, 1) };
    refused(&mut state, change(other, 1), Refusal::AlreadyKnown);
    let other = IdentityProvider { client: "other".parse().expect("one"), ..provider(1, 1) };
    refused(&mut state, change(other, 1), Refusal::AlreadyKnown);
    refused(&mut state, change(provider(1, 2), 1), Refusal::UnknownIdentityProvider);
    let asleep = IdentityProvider { active: false, ..provider(1, 1) };
    refused(&mut state, change(asleep.clone(), 2), Refusal::StaleVersion);
    done(&mut state, change(asleep, 1));
    refused(&mut state, enter(entrance(1, 1, 1, Joining::ByMail)), Refusal::UnknownIdentityProvider);
    refused(&mut state, remove(1, 2), Refusal::UnknownIdentityProvider);
    done(&mut state, remove(1, 1));
    let left: Vec<_> =
        state.signin().federation().providers_of(org(1)).map(|one| one.id.to_bytes()[0]).collect();
    assert_eq!(left, (2..=most).collect::<Vec<_>>());
    kept(&state);
}

#[test]
fn what_groups_make_of_people_goes_with_their_provider() {
    let mapping = |role| {
        let groups = GroupRoles::new(vec![("Doctors".parse().expect("a group"), role)]).expect("a table");
        RoleMapping { claim: "groups".parse().expect("a claim"), groups }
    };
    let put = |n: u8, mapping: Option<RoleMapping>, expected: u64| {
        let provider = provider(n, 1);
        Command::SignIn(SignInChange::PutIdentityProvider { provider, mapping, expected })
    };
    let id = IdentityProviderId::from_bytes([2; 16]);
    let known = |state: &State| state.signin().federation().mapping(id).map(|one| (**one).clone());
    let mut state = state();
    done(&mut state, put(2, Some(mapping(Role::Provider)), 0));
    // The same proposal again, and another one under the same id.
    done(&mut state, put(2, Some(mapping(Role::Provider)), 0));
    refused(&mut state, put(2, Some(mapping(Role::Auditor)), 0), Refusal::AlreadyKnown);
    refused(&mut state, put(2, None, 0), Refusal::AlreadyKnown);
    refused(&mut state, put(2, None, 2), Refusal::StaleVersion);
    refused(&mut state, put(3, None, 1), Refusal::UnknownIdentityProvider);
    assert_eq!(known(&state), Some(mapping(Role::Provider)));
    kept(&state);
    done(&mut state, put(2, Some(mapping(Role::Auditor)), 1));
    // What is changed without a word about groups leaves them.
    done(&mut state, change(provider(2, 1), 2));
    assert_eq!(known(&state), Some(mapping(Role::Auditor)));
    kept(&state);
    let mut without = state.clone();
    done(&mut without, put(2, None, 3));
    assert_eq!(known(&without), None);
    done(&mut state, remove(2, 1));
    assert_eq!(known(&state), None);
    kept(&state);
}

#[test]
fn a_verified_address_links_once_and_an_address_that_changed_hands_does_not() {
    let mut state = state();
    refused(&mut state, enter(entrance(1, 1, 1, Joining::Linked)), Refusal::UnknownAccount);
    done(&mut state, enter(entrance(1, 1, 1, Joining::ByMail)));
    let linked =
        |state: &State| state.signin().federation().linked(IdentityProviderId::from_bytes([1; 16]), &[5; 32]);
    assert_eq!(linked(&state), Some(person(1)));
    assert_eq!(state.signin().account(org(1), person(1)).map(|account| account.version), Some(2));
    kept(&state);
    done(&mut state, enter(entrance(2, 1, 2, Joining::Linked)));
    // The same subject as somebody else, and somebody else's subject with the same address.
    refused(&mut state, enter(entrance(3, 2, 1, Joining::ByMail)), Refusal::IdentityTaken);
    let heir = Entrance { subject_sha256: [6; 32], ..entrance(3, 1, 2, Joining::ByMail) };
    refused(&mut state, enter(heir), Refusal::IdentityTaken);
    // Without a domain to vouch for, no address links.
    let silent = IdentityProvider { mail_domain: None, ..provider(1, 1) };
    done(&mut state, change(silent, 1));
    let other = Entrance { subject_sha256: [6; 32], ..entrance(3, 2, 1, Joining::ByMail) };
    refused(&mut state, enter(other), Refusal::IdentityTaken);
    kept(&state);
}

#[test]
fn a_flow_is_good_once_in_time_for_who_works_there() {
    let mut state = state();
    let first = entrance(1, 1, 1, Joining::ByMail);
    let late = Entrance { flow_ends: NOW, ..first.clone() };
    refused(&mut state, enter(late), Refusal::Lapsed);
    refused(&mut state, enter(entrance(1, 1, 9, Joining::ByMail)), Refusal::StaleVersion);
    let admin = Session { role: Role::OrgAdmin, ..session(1, 1) };
    refused(&mut state, enter(Entrance { session: admin, ..first.clone() }), Refusal::NotAMember);
    done(&mut state, enter(first.clone()));
    // The same proposal again.
    done(&mut state, enter(first.clone()));
    let again = Entrance { session: session(2, 1), expected: 2, joining: Joining::Linked, ..first.clone() };
    refused(&mut state, enter(again.clone()), Refusal::CodeUsed);
    done(&mut state, Command::SignIn(SignInChange::EndSession(session_id(1))));
    refused(&mut state, enter(first), Refusal::CodeUsed);
    kept(&state);
    // Long after, it is forgotten; the node refuses it by its time.
    let created = NOW + 10_000;
    let later = Session { created, ends: created + 9, ..session(3, 1) };
    let flow = Entrance { flow_ends: created + 600, session: later, ..entrance(3, 1, 2, Joining::Linked) };
    done(&mut state, enter(flow));
    assert!(matches!(apply(&mut state, enter(again)), Outcome::Done), "its place is free again");
}

/// To link a provider takes no second factor anew where one was shown, so it makes none count for longer.
#[test]
fn a_link_makes_a_second_factor_count_no_longer() {
    let sure = |n: u8, created: i64| Session { assurance: 2, created, ..session(n, 1) };
    let most = u8::try_from(SignIns::SESSIONS_EACH_MAX).expect("few");
    // The one that asks may have to make room for the one that takes its place.
    for others in [0, most - 1] {
        let mut state = state();
        done(&mut state, enter(Entrance { session: sure(1, NOW), ..entrance(1, 1, 1, Joining::ByMail) }));
        for n in 3..3 + others {
            done(&mut state, enter(entrance(n, 1, 2, Joining::Linked)));
        }
        let link = Entrance { flow_ends: NOW + 4_000, ..entrance(2, 1, 2, Joining::SignedIn(session_id(1))) };
        done(&mut state, enter(Entrance { session: sure(2, NOW + 3_000), ..link }));
        let held = state.signin().session(session_id(2)).expect("it goes on");
        let is_sure = |at| state.signin().is_sure(held, at);
        assert!(is_sure(NOW + 3_599) && !is_sure(NOW + 3_600), "{others}");
        assert!(state.signin().session(session_id(1)).is_none());
        kept(&state);
    }
}

/// Whoever is signed in at a provider comes back from it without being asked anything.
#[test]
fn a_second_factor_of_a_provider_counts_from_when_it_was_shown_there() {
    let sure = |n: u8, expected: u64, joining: Joining| {
        let session = Session { assurance: 2, ..session(n, 1) };
        Entrance { session, second: true, ..entrance(n, 1, expected, joining) }
    };
    let seconds = |state: &State, n: u8| {
        let held = state.signin().session(session_id(n)).expect("it goes on");
        (NOW..NOW + 4_000).filter(|at| state.signin().is_sure(held, *at)).count()
    };
    let mut state = state();
    // As earlier releases said it, it counts from the sign-in.
    done(&mut state, enter(sure(1, 1, Joining::ByMail)));
    assert_eq!(seconds(&state, 1), 3_600);
    for (n, shown_at, left) in
        [(2, NOW, 3_600), (3, NOW - 3_000, 600), (4, NOW - 3_600, 0), (5, 0, 0), (6, NOW + 300, 3_600)]
    {
        let entrance = sure(n, 2, Joining::Linked);
        done(&mut state, Command::SignIn(SignInChange::EnterAssured { entrance, shown_at }));
        assert_eq!(seconds(&state, n), left, "{shown_at}");
        let has = state.signin().federation().has_second_factor(org(1), person(1));
        assert!(has && !state.signin().federation().has_second_factor(org(1), person(2)));
    }
    kept(&state);
}

#[test]
fn an_invitation_forgets_what_came_in_before_and_a_session_only_adds() {
    let mut state = state();
    done(&mut state, enter(entrance(1, 1, 1, Joining::ByMail)));
    let stranger = Entrance { subject_sha256: [6; 32], ..entrance(2, 1, 2, Joining::SignedIn(session_id(9))) };
    refused(&mut state, enter(stranger.clone()), Refusal::UnknownSession);
    let own = Entrance { joining: Joining::SignedIn(session_id(1)), ..stranger };
    refused(
        &mut state,
        enter(Entrance { session: session(2, 2), expected: 1, ..own.clone() }),
        Refusal::UnknownSession,
    );
    // What was linked once is not replaced: that takes an invitation.
    refused(&mut state, enter(own.clone()), Refusal::IdentityTaken);
    done(&mut state, enter(Entrance { subject_sha256: [5; 32], ..own }));
    let ids = |state: &State| state.signin().sessions().keys().map(|id| id.to_bytes()[0]).collect::<Vec<_>>();
    assert_eq!(ids(&state), [2], "the new session took the place of the one that asked");

    let invitation = Invitation { secret_sha256: [8; 32], expires: NOW + 100 };
    let name = "user-1@clinic.example".parse().expect("a login name");
    done(&mut state, Command::SignIn(SignInChange::Invite { org: org(1), user: person(1), name, invitation }));
    let invited = |secret| Entrance { subject_sha256: [7; 32], ..entrance(3, 1, 3, Joining::Invited(secret)) };
    refused(&mut state, enter(invited([9; 32])), Refusal::Lapsed);
    done(&mut state, enter(invited([8; 32])));
    let federation = state.signin().federation();
    let linked = |subject| federation.linked(IdentityProviderId::from_bytes([1; 16]), &[subject; 32]);
    assert_eq!([5, 6, 7].map(linked), [None, None, Some(person(1))]);
    assert_eq!(ids(&state), [3]);
    let account = state.signin().account(org(1), person(1)).expect("an account");
    assert!(account.password.is_none() && account.invitation.is_none() && account.version == 4);
    kept(&state);
}

#[test]
fn an_authenticator_is_not_got_around() {
    let mut state = state();
    done(&mut state, enter(entrance(1, 1, 1, Joining::ByMail)));
    let totp = TotpVerifier {
        sealed_under: 1,
        nonce: [1; 12],
        secret: [2; 20],
        tag: [3; 16],
        confirmed: false,
        last_step: 0,
    };
    let codes = residency_control::signin::RecoveryCodes { sha256: Box::new([[1; 32]; 10]), used: 0 };
    let (org, user) = (org(1), person(1));
    for change in [
        SignInChange::EnrolTotp { org, user, totp, recovery: codes, expected: 2 },
        SignInChange::ConfirmTotp { org, user, step: 7, session: session_id(1), expected: 3 },
    ] {
        done(&mut state, Command::SignIn(change));
    }
    let bare = entrance(2, 1, 4, Joining::Linked);
    refused(&mut state, enter(bare.clone()), Refusal::StaleVersion);
    done(&mut state, enter(Entrance { second: true, ..bare }));
    kept(&state);
}

#[test]
fn one_person_is_unlinked_and_their_sessions_end() {
    let mut state = state();
    done(&mut state, enter(entrance(1, 1, 1, Joining::ByMail)));
    let unlink = |of: u8, whom: u8| {
        let provider = IdentityProviderId::from_bytes([1; 16]);
        Command::SignIn(SignInChange::Unlink { org: org(of), user: person(whom), provider })
    };
    refused(&mut state, unlink(2, 1), Refusal::UnknownIdentityProvider);
    refused(&mut state, unlink(1, 2), Refusal::UnknownAccount);
    assert_eq!(state.signin().sessions().len(), 1, "the control");
    done(&mut state, unlink(1, 1));
    refused(&mut state, unlink(1, 1), Refusal::UnknownAccount);
    assert_eq!(state.signin().sessions().len(), 0);
    // What was looked at while they were linked lets nobody in.
    refused(&mut state, enter(entrance(2, 1, 2, Joining::Linked)), Refusal::StaleVersion);
    refused(&mut state, enter(entrance(2, 1, 3, Joining::Linked)), Refusal::UnknownAccount);
    kept(&state);
}

#[test]
fn a_provider_that_goes_takes_links_and_sessions_along() {
    let with_session = || {
        let mut state = state();
        done(&mut state, enter(entrance(1, 1, 1, Joining::ByMail)));
        let other = Command::SignIn(SignInChange::OpenSession {
            session: session(9, 2),
            expected: 1,
            second: SecondFactor::None,
        });
        done(&mut state, other);
        state
    };
    let left = |state: &State| state.signin().sessions().keys().map(|id| id.to_bytes()[0]).collect::<Vec<_>>();
    let mut removed = with_session();
    done(&mut removed, remove(1, 1));
    assert_eq!(left(&removed), [9], "whoever was not linked stays");
    done(&mut removed, add(provider(1, 1)));
    let again = entrance(2, 1, 2, Joining::Linked);
    refused(&mut removed, enter(again.clone()), Refusal::UnknownAccount);
    kept(&removed);
    let mut asleep = with_session();
    done(&mut asleep, change(IdentityProvider { active: false, ..provider(1, 1) }, 1));
    assert_eq!(left(&asleep), [9]);
    done(&mut asleep, change(provider(1, 1), 2));
    done(&mut asleep, enter(again));
}
