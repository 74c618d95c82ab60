//! No input reaches a region by default: what is answered names the placement's home, or nothing.

use std::time::Duration;

use proptest::prelude::*;
use residency_policy::{
    Act, Category, Decision, Epoch, Home, Jurisdiction, Placement, PlacementState, Reason, Region, Ruleset,
    Standing, TransitMode, View, decide::RegionDecision, decide_region,
};

use super::situations::{
    AGE_MAX, Decider, Held, Line, PATIENT, SOMEBODY_ELSE, Situation, Which, on_many, ours, places, ruleset,
    situation,
};

fn nothing_reaches_a_region_by_default(decider: Decider) -> Held<Situation> {
    on_many(&situation(), |s| {
        let decision = decider(&s);
        let placed = s.placement.filter(|p| p.patient == PATIENT && p.state == PlacementState::Active);
        let fresh = s.age <= AGE_MAX;
        let Some(placed) = placed else {
            let expected = if fresh || s.placement.is_some_and(is_somebody_elses) {
                Reason::Unknown
            } else {
                Reason::ViewTooOld
            };
            prop_assert!(matches!(decision, Decision::Refuse(reason) if reason == expected), "{decision:?}");
            return Ok(());
        };
        match decision {
            Decision::Serve(permit) => {
                let Standing::Node { region, via } = s.standing else {
                    return Err(TestCaseError::fail("an edge serves"));
                };
                prop_assert_eq!(Home(region), placed.home);
                prop_assert_eq!(permit.home(), placed.home);
                prop_assert_eq!(permit.epoch(), placed.epoch);
                prop_assert_eq!(permit.patient(), PATIENT);
                prop_assert_eq!(permit.act(), s.act);
                prop_assert!(s.rules.is_some(), "served without verified rules");
                prop_assert!(s.act == Act::Read || fresh, "a change on an old view");
                prop_assert!(
                    via.is_none() || s.mode() == Some(TransitMode::Proxy),
                    "forwarded against the rules"
                );
            }
            Decision::Forward(home, epoch) => {
                prop_assert!(matches!(s.standing, Standing::Edge(_)), "a node forwards");
                prop_assert_eq!((home, epoch), (placed.home, placed.epoch));
                prop_assert_eq!(s.mode(), Some(TransitMode::Proxy));
            }
            Decision::Redirect(home, epoch) => {
                prop_assert!(matches!(s.standing, Standing::Edge(_)), "a node redirects");
                prop_assert_eq!((home, epoch), (placed.home, placed.epoch));
                prop_assert_eq!(s.mode(), Some(TransitMode::Redirect));
            }
            Decision::Refuse(Reason::NotHome(home, epoch)) => {
                prop_assert_eq!((home, epoch), (placed.home, placed.epoch));
            }
            Decision::Refuse(_) => {}
        }
        Ok(())
    })
}

fn is_somebody_elses(placement: Placement) -> bool {
    placement.patient == SOMEBODY_ELSE && placement.state == PlacementState::Active
}

#[test]
fn no_input_reaches_a_region_by_default() {
    nothing_reaches_a_region_by_default(ours).expect("holds");
}

/// The property is not empty: every kind of answer occurs.
#[test]
fn every_kind_of_answer_occurs() {
    let seen = std::cell::RefCell::new(std::collections::BTreeSet::new());
    on_many(&situation(), |s| {
        seen.borrow_mut().insert(match ours(&s) {
            Decision::Serve(_) => "serve".to_owned(),
            Decision::Forward(..) => "forward".to_owned(),
            Decision::Redirect(..) => "redirect".to_owned(),
            Decision::Refuse(reason) => reason.to_string(),
        });
        Ok(())
    })
    .expect("holds");
    assert_eq!(seen.borrow().len(), 10, "{seen:?}");
}

fn changed(s: &Situation, change: impl FnOnce(&mut Situation)) -> Decision {
    let mut other = s.clone();
    change(&mut other);
    ours(&other)
}

fn at(postal: &str) -> Jurisdiction {
    Jurisdiction::from_postal(postal).expect("a jurisdiction")
}

#[test]
fn a_decider_with_a_default_region_is_caught() {
    let defaulting: Decider = |s| {
        changed(s, |s| {
            let first = Home(Region(at("CA")));
            let active = PlacementState::Active;
            s.placement = s.placement.or(Some(Placement {
                patient: PATIENT,
                home: first,
                epoch: Epoch(1),
                state: active,
            }));
        })
    };
    assert!(nothing_reaches_a_region_by_default(defaulting).is_err());
}

#[test]
fn a_node_that_serves_whatever_reaches_it_is_caught() {
    let greedy: Decider = |s| {
        changed(s, |s| {
            if let (Standing::Node { region, .. }, Some(placement)) = (s.standing, &mut s.placement) {
                placement.home = Home(region);
            }
        })
    };
    assert!(nothing_reaches_a_region_by_default(greedy).is_err());
}

#[test]
fn a_decider_that_serves_retired_ids_is_caught() {
    let undead: Decider = |s| {
        changed(s, |s| s.placement.iter_mut().for_each(|placement| placement.state = PlacementState::Active))
    };
    assert!(nothing_reaches_a_region_by_default(undead).is_err());
}

#[test]
fn a_decider_that_does_not_look_at_the_id_is_caught() {
    let blind: Decider =
        |s| changed(s, |s| s.placement.iter_mut().for_each(|placement| placement.patient = PATIENT));
    assert!(nothing_reaches_a_region_by_default(blind).is_err());
}

#[test]
fn a_decider_that_believes_an_old_view_is_caught() {
    let trusting: Decider = |s| changed(s, |s| s.age = Duration::ZERO);
    assert!(nothing_reaches_a_region_by_default(trusting).is_err());
}

#[test]
fn a_decider_that_needs_no_rules_is_caught() {
    let lawless: Decider = |s| {
        changed(s, |s| {
            let anything = Line {
                home: Which::Any,
                ingress: Which::Any,
                category: None,
                mode: TransitMode::Proxy,
                from: jiff::civil::date(2000, 1, 1),
                to: None,
            };
            s.rules.get_or_insert_with(|| vec![anything]);
        })
    };
    assert!(nothing_reaches_a_region_by_default(lawless).is_err());
}

#[test]
fn a_home_that_does_not_check_its_ingress_is_caught() {
    let unwary: Decider = |s| {
        changed(s, |s| {
            if let Standing::Node { via, .. } = &mut s.standing {
                *via = None;
            }
        })
    };
    assert!(nothing_reaches_a_region_by_default(unwary).is_err());
}

type RegionDecider = fn(&Situation, Home, &View<'_>) -> RegionDecision;

fn a_request_for_a_region_reaches_that_region_or_none(
    decider: RegionDecider,
) -> Held<(Situation, Jurisdiction)> {
    on_many(&(situation(), places()), |(s, named)| {
        let named = Home(Region(named));
        let rules: Option<Ruleset> = s.rules.as_deref().map(ruleset);
        let view = View { age: s.age, age_max: AGE_MAX, rules: rules.as_ref() };
        // The mode is looked up for a patient's home; here the named region takes its place.
        let placement =
            Placement { patient: PATIENT, home: named, epoch: Epoch::FIRST, state: PlacementState::Active };
        let mode = Situation { placement: Some(placement), ..s.clone() }.mode();
        match decider(&s, named, &view) {
            RegionDecision::Serve(permit) => {
                prop_assert_eq!(permit.home(), named);
                let via = match s.standing {
                    Standing::Node { region, via } if Home(region) == named => via,
                    other => return Err(TestCaseError::fail(format!("{other:?} serves {named:?}"))),
                };
                prop_assert!(s.rules.is_some() && (via.is_none() || mode == Some(TransitMode::Proxy)));
            }
            RegionDecision::Forward(to) => {
                prop_assert!(to == named && mode == Some(TransitMode::Proxy));
            }
            RegionDecision::Redirect(to) => {
                prop_assert!(to == named && mode == Some(TransitMode::Redirect));
            }
            RegionDecision::Refuse(_) => {}
        }
        Ok(())
    })
}

fn our_region_decision(s: &Situation, named: Home, view: &View<'_>) -> RegionDecision {
    decide_region(s.standing, view, named, s.category, s.today)
}

#[test]
fn no_request_for_a_region_reaches_another() {
    a_request_for_a_region_reaches_that_region_or_none(our_region_decision).expect("holds");
}

#[test]
fn a_node_that_answers_for_every_region_is_caught() {
    a_request_for_a_region_reaches_that_region_or_none(|s, named, view| {
        let own = match s.standing {
            Standing::Node { region, .. } => Home(region),
            Standing::Edge(_) => named,
        };
        our_region_decision(s, own, view)
    })
    .expect_err("is caught");
    a_request_for_a_region_reaches_that_region_or_none(|s, named, view| {
        decide_region(s.standing, view, named, Category::General, s.today)
    })
    .expect_err("a decider that forgets the category is caught too");
}
