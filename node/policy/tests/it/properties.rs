//! Taking something away never allows more, whatever is asked.

use node_policy::{
    Action, ConsentState, Device, Entity, Facts, LicenceState, Loaded, POLICIES, PolicyFile, Principal,
    Relationship, Request, SCHEMA, decide,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use residency_policy::{Category, Jurisdiction, OrgType, Purpose};

use crate::situation::shipped;

fn facts() -> impl Strategy<Value = Facts> {
    let place = || select(Jurisdiction::all().collect::<Vec<_>>());
    let who = (
        proptest::option::of(select(OrgType::ALL)),
        proptest::option::of(select(Purpose::ALL)),
        select(Relationship::ALL),
        select(ConsentState::ALL),
        select(LicenceState::ALL),
        any::<bool>(),
    );
    let place = (place(), place(), proptest::option::of(place()), proptest::option::of(place()));
    let how = (select(&Category::ALL[..]), 20_260_101..20_300_101_u32, select(Device::ALL), 1..=3_u16);
    (who, place, how).prop_map(|(who, place, how)| {
        let (organisation, purpose, relationship, consent, licence, basis) = who;
        let (home, ingress, service, accessor) = place;
        let (category, day, device, assurance) = how;
        Facts {
            organisation,
            purpose,
            relationship,
            consent,
            licence,
            basis,
            category,
            home,
            ingress,
            service,
            accessor,
            day,
            device,
            assurance,
        }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let who = select(Principal::all().collect::<Vec<_>>());
    (who, select(Action::ALL), select(Entity::ALL), facts())
        .prop_map(|(principal, action, entity, facts)| Request { principal, action, entity, facts })
}

/// Every situation with less of a consent, a licence, a purpose, a basis or an assurance.
fn less(facts: Facts) -> Vec<Facts> {
    let mut all = vec![
        Facts { purpose: None, ..facts },
        Facts { basis: false, ..facts },
        Facts { assurance: facts.assurance.saturating_sub(1).max(1), ..facts },
        Facts { relationship: Relationship::None, ..facts },
    ];
    all.extend(
        ConsentState::ALL.iter().filter(|c| **c < facts.consent).map(|c| Facts { consent: *c, ..facts }),
    );
    all.extend(
        LicenceState::ALL.iter().filter(|l| **l < facts.licence).map(|l| Facts { licence: *l, ..facts }),
    );
    all
}

fn never_more(policies: &Loaded, cases: u32) -> Result<(), String> {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&request(), |request| {
        let now = decide(policies, &request);
        for facts in less(request.facts) {
            let then = decide(policies, &Request { facts, ..request });
            prop_assert!(now.allowed() || !then.allowed(), "{facts:?} is allowed");
        }
        Ok(())
    });
    outcome.map_err(|error| error.to_string())
}

#[test]
fn taking_away_a_consent_a_licence_or_a_purpose_never_allows_more() {
    never_more(shipped(), 3_000).expect("nothing is allowed by having less");
}

#[test]
fn a_policy_that_rewards_having_less_is_caught() {
    for when in [
        "context.consent == ConsentState::\"none\"",
        "context.licence != Licence::\"held\"",
        "context.purpose == Purpose::\"none\"",
    ] {
        let text = format!(
            "@id(\"seeded\")\n@citation(\"none\")\n@shape(\"full\")\npermit (principal, action, resource) when {{ {when} }};"
        );
        let seeded = PolicyFile { name: "seeded.cedar", text: &text };
        let files: Vec<PolicyFile<'_>> = POLICIES.iter().copied().chain([seeded]).collect();
        let loaded = Loaded::parse(SCHEMA, &files).expect("it loads");
        assert!(never_more(&loaded, 3_000).is_err(), "{when}");
    }
}
