//! API keys that organisations issue themselves: what the state allows, and which secrets are good when.

use jiff::Timestamp;
use residency_control::api_keys::{KeyChange, KeyUses};
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::keys::{mint, recognise, secret_of};
use residency_control::machine::{State, apply};
use residency_control::signin::{SecondFactor, Session};
use residency_control::snapshot::{encode, restore};
use residency_control::system::SystemEntropy;
use residency_control::{JurisdictionSet, KeyStanding, KeyVerifier, Organisation};
use residency_policy::{KeyId, KeyScope, KeyScopes};

use crate::signin::{kept, open, session};
use crate::support::cluster::{Cluster, TEXAS, TIMINGS};
use crate::support::{org, organisation, place, verifier};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn scopes() -> KeyScopes {
    [KeyScope::SchedulingWrite].into_iter().collect()
}

fn issued(n: u8, of: u8) -> KeyVerifier {
    KeyVerifier { expires: Some(NOW + 90 * DAY), ..verifier(n, of) }
}

fn issue(verifier: KeyVerifier) -> Command {
    Command::Key(KeyChange::Issue { verifier, scopes: scopes(), at: NOW })
}

fn rotate(n: u8, secret: u8, overlap: i64, expected: u64) -> Command {
    Command::Key(KeyChange::Rotate {
        key: KeyId::from_bytes([n; 16]),
        secret_sha256: [secret; 32],
        expires: NOW + 100 * DAY,
        overlap_until: NOW + overlap,
        at: NOW,
        expected,
    })
}

fn uses(of: &[(u8, i64)]) -> Command {
    let of = of.iter().map(|(n, at)| (KeyId::from_bytes([*n; 16]), *at)).collect();
    Command::Key(KeyChange::NoteUses(KeyUses::new(of).expect("a list")))
}

fn state() -> State {
    let mut state = State::default();
    for n in [1, 2] {
        assert_eq!(apply(&mut state, Command::AddOrganisation(organisation(n))), Outcome::Done);
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

fn standing(state: &State, n: u8) -> KeyStanding {
    let key = KeyId::from_bytes([n; 16]);
    state.keys_of(org(1)).find(|one| one.key == key).expect("it is there")
}

#[test]
fn a_key_is_issued_once_for_something_and_for_a_while() {
    let mut state = state();
    refused(&mut state, issue(issued(1, 7)), Refusal::UnknownOrg);
    refused(&mut state, issue(verifier(1, 1)), Refusal::Lapsed);
    for expires in [NOW, NOW + 366 * DAY + 1] {
        refused(&mut state, issue(KeyVerifier { expires: Some(expires), ..issued(1, 1) }), Refusal::Lapsed);
    }
    done(&mut state, issue(issued(1, 1)));
    let once = state.clone();
    done(&mut state, issue(issued(1, 1)));
    assert_eq!(state, once, "the same proposal again");
    refused(&mut state, issue(KeyVerifier { secret_sha256: [9; 32], ..issued(1, 1) }), Refusal::AlreadyKnown);
    refused(&mut state, issue(issued(1, 2)), Refusal::AlreadyKnown);
    let there = standing(&state, 1);
    assert_eq!((there.scopes, there.created, there.version), (scopes(), Some(NOW), 1));
    assert_eq!(restore(&encode(&state).expect("encodes")).as_ref(), Ok(&state));
    // One that an operator put has every scope, and is the organisation's too.
    done(&mut state, Command::PutKey(verifier(2, 1)));
    assert_eq!((standing(&state, 2).scopes, standing(&state, 2).version), (KeyScopes::ALL, 0));
    refused(&mut state, rotate(2, 8, 0, 0), Refusal::UnknownKey);
    assert_eq!(state.keys_of(org(2)).count(), 0);
}

#[test]
fn a_rotation_follows_what_was_read_and_ends_what_is_revoked_no_more() {
    let mut state = state();
    done(&mut state, issue(issued(1, 1)));
    refused(&mut state, rotate(1, 8, 0, 2), Refusal::StaleVersion);
    refused(&mut state, rotate(1, 8, 7 * DAY + 1, 1), Refusal::Lapsed);
    done(&mut state, rotate(1, 8, DAY, 1));
    refused(&mut state, rotate(1, 8, DAY, 1), Refusal::StaleVersion);
    let there = standing(&state, 1);
    assert_eq!((there.version, there.overlap_until), (2, Some(NOW + DAY)));
    assert_eq!((there.expires, there.scopes), (Some(NOW + 100 * DAY), scopes()));
    assert_eq!(restore(&encode(&state).expect("encodes")).as_ref(), Ok(&state));
    done(&mut state, rotate(1, 9, 0, 2));
    assert_eq!(standing(&state, 1).overlap_until, None, "at once");
    done(&mut state, Command::RevokeKey(KeyId::from_bytes([1; 16])));
    refused(&mut state, rotate(1, 10, 0, 3), Refusal::Lapsed);
}

#[test]
fn an_organisation_has_a_bounded_number_of_keys_that_are_good() {
    let mut state = state();
    for n in 0..State::KEYS_EACH_MAX {
        done(&mut state, issue(issued(u8::try_from(n).expect("few"), 1)));
    }
    refused(&mut state, issue(issued(255, 1)), Refusal::Full);
    done(&mut state, issue(issued(254, 2)));
    done(&mut state, Command::RevokeKey(KeyId::from_bytes([3; 16])));
    done(&mut state, issue(issued(255, 1)));
}

#[test]
fn a_rotated_key_works_where_its_organisation_still_does() {
    let both: JurisdictionSet = ["US-TX", "US-CA"].map(place).into_iter().collect();
    let texas = JurisdictionSet::from(place("US-TX"));
    let serving = |serves| Command::PutOrganisation(Organisation { serves, ..organisation(1) });
    let mut state = state();
    done(&mut state, serving(both));
    done(&mut state, issue(KeyVerifier { jurisdictions: both, ..issued(1, 1) }));
    done(&mut state, rotate(1, 8, 0, 1));
    assert_eq!(standing(&state, 1).jurisdictions, both, "the control");
    done(&mut state, serving(texas));
    done(&mut state, rotate(1, 9, 0, 2));
    assert_eq!(standing(&state, 1).jurisdictions, texas);
    done(&mut state, serving(JurisdictionSet::from(place("US-NY"))));
    refused(&mut state, rotate(1, 10, 0, 3), Refusal::Lapsed);
}

fn numbered(n: u16) -> KeyVerifier {
    KeyVerifier { key: KeyId::from_bytes((u128::from(n) + (1 << 64)).to_be_bytes()), ..issued(1, 1) }
}

fn revoke(key: KeyId, at: i64) -> Command {
    Command::Key(KeyChange::Revoke { key, at })
}

/// Three keys of an organisation: one that was revoked at `NOW`, one that ends a day later, and one that an operator put
/// and somebody revoked.
fn ended() -> State {
    let mut state = crate::signin::state();
    done(&mut state, Command::PutKey(verifier(3, 1)));
    for n in [1, 2] {
        done(&mut state, issue(KeyVerifier { expires: Some(NOW + DAY), ..verifier(n, 1) }));
    }
    done(&mut state, uses(&[(1, NOW), (3, NOW)]));
    for (n, at) in [(1, NOW), (1, NOW + 5), (3, NOW)] {
        done(&mut state, revoke(KeyId::from_bytes([n; 16]), at));
    }
    refused(&mut state, revoke(KeyId::from_bytes([9; 16]), NOW), Refusal::UnknownKey);
    refused(&mut state, rotate(1, 8, 0, 1), Refusal::Lapsed);
    state
}

#[test]
fn an_issued_key_that_is_good_no_more_is_forgotten_after_a_while() {
    let over = NOW + State::KEY_KEPT_SECONDS;
    for (at, left) in [(over - 1, vec![1, 2, 3]), (over, vec![2, 3]), (over + DAY, vec![3])] {
        // Whoever issues a key or signs in makes everybody look, at whichever organisation.
        let verifier = KeyVerifier { expires: Some(at + DAY), ..verifier(7, 2) };
        let session = Session { created: at, expires: at + 9, ends: at + 9, ..session(1, 1, 1) };
        for command in [
            Command::Key(KeyChange::Issue { verifier, scopes: scopes(), at }),
            open(session, 1, SecondFactor::None),
        ] {
            let mut state = ended();
            done(&mut state, command.clone());
            let known: Vec<u8> = state.keys_of(org(1)).map(|one| one.key.to_bytes()[0]).collect();
            assert_eq!(known, left, "{} {command:?}", at - over);
            kept(&state);
        }
    }
}

#[test]
fn whoever_issues_and_revokes_in_a_circle_fills_their_own_part_only() {
    let mut state = state();
    let most = u16::try_from(State::KEYS_EACH_KEPT_MAX).expect("few");
    // The first one stays good.
    done(&mut state, issue(numbered(0)));
    for n in 1..most + 5 {
        done(&mut state, issue(numbered(n)));
        if n == most - 1 {
            assert_eq!(state.keys_of(org(1)).count(), usize::from(most), "the control: none is forgotten yet");
        }
        done(&mut state, revoke(numbered(n).key, NOW + i64::from(n)));
    }
    assert_eq!(state.keys_of(org(1)).count(), usize::from(most));
    let known = |n: u16| state.keys().contains_key(&numbered(n).key);
    assert!(known(0) && known(most + 4), "what is good, and what was issued last");
    assert!((1..=5).all(|n| !known(n)) && known(6), "those that ended first");
    kept(&state);
}

#[test]
fn the_latest_use_of_known_keys_is_noted() {
    let mut state = state();
    done(&mut state, issue(issued(1, 1)));
    done(&mut state, uses(&[(1, NOW + 5), (7, NOW)]));
    done(&mut state, uses(&[(1, NOW + 3)]));
    assert_eq!(standing(&state, 1).last_used, Some(NOW + 5));
    assert_eq!(restore(&encode(&state).expect("encodes")).as_ref(), Ok(&state));
    let many = |n: u16| (0..n).map(|n| (KeyId::from_bytes(u128::from(n).to_be_bytes()), NOW)).collect();
    assert!(KeyUses::new(many(1_024)).is_ok());
    assert!(KeyUses::new(many(1_025)).is_err() && KeyUses::new(Vec::new()).is_err());
    let twice = vec![(KeyId::from_bytes([1; 16]), 1), (KeyId::from_bytes([1; 16]), 2)];
    assert!(KeyUses::new(twice.clone()).is_err());
    let bytes = postcard::to_allocvec(&twice).expect("encodes");
    assert!(postcard::from_bytes::<KeyUses>(&bytes).is_err());
}

#[tokio::test]
async fn both_secrets_are_good_until_the_old_ones_time_is_over() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let running = cluster.form().await;
    let (reader, writer) = (running[&1].reader(), running[&1].writer());
    let put = async |command: Command| {
        assert_eq!(writer.propose(command).await.expect("is proposed").outcome, Outcome::Done);
    };
    let entropy = SystemEntropy::new();
    let first = mint(&entropy);
    let own = KeyVerifier { key: first.key, secret_sha256: first.secret_sha256, ..issued(1, 1) };
    put(Command::AddOrganisation(organisation(1))).await;
    put(issue(own)).await;
    let scopes_at = |text: &str, at: i64| {
        recognise(&reader, text, Timestamp::from_second(at).expect("a time")).map(|held| held.scopes)
    };
    assert_eq!(scopes_at(first.text.reveal(), NOW), Some(scopes()), "the control");
    let next = async |expected: u64, overlap: i64| {
        let minted = secret_of(first.key, &entropy);
        put(Command::Key(KeyChange::Rotate {
            key: first.key,
            secret_sha256: minted.secret_sha256,
            expires: NOW + 100 * DAY,
            overlap_until: NOW + overlap,
            at: NOW,
            expected,
        }))
        .await;
        minted
    };
    let second = next(1, DAY).await;
    for (text, at, good) in [
        (first.text.reveal(), NOW, true),
        (first.text.reveal(), NOW + DAY - 1, true),
        (first.text.reveal(), NOW + DAY, false),
        (second.text.reveal(), NOW, true),
        (second.text.reveal(), NOW + 99 * DAY, true),
        (second.text.reveal(), NOW + 100 * DAY, false),
    ] {
        assert_eq!(scopes_at(text, at).is_some(), good, "{}", at - NOW);
    }
    // Two before the present one is none.
    let third = next(2, DAY).await;
    assert!(scopes_at(first.text.reveal(), NOW).is_none());
    assert!(scopes_at(second.text.reveal(), NOW).is_some() && scopes_at(third.text.reveal(), NOW).is_some());
    put(Command::RevokeKey(first.key)).await;
    for text in [second.text.reveal(), third.text.reveal()] {
        assert_eq!(scopes_at(text, NOW), None, "revoked, whichever secret");
    }
}
