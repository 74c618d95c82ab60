//! Adding a restriction never allows more.
//!
//! A first rule where none spoke does allow something, as it should: nothing is allowed without a rule. So the
//! property has two halves. Where the situation is covered, no rule added anywhere loosens the answer; and a rule that
//! says `deny` loosens nothing, covered or not.

use proptest::prelude::*;
use residency_policy::{Decision, Home, Region, TransitMode};

use super::situations::{Decider, Held, Line, Situation, line, on_many, ours, situation};

/// How much an answer allows.
fn allows(decision: &Decision) -> u8 {
    match decision {
        Decision::Refuse(_) => 0,
        Decision::Redirect(..) => 1,
        Decision::Forward(..) | Decision::Serve(_) => 2,
    }
}

fn with(situation: &Situation, extra: Line, at: usize) -> Situation {
    let mut more = situation.clone();
    if let Some(rules) = &mut more.rules {
        rules.insert(at % (rules.len() + 1), extra);
    }
    more
}

fn adding_a_rule_never_allows_more(decider: Decider) -> Held<(Situation, Line, usize)> {
    on_many(&(situation(), line(), 0..8usize), |(before, extra, at)| {
        let after = with(&before, extra, at);
        if before.mode().is_some() || extra.mode == TransitMode::Deny {
            prop_assert!(allows(&decider(&after)) <= allows(&decider(&before)));
        }
        Ok(())
    })
}

fn the_strictest_rule_that_speaks_decides(decider: Decider) -> Held<Situation> {
    on_many(&situation(), |situation| {
        let decision = decider(&situation);
        if situation.ingress().is_some() {
            let most = match situation.mode() {
                Some(TransitMode::Proxy) => 2,
                Some(TransitMode::Redirect) => 1,
                Some(TransitMode::Deny) | None => 0,
            };
            prop_assert!(allows(&decision) <= most, "{decision:?} although {:?}", situation.mode());
        }
        Ok(())
    })
}

#[test]
fn adding_a_rule_never_allows_more_than_before() {
    adding_a_rule_never_allows_more(ours).expect("holds");
}

#[test]
fn no_answer_allows_more_than_the_strictest_rule() {
    the_strictest_rule_that_speaks_decides(ours).expect("holds");
}

/// The rules that speak in a situation, in their order.
fn speaking(situation: &Situation) -> Vec<Line> {
    let (Some(ingress), Some(placement)) = (situation.ingress(), situation.placement) else {
        return Vec::new();
    };
    let Home(Region(home)) = placement.home;
    let lines = situation.rules.iter().flatten().copied();
    lines.filter(|line| line.covers(home, ingress, situation.category, situation.today)).collect()
}

fn deciding_by(situation: &Situation, one: Option<Line>) -> Decision {
    let mut changed = situation.clone();
    changed.rules = changed.rules.map(|_| one.into_iter().collect());
    ours(&changed)
}

#[test]
fn a_decider_that_takes_the_loosest_rule_is_caught() {
    let loosest: Decider = |s| deciding_by(s, speaking(s).into_iter().min_by_key(|line| line.mode));
    assert!(adding_a_rule_never_allows_more(loosest).is_err());
    assert!(the_strictest_rule_that_speaks_decides(loosest).is_err());
}

#[test]
fn a_decider_that_takes_the_last_rule_is_caught() {
    let last: Decider = |s| deciding_by(s, speaking(s).pop());
    assert!(adding_a_rule_never_allows_more(last).is_err());
    assert!(the_strictest_rule_that_speaks_decides(last).is_err());
}

#[test]
fn a_decider_that_takes_the_first_rule_is_caught() {
    let first: Decider = |s| deciding_by(s, speaking(s).first().copied());
    assert!(adding_a_rule_never_allows_more(first).is_err());
}

#[test]
fn a_decider_that_stops_a_restriction_a_day_early_is_caught() {
    let early: Decider = |s| {
        let mut changed = s.clone();
        let lines = changed.rules.iter_mut().flatten();
        lines.filter(|line| line.mode == TransitMode::Deny).for_each(|line| {
            line.to = line.to.and_then(|to| to.yesterday().ok()).filter(|to| *to > line.from).or(line.to);
        });
        ours(&changed)
    };
    assert!(the_strictest_rule_that_speaks_decides(early).is_err());
}

#[test]
fn a_decider_to_which_no_rule_means_yes_is_caught() {
    let open: Decider = |s| {
        let anywhere = Line {
            home: super::situations::Which::Any,
            ingress: super::situations::Which::Any,
            category: None,
            mode: TransitMode::Proxy,
            from: jiff::civil::date(2000, 1, 1),
            to: None,
        };
        if speaking(s).is_empty() { deciding_by(s, Some(anywhere)) } else { ours(s) }
    };
    assert!(the_strictest_rule_that_speaks_decides(open).is_err());
    assert!(
        adding_a_rule_never_allows_more(open).is_ok(),
        "adding still only restricts: this half cannot see it"
    );
}
