//! Whose word counts: another organisation's neither gives authority nor takes any away, and where the operator looked the
//! same number up, the word of both is needed.
#![expect(clippy::result_large_err, reason = "what a failure shows is worth its size")]

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestError;
use residency_policy::OrgId;
use residency_policy::licensure::{Attested, EnteredBy, Licence, LicenceKind, Licences, authority};

use super::properties::on_many;
use super::situations::{Situation, compacts, licence, situation};

const OURS: OrgId = OrgId::from_bytes([1; 16]);
const THEIRS: OrgId = OrgId::from_bytes([2; 16]);
const BY_US: EnteredBy = EnteredBy::Organisation(OURS);
const BY_THEM: EnteredBy = EnteredBy::Organisation(THEIRS);

/// What counts at an act of an organisation.
type Counting = fn(&Attested, OrgId) -> Vec<Licence>;

/// A situation whose licences are ours, and what others entered.
#[derive(Debug, Clone)]
struct Known {
    situation: Situation,
    theirs: Vec<Licence>,
    verified: Vec<Licence>,
}

fn known() -> impl Strategy<Value = Known> {
    let some = || prop::collection::vec(licence(), 0..4);
    (situation(), some(), some()).prop_map(|(situation, theirs, verified)| Known {
        situation,
        theirs,
        verified,
    })
}

/// A list whose numbers begin with a letter.
fn list(letter: char, licences: &[Licence]) -> Licences {
    let numbered = |(at, licence): (usize, &Licence)| {
        let number = format!("{letter}{at}").parse().expect("a number");
        Licence { number, ..*licence }
    };
    Licences::new(licences.iter().enumerate().map(numbered).collect()).expect("a list")
}

impl Known {
    fn lists(&self) -> [(EnteredBy, Licences); 3] {
        [
            (BY_US, list('A', &self.situation.licences)),
            (BY_THEM, list('B', &self.theirs)),
            (EnteredBy::Operator, list('V', &self.verified)),
        ]
    }

    /// What is known without what one of them entered.
    fn without(&self, by: EnteredBy) -> Attested {
        let lists = self.lists().into_iter().filter(|(other, _)| *other != by);
        let mut all = Attested::default();
        for (by, licences) in lists {
            all = all.with(by, licences).expect("a few lists");
        }
        all
    }

    fn all(&self) -> Attested {
        let [(by, ours), ..] = self.lists();
        self.without(BY_US).with(by, ours).expect("three lists")
    }

    fn may(&self, counting: Counting, all: &Attested) -> bool {
        let Situation { lines, service, on, .. } = &self.situation;
        authority(&counting(all, OURS), &compacts(lines), *service, *on).is_ok()
    }
}

fn others_change_nothing(counting: Counting) -> Result<(), TestError<Known>> {
    on_many(&known(), |known| {
        let alone = known.without(BY_THEM);
        prop_assert_eq!(known.may(counting, &known.all()), known.may(counting, &alone));
        Ok(())
    })
}

/// The numbers differ, so that none of them bounds another.
fn taking_one_away_never_allows_more(counting: Counting) -> Result<(), TestError<(Known, usize, usize)>> {
    on_many(&(known(), 0..3_usize, 0..8_usize), |(known, of, at)| {
        let all = known.all();
        let (by, licences) = known.lists()[of].clone();
        let mut fewer = licences.to_vec();
        if fewer.is_empty() || known.may(counting, &all) {
            return Ok(());
        }
        fewer.remove(at % licences.len());
        let after = all.with(by, Licences::new(fewer).expect("a list")).expect("three lists");
        prop_assert!(!known.may(counting, &after), "{after:?}");
        Ok(())
    })
}

/// The same number, entered by us and by the operator, who may disagree on everything else.
fn both_must_say_so(counting: Counting) -> Result<(), TestError<(Situation, Licence, Licence)>> {
    on_many(&(situation(), licence(), licence()), |(situation, own, verified)| {
        let here = |one: Licence| Licence { kind: LicenceKind::Full, jurisdiction: situation.service, ..one };
        let (own, verified) = (here(own), here(verified));
        let one = |by, licence| {
            Attested::default().with(by, Licences::new(vec![licence]).expect("one")).expect("one list")
        };
        let alone = one(BY_US, own);
        let bound =
            alone.with(EnteredBy::Operator, Licences::new(vec![verified]).expect("one")).expect("two lists");
        let known = Known { situation, theirs: Vec::new(), verified: Vec::new() };
        let each =
            known.may(Attested::at, &alone) && known.may(Attested::at, &one(EnteredBy::Operator, verified));
        prop_assert_eq!(known.may(counting, &bound), each);
        Ok(())
    })
}

#[test]
fn another_organisations_word_is_none() {
    others_change_nothing(Attested::at).expect("holds");
}

#[test]
fn a_licence_that_is_taken_away_allows_nothing() {
    taking_one_away_never_allows_more(Attested::at).expect("holds");
}

#[test]
fn what_the_operator_found_bounds_what_we_say() {
    both_must_say_so(Attested::at).expect("holds");
}

/// Ours by itself is enough, and so is the operator's.
#[test]
fn every_word_that_counts_is_enough() {
    let enough = RefCell::new(BTreeSet::new());
    on_many(&known(), |known| {
        for by in [BY_US, BY_THEM, EnteredBy::Operator] {
            let only = known.lists().into_iter().find(|(other, _)| *other == by);
            let (by, licences) = only.expect("is one of them");
            let alone = Attested::default().with(by, licences).expect("one list");
            if known.may(Attested::at, &alone) {
                enough.borrow_mut().insert(by);
            }
        }
        Ok(())
    })
    .expect("runs");
    assert_eq!(enough.into_inner().into_iter().collect::<Vec<_>>(), [EnteredBy::Operator, BY_US]);
}

#[test]
fn whoever_believes_everybody_is_caught() {
    let gullible: Counting = |all, _| all.iter().map(|(_, licence)| *licence).collect();
    assert!(others_change_nothing(gullible).is_err());
    assert!(both_must_say_so(gullible).is_err());
}

#[test]
fn whoever_believes_others_where_there_is_nothing_else_is_caught() {
    let desperate: Counting = |all, org| match all.at(org) {
        own if own.is_empty() => all.iter().map(|(_, licence)| *licence).collect(),
        own => own,
    };
    assert!(taking_one_away_never_allows_more(desperate).is_err());
    assert!(others_change_nothing(desperate).is_err());
}

#[test]
fn whoever_believes_the_operator_alone_is_caught() {
    let trusting: Counting = |all, _| all.of(EnteredBy::Operator).to_vec();
    assert!(both_must_say_so(trusting).is_err());
}
