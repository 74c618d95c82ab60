//! Adding a restriction never allows more; what is over, taken away or unconfirmed never allows anything.

use jiff::civil::Date;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use residency_policy::licensure::{Compact, LicenceKind, LicenceStatus};

use super::situations::{Decider, Situation, day, may, ours, situation, status};

type Held<T> = Result<(), TestError<T>>;

pub(crate) fn on_many<S: Strategy>(
    what: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<(), TestError<S::Value>> {
    TestRunner::new(Config { cases: 6_000, failure_persistence: None, ..Config::default() }).run(what, test)
}

/// One restriction.
#[derive(Debug, Clone, Copy)]
enum Restriction {
    TakeLicence,
    EndLicence(Date),
    BeginLicence(Date),
    Status(LicenceStatus, Date),
    TakeMembership,
    EndMembership(Date),
    Doubt,
}

fn restriction() -> impl Strategy<Value = Restriction> {
    prop_oneof![
        Just(Restriction::TakeLicence),
        day().prop_map(Restriction::EndLicence),
        day().prop_map(Restriction::BeginLicence),
        (status(), day()).prop_map(|(status, since)| Restriction::Status(status, since)),
        Just(Restriction::TakeMembership),
        day().prop_map(Restriction::EndMembership),
        Just(Restriction::Doubt),
    ]
}

fn restricted(situation: &Situation, restriction: Restriction, at: usize) -> Situation {
    let mut more = situation.clone();
    let (licences, lines) = (more.licences.len().max(1), more.lines.len().max(1));
    let licence = more.licences.get_mut(at % licences);
    let line = more.lines.get_mut(at % lines);
    match (restriction, licence, line) {
        (Restriction::TakeLicence, Some(_), _) => drop(more.licences.remove(at % licences)),
        (Restriction::EndLicence(last), Some(licence), _) => {
            licence.until = Some(licence.until.map_or(last, |until| until.min(last)));
        }
        (Restriction::BeginLicence(first), Some(licence), _) => licence.from = licence.from.max(first),
        // From what is active: a suspension that becomes a revocation of a later day would be none.
        (Restriction::Status(status, since), Some(licence), _) if licence.status == LicenceStatus::Active => {
            (licence.status, licence.status_since) = (status, since);
        }
        (Restriction::TakeMembership, _, Some(_)) => drop(more.lines.remove(at % lines)),
        (Restriction::EndMembership(end), _, Some(line)) => {
            let end = line.to.map_or(end, |to| to.min(end));
            if end > line.from {
                line.to = Some(end);
            } else {
                more.lines.remove(at % lines);
            }
        }
        (Restriction::Doubt, _, Some(line)) => line.certain = false,
        _ => {}
    }
    more
}

fn adding_a_restriction_never_allows_more(decider: Decider) -> Held<(Situation, Restriction, usize)> {
    on_many(&(situation(), restriction(), 0..8_usize), |(before, restriction, at)| {
        if decider(&before).is_err() {
            let after = restricted(&before, restriction, at);
            prop_assert!(decider(&after).is_err(), "{after:?}");
        }
        Ok(())
    })
}

fn what_is_not_in_force_never_allows(decider: Decider) -> Held<Situation> {
    on_many(&situation(), |situation| {
        if let Ok(given) = decider(&situation) {
            let (licence, on) = (given.licence, situation.on);
            prop_assert!(licence.until.is_none_or(|until| on <= until), "expired: {licence:?}");
            prop_assert!(licence.from <= on, "not begun: {licence:?}");
            prop_assert!(licence.status == LicenceStatus::Active || on < licence.status_since, "{licence:?}");
            prop_assert!(situation.licences.contains(&licence));
        }
        Ok(())
    })
}

fn the_law_written_twice_says_the_same(decider: Decider) -> Held<Situation> {
    on_many(&situation(), |situation| {
        prop_assert_eq!(decider(&situation).is_ok(), may(&situation));
        Ok(())
    })
}

#[test]
fn a_restriction_restricts() {
    adding_a_restriction_never_allows_more(ours).expect("holds");
}

#[test]
fn an_expired_or_suspended_licence_never_allows() {
    what_is_not_in_force_never_allows(ours).expect("holds");
}

#[test]
fn the_answer_is_the_law() {
    the_law_written_twice_says_the_same(ours).expect("holds");
}

/// The situations are no empty shells: enough of them allow, by every path there is.
#[test]
fn every_path_to_authority_is_walked() {
    let walked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    on_many(&situation(), |situation| {
        if let Ok(given) = ours(&situation) {
            let beyond = given.licence.jurisdiction != given.service;
            walked.borrow_mut().insert((given.licence.kind, beyond));
        }
        Ok(())
    })
    .expect("holds");
    let of = |compact| LicenceKind::Compact(compact);
    for path in [
        (LicenceKind::Full, false),
        (LicenceKind::Telehealth, false),
        (of(Compact::Imlc), false),
        (of(Compact::Nlc), false),
        (of(Compact::Nlc), true),
        (of(Compact::PsypactApit), true),
        (of(Compact::Pa), false),
    ] {
        assert!(walked.borrow().contains(&path), "{path:?} is never walked");
    }
}

/// Asks about a changed situation; what is answered for is the licence as it was.
fn asking(situation: &Situation, change: impl Fn(&mut Situation)) -> super::situations::Answer {
    let mut changed = situation.clone();
    change(&mut changed);
    let mut answer = ours(&changed)?;
    let at = changed.licences.iter().position(|licence| *licence == answer.licence);
    answer.licence = at.map_or(answer.licence, |at| situation.licences[at]);
    Ok(answer)
}

#[test]
fn a_decider_that_forgets_the_last_day_is_caught() {
    let forgets: Decider = |s| asking(s, |s| s.licences.iter_mut().for_each(|licence| licence.until = None));
    assert!(what_is_not_in_force_never_allows(forgets).is_err());
    assert!(the_law_written_twice_says_the_same(forgets).is_err());
}

#[test]
fn a_decider_that_is_a_day_late_is_caught() {
    let late: Decider = |s| {
        asking(s, |s| {
            for licence in &mut s.licences {
                licence.until = licence.until.and_then(|until| until.tomorrow().ok());
            }
        })
    };
    assert!(what_is_not_in_force_never_allows(late).is_err());
}

#[test]
fn a_decider_that_is_a_day_early_is_caught() {
    let early: Decider = |s| {
        asking(s, |s| {
            for licence in &mut s.licences {
                licence.until = licence.until.and_then(|until| until.yesterday().ok());
            }
        })
    };
    assert!(the_law_written_twice_says_the_same(early).is_err(), "the last day itself counts");
}

#[test]
fn a_decider_that_sees_no_suspension_is_caught() {
    let blind: Decider =
        |s| asking(s, |s| s.licences.iter_mut().for_each(|licence| licence.status = LicenceStatus::Active));
    assert!(what_is_not_in_force_never_allows(blind).is_err());
}

#[test]
fn a_decider_that_believes_what_is_uncertain_is_caught() {
    let gullible: Decider = |s| asking(s, |s| s.lines.iter_mut().for_each(|line| line.certain = true));
    assert!(the_law_written_twice_says_the_same(gullible).is_err());
}

#[test]
fn a_decider_that_takes_an_expedited_licence_for_a_multistate_one_is_caught() {
    let wide: Decider = |s| {
        asking(s, |s| {
            for licence in &mut s.licences {
                if licence.kind == LicenceKind::Compact(Compact::Imlc) {
                    licence.jurisdiction = s.service;
                }
            }
        })
    };
    assert!(the_law_written_twice_says_the_same(wide).is_err());
}

/// Reads a licence that is missing as one that need not be there.
#[test]
fn a_decider_to_which_nothing_means_yes_is_caught() {
    let open: Decider = |s| match ours(s) {
        Err(no) if s.licences.len() < 2 => {
            let mut most = s.clone();
            most.licences.extend(super::cases::full(s.service, s.on));
            ours(&most).map_err(|_| no)
        }
        answer => answer,
    };
    assert!(adding_a_restriction_never_allows_more(open).is_err());
}
