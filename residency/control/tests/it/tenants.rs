//! Organisations that change and close, and the people who work for them.

use jiff::Timestamp;
use proptest::prelude::*;
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::keys::{mint, recognise};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_control::system::SystemEntropy;
use residency_control::{
    KeyVerifier, LegalBasis, Membership, Memberships, Organisation, OrganisationMark, Recorded, Recorder, User,
};
use residency_policy::{BasisKind, Closure, OrgType, Role, UserId};

use crate::support::cluster::{Cluster, TEXAS, TIMINGS};
use crate::support::{org, organisation, verifier};

const DONE: Outcome = Outcome::Done;

fn id(n: u8) -> UserId {
    UserId::from_bytes([n; 16])
}

pub(crate) fn user(n: u8, of: &[u8]) -> User {
    let member = |of: &u8| Membership { org: org(*of), roles: Role::Provider.into(), active: true };
    User {
        id: id(n),
        name: "Robin Sample".parse().expect("a name"),
        memberships: Memberships::new(of.iter().map(member).collect()).expect("memberships"),
        active: true,
        version: 1,
    }
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}

fn change(organisation: Organisation, expected: u64) -> Command {
    Command::ChangeOrganisation { organisation, expected }
}

fn close(expected: u64) -> Command {
    Command::CloseOrganisation { org: org(1), reason: Closure::Merged, expected }
}

#[test]
fn an_organisation_changes_for_whoever_knows_its_version_and_stays_closed() {
    let mut state = State::default();
    let renamed = Organisation { name: "Another Clinic".parse().expect("a name"), ..organisation(1) };
    assert_eq!(apply(&mut state, change(renamed.clone(), 1)), refused(Refusal::UnknownOrg));
    assert_eq!(apply(&mut state, Command::AddOrganisation(organisation(1))), DONE);
    assert_eq!(apply(&mut state, change(renamed.clone(), 2)), refused(Refusal::StaleVersion));
    let as_a_lab = Organisation { org_type: OrgType::Lab, ..renamed.clone() };
    assert_eq!(apply(&mut state, change(as_a_lab, 1)), DONE);
    assert_eq!(state.organisations().get(&org(1)), Some(&renamed), "its kind stays");
    assert_eq!(apply(&mut state, change(renamed.clone(), 1)), refused(Refusal::StaleVersion), "not twice");
    assert_eq!(state.mark(org(1)), OrganisationMark { version: 2, closed: None });
    // An operator's word counts too, when it says something new.
    assert_eq!(apply(&mut state, Command::PutOrganisation(renamed.clone())), DONE);
    assert_eq!(state.mark(org(1)).version, 2);
    assert_eq!(apply(&mut state, Command::PutOrganisation(organisation(1))), DONE);
    assert_eq!(state.mark(org(1)).version, 3);

    assert_eq!(apply(&mut state, close(2)), refused(Refusal::StaleVersion));
    assert_eq!(apply(&mut state, close(3)), DONE);
    for (again, outcome) in [
        (close(4), refused(Refusal::Closed)),
        (change(renamed, 4), refused(Refusal::Closed)),
        (Command::PutOrganisation(organisation(1)), DONE),
    ] {
        assert_eq!(apply(&mut state, again), outcome);
        assert!(!state.organisations().get(&org(1)).expect("is known").active, "nothing opens it again");
    }
    assert_eq!(state.mark(org(1)).closed, Some(Closure::Merged));
    assert_eq!(restore(&encode(&state).expect("encodes")), Ok(state));
}

fn marketing(n: u8) -> Organisation {
    Organisation { org_type: OrgType::Marketing, ..organisation(n) }
}

fn basis(document: u8) -> LegalBasis {
    let kind = BasisKind::BusinessAssociateAgreement;
    LegalBasis { kind, from: 20_261_122, until: 20_271_121, document_sha256: [document; 32] }
}

fn record(n: u8, document: u8, expected: u64) -> Command {
    Command::PutLegalBasis { org: org(n), basis: basis(document), expected }
}

fn take_back(n: u8, expected: u64) -> Command {
    Command::RemoveLegalBasis { org: org(n), expected }
}

/// Changes of what marketing organisations rest on, and such organisations.
pub(crate) fn bases() -> impl Strategy<Value = Command> {
    prop_oneof![
        (2..4_u8).prop_map(|n| Command::PutOrganisation(marketing(n))),
        (2..4_u8, 0..3_u8, 1..4_u64).prop_map(|(n, document, expected)| record(n, document, expected)),
        (2..4_u8, 1..4_u64).prop_map(|(n, expected)| take_back(n, expected)),
    ]
}

#[test]
fn a_marketing_organisation_has_a_legal_basis_and_no_other_has_one() {
    let mut state = State::default();
    assert_eq!(apply(&mut state, record(1, 7, 1)), refused(Refusal::UnknownOrg));
    assert_eq!(apply(&mut state, Command::AddOrganisation(marketing(1))), DONE);
    assert_eq!(apply(&mut state, Command::AddOrganisation(organisation(2))), DONE);
    for command in [record(2, 7, 1), take_back(2, 1)] {
        assert_eq!(apply(&mut state, command), refused(Refusal::NotMarketing));
    }
    assert_eq!(state.mark(org(2)).version, 1, "nothing of it was changed");
    assert_eq!(apply(&mut state, record(1, 7, 2)), refused(Refusal::StaleVersion));
    assert_eq!(apply(&mut state, record(1, 7, 1)), DONE);
    assert_eq!(apply(&mut state, record(1, 8, 1)), refused(Refusal::StaleVersion), "it is a change of its own");
    assert_eq!(apply(&mut state, record(1, 8, 2)), DONE);
    assert_eq!((state.legal_basis(org(1)), state.mark(org(1)).version), (Some(&basis(8)), 3));
    assert_eq!(restore(&encode(&state).expect("encodes")).as_ref(), Ok(&state));

    // Who recorded it is known, unless an earlier release did.
    assert_eq!(state.legal_basis_recorded(org(1)), None);
    let recorded = Recorded { by: Recorder::Operator, at: 7 };
    let said = Command::RecordLegalBasis { org: org(1), basis: basis(8), recorded, expected: 3 };
    let mut known = state.clone();
    assert_eq!(apply(&mut known, said), DONE);
    assert_eq!(known.legal_basis_recorded(org(1)), Some(&recorded));
    assert_eq!(restore(&encode(&known).expect("encodes")).as_ref(), Ok(&known));
    for command in [take_back(1, 4), record(1, 7, 4)] {
        let mut after = known.clone();
        assert_eq!(apply(&mut after, command), DONE);
        assert_eq!(after.legal_basis_recorded(org(1)), None);
    }

    let mut as_a_lab = state.clone();
    let lab = Organisation { org_type: OrgType::Lab, ..marketing(1) };
    assert_eq!(apply(&mut as_a_lab, Command::PutOrganisation(lab)), DONE);
    assert_eq!(as_a_lab.legal_basis(org(1)), None, "an operator made it another kind");
    assert_eq!(apply(&mut state, take_back(1, 3)), DONE);
    assert_eq!((state.legal_basis(org(1)), state.mark(org(1)).version), (None, 4));
    assert_eq!(apply(&mut state, close(4)), DONE);
    for command in [record(1, 7, 5), take_back(1, 5)] {
        assert_eq!(apply(&mut state, command), refused(Refusal::Closed));
    }
}

#[test]
fn a_legal_basis_holds_from_its_first_day_to_its_last() {
    for (day, holds) in
        [(20_261_121, false), (20_261_122, true), (20_271_121, true), (20_271_122, false), (0, false)]
    {
        assert_eq!(basis(7).holds_on(day), holds, "{day}");
    }
}

#[test]
fn a_user_is_added_once_changed_by_version_and_found_by_organisation() {
    let mut state = State::default();
    let add = |n, of: &[u8]| Command::AddUser(user(n, of));
    assert_eq!(apply(&mut state, add(1, &[1])), refused(Refusal::UnknownOrg));
    for n in [1, 2, 3] {
        assert_eq!(apply(&mut state, Command::AddOrganisation(organisation(n))), DONE);
    }
    for (command, outcome) in [
        (add(1, &[1, 2]), DONE),
        (add(1, &[1, 2]), DONE),
        (add(1, &[1]), refused(Refusal::AlreadyKnown)),
        (add(2, &[1]), DONE),
        (Command::ChangeUser { user: user(1, &[2, 3]), expected: 2 }, refused(Refusal::StaleVersion)),
        (Command::ChangeUser { user: user(1, &[2, 3]), expected: 1 }, DONE),
        (Command::ChangeUser { user: user(9, &[1]), expected: 1 }, refused(Refusal::UnknownUser)),
        (Command::ChangeUser { user: user(2, &[9]), expected: 1 }, refused(Refusal::UnknownOrg)),
    ] {
        assert_eq!(apply(&mut state, command.clone()), outcome, "{command:?}");
    }
    let of = |state: &State, n, after| -> Vec<UserId> {
        state.users_of(org(n), after).map(|user| user.id).collect()
    };
    assert_eq!(of(&state, 1, None), [id(2)]);
    assert_eq!(of(&state, 2, None), [id(1)]);
    assert_eq!(of(&state, 3, Some(id(1))), []);
    assert_eq!(state.user(id(1)).map(|user| user.version), Some(2), "the state counts");
    let restored = restore(&encode(&state).expect("encodes")).expect("restores");
    assert_eq!(restored, state, "with what finds users by organisation");
}

#[test]
fn a_key_belongs_to_one_user_who_has_its_role() {
    let mut state = State::default();
    for command in [
        Command::AddOrganisation(organisation(1)),
        Command::AddOrganisation(organisation(2)),
        Command::AddUser(user(1, &[1])),
        Command::AddUser(user(2, &[1])),
        Command::PutKey(verifier(7, 1)),
    ] {
        assert_eq!(apply(&mut state, command), DONE);
    }
    let key = |verifier, user| Command::PutUserKey { verifier, user: id(user) };
    let auditor = KeyVerifier { role: Role::Auditor, ..verifier(1, 1) };
    for (command, outcome) in [
        (key(verifier(1, 1), 9), refused(Refusal::UnknownUser)),
        (key(verifier(1, 2), 1), refused(Refusal::NotAMember)),
        (key(auditor, 1), refused(Refusal::NotAMember)),
        (key(verifier(7, 1), 1), refused(Refusal::AlreadyKnown)),
        (key(verifier(1, 1), 1), DONE),
        (key(verifier(1, 1), 1), DONE),
        (key(verifier(1, 1), 2), refused(Refusal::AlreadyKnown)),
    ] {
        assert_eq!(apply(&mut state, command.clone()), outcome, "{command:?}");
    }
    assert_eq!(restore(&encode(&state).expect("encodes")), Ok(state));
}

#[tokio::test]
async fn a_key_ends_with_its_users_work_and_with_its_organisation() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let running = cluster.form().await;
    let (reader, writer) = (running[&1].reader(), running[&1].writer());
    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let put = async |command: Command| {
        assert_eq!(writer.propose(command).await.expect("is proposed").outcome, DONE);
    };
    let minted = mint(&SystemEntropy::new());
    let own = KeyVerifier { key: minted.key, secret_sha256: minted.secret_sha256, ..verifier(1, 1) };
    put(Command::AddOrganisation(organisation(1))).await;
    put(Command::AddOrganisation(organisation(2))).await;
    put(Command::AddUser(user(1, &[1, 2]))).await;
    put(Command::PutUserKey { verifier: own.clone(), user: id(1) }).await;
    let good = || recognise(&reader, minted.text.reveal(), now).map(|held| (held.verifier, held.user));
    assert_eq!(good(), Some((own.clone(), Some(id(1)))), "the control");

    let mut expected = 0;
    let mut become_ = async |changed: User| {
        expected += 1;
        put(Command::ChangeUser { user: changed, expected }).await;
    };
    let there = |active, role: Role, of| Membership { org: org(of), roles: role.into(), active };
    let with =
        |one| User { memberships: user(1, &[1, 2]).memberships.with(one).expect("two"), ..user(1, &[1]) };
    for (changed, may) in [
        (User { active: false, ..user(1, &[1, 2]) }, false),
        (user(1, &[1, 2]), true),
        (with(there(false, Role::Provider, 1)), false),
        (with(there(false, Role::Provider, 2)), true),
        (with(there(true, Role::ProviderStaff, 1)), false),
        (user(1, &[2]), false),
        (user(1, &[1]), true),
    ] {
        become_(changed.clone()).await;
        assert_eq!(good().is_some(), may, "{changed:?}");
    }
    // A plain command about the key does not take its user away.
    put(Command::PutKey(own)).await;
    assert_eq!(good().and_then(|(_, user)| user), Some(id(1)));
    // An operator's bare command is applied like any other, and opens nothing.
    for kind in OrgType::ALL {
        put(Command::PutOrganisation(Organisation { org_type: *kind, ..organisation(1) })).await;
        assert_eq!(good().is_some(), *kind == OrgType::Provider, "a provider of {kind}");
    }
    put(Command::PutOrganisation(organisation(1))).await;
    assert!(good().is_some(), "the control");
    let version = reader.at(|state| state.mark(org(1)).version).1;
    put(close(version)).await;
    assert_eq!(good(), None, "its organisation is closed");
    put(Command::PutOrganisation(organisation(1))).await;
    assert_eq!(good(), None, "and stays so");
}
