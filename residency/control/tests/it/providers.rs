//! Clinicians in the state: what may change, and that the index finds exactly those whom a look at everybody finds.

use jiff::civil::date;
use proptest::prelude::*;
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_control::{
    Language, Languages, Provider, ProviderOrgs, ProviderRank, Providers, Taxonomies, Wanted,
};
use residency_policy::licensure::{
    Attested, Compact, Licence, LicenceKind, LicenceSource, LicenceStatus, Licences, Taxonomy,
};
use residency_policy::{Npi, ProviderId};

use crate::support::{org, organisation, place};

const STATES: [&str; 4] = ["US-TX", "US-CA", "US-NY", "US-AZ"];
const CODES: [&str; 3] = ["207Q00000X", "163W00000X", "103TC0700X"];
const TAGS: [&str; 4] = ["en", "es", "es-MX", "zh-Hant"];

pub(crate) fn id(n: u8) -> ProviderId {
    let mut bytes = [n.wrapping_mul(37); 16];
    bytes[15] = n;
    ProviderId::from_bytes(bytes)
}

pub(crate) fn npi(n: u32) -> Npi {
    Npi::from_nine(100_000_000 + n).expect("an NPI")
}

pub(crate) fn licence(state: &str, kind: LicenceKind) -> Licence {
    Licence {
        jurisdiction: place(state),
        kind,
        number: format!("T-{kind}-1").parse().expect("a number"),
        status: LicenceStatus::Active,
        status_since: date(2021, 1, 1),
        from: date(2021, 1, 1),
        until: None,
        source: LicenceSource::StateBoard,
        verified: date(2026, 11, 1),
    }
}

/// What an organisation answers for.
fn by(of: u8, licences: Vec<Licence>) -> Attested {
    Attested::alike(&[org(of)], &Licences::new(licences).expect("a list")).expect("one list")
}

/// A physician of an organisation with a licence in Texas.
pub(crate) fn provider(n: u8, of: u8) -> Provider {
    Provider {
        id: id(n),
        npi: npi(u32::from(n)),
        name: "Robin Sample, MD".parse().expect("a name"),
        taxonomy: Taxonomies::new(vec![CODES[0].parse().expect("a code")]).expect("a list"),
        languages: Languages::new(vec!["en".parse().expect("a language")]).expect("a list"),
        orgs: ProviderOrgs::new(vec![org(of)]).expect("a list"),
        licences: by(of, vec![licence("US-TX", LicenceKind::Full)]),
        collaborating: None,
        active: true,
        synthetic: true,
        version: 0,
    }
}

pub(crate) fn put(provider: Provider, expected: u64) -> Command {
    Command::PutProvider { provider, expected }
}

fn with_orgs() -> State {
    let mut state = State::default();
    for n in 0..3 {
        assert_eq!(apply(&mut state, Command::PutOrganisation(organisation(n))), Outcome::Done);
    }
    state
}

/// Anybody at all, of few enough numbers that two often meet.
fn anybody() -> impl Strategy<Value = Provider> {
    let kind = prop_oneof![
        3 => Just(LicenceKind::Full),
        1 => Just(LicenceKind::Compact(Compact::Nlc)),
        1 => Just(LicenceKind::Compact(Compact::PsypactApit)),
    ];
    let licences = prop::collection::btree_map(prop::sample::select(STATES.to_vec()), kind, 0..4);
    let tags = prop::sample::subsequence(TAGS.to_vec(), 0..3);
    (0..12_u8, 0..14_u32, 0..3_usize, licences, tags, any::<bool>()).prop_map(
        |(n, number, code, licences, tags, active)| {
            let licences = licences.iter().map(|(state, kind)| licence(state, *kind)).collect();
            let languages = tags.iter().map(|tag| tag.parse().expect("a language")).collect();
            Provider {
                npi: npi(number),
                taxonomy: Taxonomies::new(vec![CODES[code].parse().expect("a code")]).expect("a list"),
                languages: Languages::new(languages).expect("a list"),
                licences: by(n % 3, licences),
                active,
                ..provider(n, n % 3)
            }
        },
    )
}

pub(crate) fn changes() -> impl Strategy<Value = Command> {
    (anybody(), 0..4_u64).prop_map(|(provider, expected)| put(provider, expected))
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let state = prop::option::of(prop::sample::select(STATES.to_vec()));
    let code = prop::option::of(prop::sample::select(CODES.to_vec()));
    let tag = prop::option::of(prop::sample::select(TAGS.to_vec()));
    (state, code, tag).prop_map(|(state, code, tag)| Wanted {
        licensed: state.map(place),
        specialty: code.map(|code| code.parse::<Taxonomy>().expect("a code")),
        language: tag.map(|tag| tag.parse::<Language>().expect("a language")),
    })
}

/// Whom a look at everybody finds: the meaning of a search, written a second time.
fn looked_for(providers: &Providers, wanted: &Wanted) -> Vec<ProviderId> {
    let licensed = |one: &Provider| {
        wanted.licensed.is_none_or(|state| {
            one.licences.iter().any(|(_, licence)| {
                licence.jurisdiction == state
                    || matches!(licence.kind, LicenceKind::Compact(Compact::Nlc | Compact::PsypactApit))
            })
        })
    };
    let speaks = |one: &Provider| {
        wanted.language.is_none_or(|tag| {
            let tags = one.languages.as_slice().iter().map(Language::as_str);
            tags.into_iter().any(|own| own == tag.as_str() || own.starts_with(&format!("{tag}-")))
        })
    };
    let is = |one: &Provider| wanted.specialty.is_none_or(|code| one.taxonomy.contains(code));
    let all = providers.iter().filter(|one| licensed(one) && speaks(one) && is(one));
    all.map(|one| one.id).collect()
}

fn found(providers: &Providers, wanted: &Wanted) -> Vec<ProviderId> {
    providers.find(*wanted, None).map(|(_, one)| one.id).collect()
}

proptest! {
    #[test]
    fn the_index_finds_whom_a_look_at_everybody_finds(
        all in prop::collection::vec(changes(), 0..60),
        wanted in prop::collection::vec(wanted(), 1..6),
    ) {
        let mut state = with_orgs();
        for command in &all {
            let before = state.clone();
            if apply(&mut state, command.clone()) != Outcome::Done {
                prop_assert_eq!(&state, &before, "a refused command changed something");
            }
        }
        let restored = restore(&encode(&state).expect("encodes")).expect("restores");
        for providers in [state.providers(), restored.providers()] {
            for wanted in &wanted {
                prop_assert_eq!(found(providers, wanted), looked_for(providers, wanted), "{:?}", wanted);
            }
            for (at, one) in providers.iter().enumerate() {
                let rank = ProviderRank(u32::try_from(at).expect("few"));
                prop_assert_eq!(providers.get(one.id), Some(one));
                prop_assert_eq!(providers.by_npi(one.npi), Some(one), "no two have one NPI");
                prop_assert_eq!(providers.rank(one.id), Some(rank));
                let later: Vec<_> = providers.find(Wanted::default(), Some(rank)).map(|(rank, _)| rank).collect();
                prop_assert_eq!(later.len(), providers.len() - at - 1);
            }
        }
        prop_assert_eq!(&restored, &state);
    }

    #[test]
    fn a_version_goes_up_by_one_and_an_npi_stays(all in prop::collection::vec(changes(), 0..60)) {
        let mut state = with_orgs();
        for command in &all {
            let before = state.clone();
            let outcome = apply(&mut state, command.clone());
            let Command::PutProvider { provider, expected } = command else { continue };
            let (was, is) = (before.providers().get(provider.id), state.providers().get(provider.id));
            if outcome == Outcome::Done {
                let is = is.expect("is there");
                prop_assert_eq!(is.version, expected + 1);
                prop_assert!(was.is_none_or(|was| was.npi == is.npi && was.version + 1 >= is.version));
            } else {
                prop_assert_eq!(was, is);
            }
        }
    }
}

#[test]
fn a_clinician_is_added_once_and_changed_by_whoever_knows_the_version() {
    let mut state = with_orgs();
    let mut run = |command| apply(&mut state, command);
    let other_name = Provider { name: "Another Name".parse().expect("a name"), ..provider(1, 0) };
    assert_eq!(
        run(put(provider(1, 0), 1)),
        Outcome::Refused(Refusal::UnknownProvider),
        "nothing to change yet"
    );
    assert_eq!(run(put(provider(1, 0), 0)), Outcome::Done);
    assert_eq!(run(put(provider(1, 0), 0)), Outcome::Done, "the same again is the same");
    assert_eq!(run(put(other_name.clone(), 0)), Outcome::Refused(Refusal::AlreadyKnown));
    assert_eq!(run(put(other_name.clone(), 2)), Outcome::Refused(Refusal::StaleVersion));
    assert_eq!(run(put(other_name.clone(), 1)), Outcome::Done);
    assert_eq!(run(put(other_name.clone(), 1)), Outcome::Done, "the same again, after an answer that was lost");
    assert_eq!(run(put(provider(1, 0), 1)), Outcome::Refused(Refusal::StaleVersion), "the control");
    assert_eq!(run(put(provider(1, 0), u64::MAX)), Outcome::Refused(Refusal::Full));
    let known = state.providers().get(id(1)).expect("is known");
    assert_eq!((known.version, known.name.as_str()), (2, "Another Name"));
}

#[test]
fn what_makes_a_clinician_somebody_else_is_refused() {
    let mut state = with_orgs();
    let mut run = |command| apply(&mut state, command);
    assert_eq!(run(put(provider(1, 0), 0)), Outcome::Done);
    let twin = Provider { npi: npi(1), ..provider(2, 0) };
    assert_eq!(run(put(twin, 0)), Outcome::Refused(Refusal::NpiTaken));
    let renumbered = Provider { npi: npi(9), ..provider(1, 0) };
    assert_eq!(run(put(renumbered, 1)), Outcome::Refused(Refusal::OtherProvider));
    let real = Provider { synthetic: false, ..provider(1, 0) };
    assert_eq!(run(put(real, 1)), Outcome::Refused(Refusal::OtherProvider));
    assert_eq!(run(put(provider(2, 7), 0)), Outcome::Refused(Refusal::UnknownOrg));
    for collaborating in [id(3), id(2)] {
        let alone = Provider { collaborating: Some(collaborating), ..provider(2, 0) };
        assert_eq!(run(put(alone, 0)), Outcome::Refused(Refusal::UnknownProvider), "nobody, or oneself");
    }
    let nurse = vec![licence("US-TX", LicenceKind::Compact(Compact::Nlc))];
    let physician = Provider { licences: by(0, nurse), ..provider(2, 0) };
    assert_eq!(run(put(physician, 0)), Outcome::Refused(Refusal::NotTheirProfession));
    let together = Provider { collaborating: Some(id(1)), ..provider(2, 0) };
    assert_eq!(run(put(together, 0)), Outcome::Done, "the control");
    assert_eq!(state.providers().len(), 2);
}

/// What a search looks at is about as much as it finds, whoever else is there.
#[test]
fn a_search_looks_at_few() {
    let mut state = with_orgs();
    for n in 0..2_000_u32 {
        let mut one = provider(0, 0);
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_le_bytes());
        bytes[12..].copy_from_slice(&n.to_le_bytes());
        (one.id, one.npi) = (ProviderId::from_bytes(bytes), npi(n));
        if n % 400 == 0 {
            one.licences = by(0, vec![licence("US-AZ", LicenceKind::Full)]);
        }
        assert_eq!(apply(&mut state, put(one, 0)), Outcome::Done);
    }
    let providers = state.providers();
    let of = |state: Option<&str>, code: Option<&str>| Wanted {
        licensed: state.map(place),
        specialty: code.map(|code| code.parse().expect("a code")),
        language: None,
    };
    assert_eq!(providers.candidates(of(Some("US-AZ"), Some(CODES[0]))), 5);
    assert_eq!(providers.candidates(of(Some("US-TX"), Some(CODES[1]))), 0, "nobody of that specialty");
    assert_eq!(providers.candidates(of(None, None)), 2_000, "the control");
    assert_eq!(found(providers, &of(Some("US-AZ"), None)).len(), 5);
}

/// A clone does not see what changes later, and shares what does not.
#[test]
fn a_snapshot_of_the_clinicians_stays_as_it_was() {
    let mut state = with_orgs();
    for n in 0..40 {
        assert_eq!(apply(&mut state, put(provider(n, 0), 0)), Outcome::Done);
    }
    let frozen = std::sync::Arc::clone(state.providers());
    let off = Provider { active: false, ..provider(3, 0) };
    assert_eq!(apply(&mut state, put(off, 1)), Outcome::Done);
    assert!(frozen.get(id(3)).is_some_and(|one| one.active));
    assert!(state.providers().get(id(3)).is_some_and(|one| !one.active));
    let (old, new) = (frozen.get(id(4)), state.providers().get(id(4)));
    assert!(old.zip(new).is_some_and(|(old, new)| std::sync::Arc::ptr_eq(old, new)));
}
