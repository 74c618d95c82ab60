//! The state: what `apply` may do, and what snapshots keep.

use crate::support::{add_region, claim, home, org, organisation, patient, region, verifier};
use crate::tenants::user;
use proptest::prelude::*;
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{SnapshotError, encode, restore};
use residency_control::{IdBatch, KeyVerifier, Organisation, PolicyVersion, Signature64};
use residency_policy::ruleset::Digest;
use residency_policy::{Closure, Epoch, KeyId, PlacementState, UserId};

const REGIONS: [&str; 3] = ["US-CA", "US-NY", "US-TX"];

fn policy(version: u64) -> Command {
    let digest = Digest([7; 32]);
    Command::PutPolicy(PolicyVersion { version, digest, signature: Signature64::from_bytes(&[9; 64]) })
}

fn access_policies(version: u64) -> Command {
    let digest = Digest([8; 32]);
    let signature = Signature64::from_bytes(&[6; 64]);
    Command::PutAccessPolicies(PolicyVersion { version, digest, signature })
}

/// Commands that often collide: few ids, few keys, few epochs.
fn commands() -> impl Strategy<Value = Command> {
    let code = prop::sample::select(REGIONS.to_vec());
    prop_oneof![
        code.clone().prop_map(add_region),
        (code, prop::collection::btree_set(0..60_u64, 1..6)).prop_map(|(code, ids)| claim(code, ids)),
        (0..4_u8).prop_map(|n| Command::PutOrganisation(organisation(n))),
        (0..4_u8, any::<bool>())
            .prop_map(|(n, active)| Command::AddOrganisation(Organisation { active, ..organisation(n) })),
        (0..6_u8, 0..5_u8).prop_map(|(n, of)| Command::PutKey(verifier(n, of))),
        (0..6_u8).prop_map(|n| Command::RevokeKey(KeyId::from_bytes([n; 16]))),
        (0..9_u64).prop_map(policy),
        (0..5_u64).prop_map(access_policies),
        (0..4_u8, 1..5_u64, any::<bool>()).prop_map(|(n, expected, active)| {
            let organisation = Organisation { active, ..organisation(n) };
            Command::ChangeOrganisation { organisation, expected }
        }),
        (0..4_u8, 1..5_u64).prop_map(|(n, expected)| {
            Command::CloseOrganisation { org: org(n), reason: Closure::Ceased, expected }
        }),
        (0..4_u8, 0..5_u8).prop_map(|(n, of)| Command::AddUser(user(n, &[of]))),
        (0..4_u8, 0..4_u8, 1..4_u64)
            .prop_map(|(n, of, expected)| Command::ChangeUser { user: user(n, &[of]), expected }),
        (0..6_u8, 0..4_u8, 0..4_u8).prop_map(|(n, of, whose)| {
            Command::PutUserKey { verifier: verifier(n, of), user: UserId::from_bytes([whose; 16]) }
        }),
        crate::providers::changes(),
        crate::clinicians::changes(),
        crate::facilities::changes(),
        crate::signin::changes(),
        crate::tenants::bases(),
        (0..60_u64, 1..4_u32).prop_map(|(n, e)| Command::Retire { patient: patient(n), expected: Epoch(e) }),
    ]
}

fn run(state: &mut State, commands: &[Command]) -> Vec<Outcome> {
    commands.iter().map(|command| apply(state, command.clone())).collect()
}

proptest! {
    #[test]
    fn the_same_commands_give_the_same_state(all in prop::collection::vec(commands(), 0..80)) {
        let (mut a, mut b) = (State::default(), State::default());
        prop_assert_eq!(run(&mut a, &all), run(&mut b, &all));
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(encode(&a), encode(&b));
    }

    #[test]
    fn it_does_not_matter_how_commands_are_cut_into_batches(
        all in prop::collection::vec(commands(), 0..80),
        cuts in prop::collection::vec(0..80_usize, 0..8),
    ) {
        let mut whole = State::default();
        let expected = run(&mut whole, &all);
        let (mut cut, mut outcomes, mut start) = (State::default(), Vec::new(), 0);
        let mut ends: Vec<usize> = cuts.into_iter().map(|c| c.min(all.len())).chain([all.len()]).collect();
        ends.sort_unstable();
        for end in ends {
            // A member may also restart from a snapshot between any two batches.
            cut = restore(&encode(&cut).expect("encodes")).expect("restores");
            outcomes.extend(run(&mut cut, &all[start..end]));
            start = end;
        }
        prop_assert_eq!(outcomes, expected);
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn an_id_keeps_its_home_and_its_epoch_never_falls(all in prop::collection::vec(commands(), 0..80)) {
        let mut state = State::default();
        for command in &all {
            let before = state.clone();
            let outcome = apply(&mut state, command.clone());
            if outcome != Outcome::Done {
                prop_assert_eq!(&state, &before, "a refused command changed something");
            }
            for placement in (0..60).filter_map(|n| before.placement(patient(n))) {
                let after = state.placement(placement.patient).expect("is never forgotten");
                prop_assert_eq!(after.home, placement.home);
                let retired = matches!(command, Command::Retire { patient, .. } if *patient == placement.patient);
                prop_assert!(after == placement || (retired && after.epoch.0 == placement.epoch.0 + 1));
            }
        }
    }

    #[test]
    fn a_snapshot_gives_the_state_back_and_damage_is_seen(
        all in prop::collection::vec(commands(), 0..80),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut state = State::default();
        run(&mut state, &all);
        let image = encode(&state).expect("encodes");
        prop_assert_eq!(&restore(&image).expect("restores"), &state);
        let mut damaged = image.to_vec();
        damaged[at.index(image.len())] ^= 1 << bit;
        prop_assert!(restore(&damaged).is_err());
        prop_assert!(restore(&image[..at.index(image.len())]).is_err());
    }
}

#[test]
fn a_claim_is_refused_whole_when_one_id_is_known() {
    let mut state = State::default();
    assert_eq!(apply(&mut state, claim("US-TX", [1])), Outcome::Refused(Refusal::UnknownRegion));
    assert_eq!(run(&mut state, &[add_region("US-TX"), add_region("US-CA")]), [Outcome::Done; 2]);
    assert_eq!(apply(&mut state, claim("US-TX", [1, 2])), Outcome::Done);
    assert_eq!(apply(&mut state, claim("US-CA", [2, 3])), Outcome::Refused(Refusal::AlreadyKnown));
    assert_eq!(state.placement(patient(3)), None, "not even the part that was free");
    assert_eq!(state.placement(patient(2)).map(|p| p.home), Some(home("US-TX")));
    assert_eq!(apply(&mut state, claim("US-CA", [3])), Outcome::Done, "the control: a free id can be claimed");
    assert_eq!(state.directory().len(), 3);
}

#[test]
fn an_id_is_retired_by_whoever_knows_its_epoch() {
    let mut state = State::default();
    run(&mut state, &[add_region("US-TX"), claim("US-TX", [1])]);
    let retire = |expected| Command::Retire { patient: patient(1), expected: Epoch(expected) };
    assert_eq!(apply(&mut state, retire(2)), Outcome::Refused(Refusal::StaleEpoch));
    assert_eq!(apply(&mut state, retire(1)), Outcome::Done);
    assert_eq!(apply(&mut state, retire(1)), Outcome::Refused(Refusal::StaleEpoch), "not twice");
    let placement = state.placement(patient(1)).expect("is known");
    assert_eq!((placement.state, placement.epoch), (PlacementState::Retired, Epoch(2)));
    run(&mut state, &[claim("US-TX", [2])]);
    assert_eq!(state.directory().changed().collect::<Vec<_>>(), [placement], "what the fence is told");
    let restored = restore(&encode(&state).expect("encodes")).expect("restores");
    assert_eq!(restored.directory().changed().collect::<Vec<_>>(), [placement]);
    let unknown = Command::Retire { patient: patient(9), expected: Epoch::FIRST };
    assert_eq!(apply(&mut state, unknown), Outcome::Refused(Refusal::UnknownPatient));
}

#[test]
fn a_revoked_key_stays_revoked_and_keys_do_not_change_hands() {
    let mut state = State::default();
    assert_eq!(apply(&mut state, Command::PutKey(verifier(1, 1))), Outcome::Refused(Refusal::UnknownOrg));
    run(&mut state, &[Command::PutOrganisation(organisation(1)), Command::PutOrganisation(organisation(2))]);
    assert_eq!(apply(&mut state, Command::PutKey(verifier(1, 1))), Outcome::Done);
    assert_eq!(apply(&mut state, Command::PutKey(verifier(1, 2))), Outcome::Refused(Refusal::OtherOrg));
    let key = verifier(1, 1).key;
    assert_eq!(apply(&mut state, Command::RevokeKey(key)), Outcome::Done);
    assert_eq!(apply(&mut state, Command::PutKey(verifier(1, 1))), Outcome::Done);
    assert!(state.keys().get(&key).expect("is known").revoked);
    let unknown = Command::RevokeKey(verifier(9, 1).key);
    assert_eq!(apply(&mut state, unknown), Outcome::Refused(Refusal::UnknownKey));
}

#[test]
fn rules_only_go_forward() {
    let mut state = State::default();
    assert_eq!(
        run(&mut state, &[policy(2), policy(2), policy(1)]),
        [Outcome::Done, Outcome::Refused(Refusal::OldVersion), Outcome::Refused(Refusal::OldVersion),]
    );
    assert_eq!(apply(&mut state, policy(3)), Outcome::Done);
    // Nobody may use up the versions that are still to come.
    for leap in [5, u64::MAX] {
        assert_eq!(apply(&mut state, policy(leap)), Outcome::Refused(Refusal::SkippedVersion));
    }
    assert_eq!(apply(&mut state, policy(4)), Outcome::Done, "the control");
    let mut last = State::default();
    assert_eq!(apply(&mut last, policy(0)), Outcome::Refused(Refusal::OldVersion), "0 is no version");
    assert_eq!(apply(&mut last, policy(u64::MAX)), Outcome::Done);
    assert_eq!(apply(&mut last, policy(1)), Outcome::Refused(Refusal::OldVersion));
}

#[test]
fn access_policies_only_go_forward_by_one_and_beside_the_rules() {
    let mut state = State::default();
    let (old, skipped) = (Outcome::Refused(Refusal::OldVersion), Outcome::Refused(Refusal::SkippedVersion));
    // The first version of all cannot be the last one.
    let proposed = [0, 2, u64::MAX, 1, 1, 3, 2].map(access_policies);
    let expected = [old, skipped, skipped, Outcome::Done, old, skipped, Outcome::Done];
    assert_eq!(run(&mut state, &proposed), expected);
    assert!(state.policy().is_none(), "rules have a place of their own");
    assert_eq!(apply(&mut state, policy(7)), Outcome::Done);
    assert_eq!(state.access_policies().map(|in_force| in_force.version), Some(2));
    let restored = restore(&encode(&state).expect("encodes")).expect("restores");
    assert_eq!(restored.access_policies(), state.access_policies(), "a snapshot keeps both");
    assert_eq!(restored, state);
}

#[test]
fn an_organisation_that_is_added_twice_is_one_and_two_are_told_apart() {
    let mut state = State::default();
    let other = Organisation { name: "Another Clinic".parse().expect("a name"), ..organisation(1) };
    let all = [organisation(1), organisation(1), other.clone()].map(Command::AddOrganisation);
    assert_eq!(run(&mut state, &all), [Outcome::Done, Outcome::Done, Outcome::Refused(Refusal::AlreadyKnown)]);
    assert_eq!(state.organisations().get(&other.id), Some(&organisation(1)), "the first one stays");
    // The control: whoever operates the cluster may replace it.
    assert_eq!(apply(&mut state, Command::PutOrganisation(other.clone())), Outcome::Done);
    assert_eq!(state.organisations().get(&other.id), Some(&other));
}

#[test]
fn a_snapshot_of_another_version_is_refused_by_name() {
    let mut image = encode(&State::default()).expect("encodes").to_vec();
    image[8] = 7;
    assert_eq!(restore(&image), Err(SnapshotError::UnknownVersion(7)));
    assert_eq!(restore(b"what?"), Err(SnapshotError::NotASnapshot));
    assert_eq!(restore(b""), Err(SnapshotError::NotASnapshot));
    assert_eq!(restore(b"DOMSTATE"), Err(SnapshotError::Damaged));
    assert_eq!(restore(b"DOMSTATE\x01\x00"), Err(SnapshotError::Damaged));
}

#[test]
fn a_clone_does_not_see_later_changes() {
    let mut state = State::default();
    run(&mut state, &[add_region("US-TX"), claim("US-TX", 0..1_000)]);
    let (frozen, image) = (state.clone(), encode(&state));
    run(&mut state, &[claim("US-TX", 1_000..2_000), Command::PutOrganisation(organisation(1))]);
    assert_eq!(frozen.directory().len(), 1_000);
    assert_eq!(encode(&frozen), image);
    assert_eq!(state.directory().len(), 2_000);
}

#[test]
fn a_batch_of_ids_is_for_one_region() {
    let ids = IdBatch::random(100, &residency_control::system::SystemEntropy::new()).expect("a batch");
    let mut state = State::default();
    run(&mut state, &[add_region("US-NY")]);
    assert_eq!(
        apply(&mut state, Command::ClaimIds { region: region("US-NY"), ids: ids.clone() }),
        Outcome::Done
    );
    assert!(ids.as_slice().iter().all(|id| state.placement(*id).is_some_and(|p| p.home == home("US-NY"))));
}

#[test]
fn what_recognises_a_key_does_not_show_in_a_log() {
    let shown = format!("{:?}", KeyVerifier { secret_sha256: [0xab; 32], ..verifier(1, 1) });
    assert!(!shown.contains("171") && !shown.contains("ab, ab"), "{shown}");
}
