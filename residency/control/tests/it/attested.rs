//! Whose word a licence is: what earlier releases wrote, and who may be said to have entered what.

use postcard::to_allocvec;
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_control::{Languages, Provider, ProviderName, ProviderOrgs, Taxonomies};
use residency_policy::licensure::{Attested, Compact, EnteredBy, LicenceKind, LicenceStatus, Licences};
use residency_policy::{Npi, ProviderId};
use ring::digest::{SHA256, digest};
use serde::Serialize;

use crate::providers::{id, licence, npi, provider, put};
use crate::support::{org, organisation};

/// A clinician, field by field as releases wrote them that did not keep who entered a licence. It stays as it is.
#[derive(Clone, Serialize)]
struct Written {
    id: ProviderId,
    npi: Npi,
    name: ProviderName,
    taxonomy: Taxonomies,
    languages: Languages,
    orgs: ProviderOrgs,
    licences: Licences,
    collaborating: Option<ProviderId>,
    active: bool,
    synthetic: bool,
    version: u64,
}

/// The places of the command and of the part in their lists.
const COMMAND: u8 = 13;
const PART: u8 = 7;

fn texas() -> Licences {
    Licences::new(vec![licence("US-TX", LicenceKind::Full)]).expect("a list")
}

fn written() -> Written {
    let Provider { id, npi, name, taxonomy, languages, .. } = provider(1, 1);
    Written {
        id,
        npi,
        name,
        taxonomy,
        languages,
        orgs: ProviderOrgs::new(vec![org(2), org(1)]).expect("a list"),
        licences: texas(),
        collaborating: None,
        active: true,
        synthetic: true,
        version: 0,
    }
}

fn with_orgs() -> State {
    let mut state = State::default();
    for n in 1..=3 {
        assert_eq!(apply(&mut state, Command::PutOrganisation(organisation(n))), Outcome::Done);
    }
    state
}

fn by(n: u8) -> EnteredBy {
    EnteredBy::Organisation(org(n))
}

#[test]
fn what_an_earlier_release_wrote_each_of_their_organisations_answers_for() {
    let entry = to_allocvec(&(COMMAND, written(), 0_u64)).expect("encodes");
    let command: Command = postcard::from_bytes(&entry).expect("is read");
    assert_eq!(to_allocvec(&command).expect("encodes"), entry, "and is written the same");
    let mut state = with_orgs();
    assert_eq!(apply(&mut state, command.clone()), Outcome::Done);
    assert_eq!(apply(&mut state, command), Outcome::Done, "the same again is the same");
    let meant = Attested::alike(&[org(1), org(2)], &texas()).expect("two lists");
    let known = state.providers().get(id(1)).expect("is known");
    assert_eq!((&known.licences, known.version), (&meant, 1));
    assert!(known.licences.at(org(3)).is_empty(), "and nobody else does");

    // The same of an image that was written then.
    let part = to_allocvec(&(PART, vec![Written { version: 1, ..written() }])).expect("encodes");
    let mut image = encode(&State::default()).expect("encodes")[..10].to_vec();
    image.extend(u32::try_from(part.len()).expect("is short").to_le_bytes());
    image.extend(part);
    image.extend([0; 4 + 8 + 8]);
    image.extend_from_slice(digest(&SHA256, &image.clone()).as_ref());
    let restored = restore(&image).expect("opens");
    assert_eq!(restored.providers(), state.providers());
    assert_eq!(restore(&encode(&state).expect("encodes")), Ok(state), "and of one that is written now");
}

#[test]
fn only_who_works_with_a_clinician_answers_for_a_licence() {
    let mut state = with_orgs();
    let licences = Attested::alike(&[org(1), org(2)], &texas()).expect("two lists");
    let both = ProviderOrgs::new(vec![org(1), org(2)]).expect("a list");
    let shared = Provider { licences: licences.clone(), orgs: both, ..provider(1, 1) };
    let stranger = Provider { licences: licences.clone(), ..provider(1, 1) };
    let refused = Outcome::Refused(Refusal::UnknownOrg);
    assert_eq!(apply(&mut state, put(stranger.clone(), 0)), refused);
    assert_eq!(apply(&mut state, put(shared, 0)), Outcome::Done, "the control");
    assert_eq!(apply(&mut state, put(stranger.clone(), 1)), refused, "whoever leaves takes it along");
    let licences = licences.with(by(2), Licences::default()).expect("one list");
    assert_eq!(apply(&mut state, put(Provider { licences, ..stranger }, 1)), Outcome::Done);
}

#[test]
fn what_the_operator_found_stands_beside_what_others_entered() {
    let mut state = with_orgs();
    let verify = |n: u32, licences| Command::VerifyLicences { npi: npi(n), licences };
    let unknown = Outcome::Refused(Refusal::UnknownProvider);
    assert_eq!(apply(&mut state, verify(1, texas())), unknown);
    assert_eq!(apply(&mut state, put(provider(1, 1), 0)), Outcome::Done);
    let own = provider(1, 1).licences;
    for _ in 0..2 {
        assert_eq!(apply(&mut state, verify(1, texas())), Outcome::Done, "the same again is the same");
        let known = state.providers().get(id(1)).expect("is known");
        assert_eq!((known.licences.of(by(1)), known.version), (own.of(by(1)), 2));
        assert_eq!(known.licences.at(org(3)), texas().to_vec(), "it counts everywhere");
    }
    let mut suspended = licence("US-TX", LicenceKind::Full);
    suspended.status = LicenceStatus::Suspended;
    let found = Licences::new(vec![licence("US-CA", LicenceKind::Full), suspended]).expect("a list");
    assert_eq!(apply(&mut state, verify(1, found)), Outcome::Done);
    let known = state.providers().get(id(1)).expect("is known");
    let states: Vec<_> = known.licences.at(org(1)).iter().map(|one| one.status).collect();
    assert_eq!(states, [LicenceStatus::Suspended, LicenceStatus::Active], "the same number, and another");
    let nurse = Licences::new(vec![licence("US-TX", LicenceKind::Compact(Compact::Nlc))]).expect("a list");
    let unfit = Outcome::Refused(Refusal::NotTheirProfession);
    assert_eq!(apply(&mut state, verify(1, nurse)), unfit);
    assert_eq!(state.providers().get(id(1)).map(|one| one.version), Some(3));
}
