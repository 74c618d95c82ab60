//! What an earlier release wrote is read as it was meant: its log entries, and its snapshots.
//!
//! Postcard has no names: a value is the places of its fields. The types here are those of the first release, field by
//! field, and stay as they are.

use postcard::to_allocvec;
use residency_control::command::{Command, Outcome};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{SnapshotError, encode, restore};
use residency_control::{IdBatch, JurisdictionSet, OrganisationMark, PolicyVersion, PublicName, RegionEntry};
use residency_policy::{Epoch, KeyId, OrgId, OrgType, PatientId, Region, Role};
use ring::digest::{SHA256, digest};
use serde::Serialize;

use crate::support::{add_region, org, organisation, patient, place, region, verifier};

#[derive(Clone, Serialize)]
struct FirstOrganisation {
    id: OrgId,
    name: PublicName,
    org_type: OrgType,
    serves: JurisdictionSet,
    active: bool,
}

#[derive(Clone, Serialize)]
struct FirstKeyVerifier {
    key: KeyId,
    org: OrgId,
    role: Role,
    jurisdictions: JurisdictionSet,
    secret_sha256: [u8; 32],
    revoked: bool,
    expires: Option<i64>,
}

#[derive(Serialize)]
enum FirstCommand {
    AddRegion(RegionEntry),
    ClaimIds {
        region: Region,
        ids: IdBatch,
    },
    PutOrganisation(FirstOrganisation),
    PutKey(FirstKeyVerifier),
    RevokeKey(KeyId),
    #[expect(dead_code, reason = "it holds the place of the variants after it")]
    PutPolicy(PolicyVersion),
    Retire {
        patient: PatientId,
        expected: Epoch,
    },
    AddOrganisation(FirstOrganisation),
}

#[derive(Serialize)]
struct FirstHead {
    regions: Vec<RegionEntry>,
    organisations: Vec<FirstOrganisation>,
    keys: Vec<FirstKeyVerifier>,
    policy: Option<PolicyVersion>,
}

fn first_organisation(n: u8) -> FirstOrganisation {
    FirstOrganisation {
        id: org(n),
        name: "Lone Star Health".parse().expect("a name"),
        org_type: OrgType::Provider,
        serves: JurisdictionSet::from(place("US-TX")),
        active: true,
    }
}

fn first_verifier(n: u8, of: u8) -> FirstKeyVerifier {
    FirstKeyVerifier {
        key: KeyId::from_bytes([n; 16]),
        org: org(of),
        role: Role::Provider,
        jurisdictions: JurisdictionSet::from(place("US-TX")),
        secret_sha256: [n; 32],
        revoked: false,
        expires: None,
    }
}

fn texas() -> RegionEntry {
    let Command::AddRegion(entry) = add_region("US-TX") else { unreachable!("it adds one") };
    entry
}

#[test]
fn a_log_of_the_first_release_is_read_as_it_was_meant() {
    let ids = || IdBatch::new(vec![patient(1)]).expect("a batch");
    let written = to_allocvec(&vec![
        FirstCommand::AddRegion(texas()),
        FirstCommand::ClaimIds { region: region("US-TX"), ids: ids() },
        FirstCommand::PutOrganisation(first_organisation(1)),
        FirstCommand::PutKey(first_verifier(1, 1)),
        FirstCommand::RevokeKey(KeyId::from_bytes([1; 16])),
        FirstCommand::Retire { patient: patient(1), expected: Epoch::FIRST },
        FirstCommand::AddOrganisation(first_organisation(2)),
    ])
    .expect("encodes");
    let read: Vec<Command> = postcard::from_bytes(&written).expect("is read");
    let meant = vec![
        add_region("US-TX"),
        Command::ClaimIds { region: region("US-TX"), ids: ids() },
        Command::PutOrganisation(organisation(1)),
        Command::PutKey(verifier(1, 1)),
        Command::RevokeKey(KeyId::from_bytes([1; 16])),
        Command::Retire { patient: patient(1), expected: Epoch::FIRST },
        Command::AddOrganisation(organisation(2)),
    ];
    assert_eq!(read, meant);
    assert_eq!(to_allocvec(&read).expect("encodes"), written, "and is written the same");
}

/// An image as the first release wrote it.
fn first_image(head: &[u8], placements: u64) -> Vec<u8> {
    let mut image = b"DOMSTATE\x01\x00".to_vec();
    image.extend(u32::try_from(head.len()).expect("is short").to_le_bytes());
    image.extend(head);
    image.extend(placements.to_le_bytes());
    image.extend_from_slice(digest(&SHA256, &image.clone()).as_ref());
    image
}

#[test]
fn a_snapshot_of_the_first_release_opens_and_the_work_goes_on() {
    let head = FirstHead {
        regions: vec![texas()],
        organisations: vec![first_organisation(1)],
        keys: vec![first_verifier(1, 1)],
        policy: None,
    };
    let head = to_allocvec(&head).expect("encodes");
    let mut state = restore(&first_image(&head, 0)).expect("opens");
    let mut meant = State::default();
    for command in
        [add_region("US-TX"), Command::PutOrganisation(organisation(1)), Command::PutKey(verifier(1, 1))]
    {
        assert_eq!(apply(&mut meant, command), Outcome::Done);
    }
    assert_eq!(state, meant);
    assert_eq!(state.mark(org(1)), OrganisationMark { version: 1, closed: None });
    let change = Command::ChangeOrganisation { organisation: organisation(1), expected: 1 };
    assert_eq!(apply(&mut state, change), Outcome::Done);
    let image = encode(&state).expect("encodes");
    assert_eq!(image[8], 2, "it is written in the present version");
    assert_eq!(restore(&image).expect("restores"), state);
    // The control: the digest is looked at in the first version too, and what it covers.
    let mut damaged = first_image(&head, 0);
    damaged[20] ^= 1;
    assert_eq!(restore(&damaged), Err(SnapshotError::Damaged));
    assert_eq!(restore(&first_image(&head[1..], 0)), Err(SnapshotError::Damaged));
}

/// A part has no name but its place in the list. This one is beyond every place that will be taken for long.
#[test]
fn a_part_that_a_newer_program_wrote_is_refused_by_name() {
    let image = |part: &[u8]| {
        let mut image = encode(&State::default()).expect("encodes")[..10].to_vec();
        image.extend(u32::try_from(part.len()).expect("is short").to_le_bytes());
        image.extend(part);
        // No more parts, and nobody in the directory.
        image.extend([0; 4 + 8 + 8]);
        image.extend_from_slice(digest(&SHA256, &image.clone()).as_ref());
        image
    };
    assert_eq!(
        restore(&image(&[])[..]),
        Err(SnapshotError::Damaged),
        "a part of no length is the end of the parts"
    );
    let none = [0, 0];
    assert_eq!(
        restore(&image(&none)),
        Ok(State::default()),
        "the control: a part that is known, with nothing in it"
    );
    assert_eq!(restore(&image(&[100])), Err(SnapshotError::UnknownPart));
}
