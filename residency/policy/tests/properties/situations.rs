//! Situations to decide in, drawn from few enough values that rules, places and dates meet often.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use residency_policy::{
    Act, Category, Decision, Epoch, Home, Ingress, Jurisdiction, PatientId, Placement, PlacementState, Region,
    Ruleset, Standing, TransitMode, View, decide,
};

pub(crate) const PATIENT: PatientId = PatientId::from_bytes([1; 16]);
pub(crate) const SOMEBODY_ELSE: PatientId = PatientId::from_bytes([2; 16]);
pub(crate) const AGE_MAX: Duration = Duration::from_secs(5);

/// Which jurisdictions a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Any,
    OutsideHome,
    One(Jurisdiction),
}

/// A transit rule, as a value instead of as text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) home: Which,
    pub(crate) ingress: Which,
    pub(crate) category: Option<Category>,
    pub(crate) mode: TransitMode,
    pub(crate) from: Date,
    pub(crate) to: Option<Date>,
}

impl Line {
    /// Whether the rule speaks: written a second time, apart from the crate, so that the two can be compared.
    pub(crate) fn covers(
        &self,
        home: Jurisdiction,
        ingress: Jurisdiction,
        category: Category,
        on: Date,
    ) -> bool {
        let home_named = match self.home {
            Which::Any => true,
            Which::One(one) => one == home,
            Which::OutsideHome => false,
        };
        let ingress_named = match self.ingress {
            Which::Any => true,
            Which::One(one) => one == ingress,
            Which::OutsideHome => ingress != home,
        };
        home_named
            && ingress_named
            && (self.category.is_none() || self.category == Some(category))
            && on >= self.from
            && self.to.is_none_or(|to| on < to)
    }
}

fn named(which: Which) -> String {
    match which {
        Which::Any => "any".to_owned(),
        Which::OutsideHome => "outside-home".to_owned(),
        Which::One(one) => one.code().to_owned(),
    }
}

/// The rules as the crate reads them.
pub(crate) fn ruleset(lines: &[Line]) -> Ruleset {
    let mut text = "version = 1\n".to_owned();
    for line in lines {
        let (home, ingress, mode, from) = (named(line.home), named(line.ingress), line.mode, line.from);
        let category = line.category.map_or("any", Category::name);
        let to = line.to.map_or(String::new(), |to| format!("effective_to = {to}\n"));
        write!(
            text,
            "[[transit]]\nhome = '{home}'\ningress = '{ingress}'\ncategory = '{category}'\nmode = '{mode:?}'\n\
             effective_from = {from}\n{to}citation = 'a test'\n"
        )
        .expect("writes to memory");
    }
    Ruleset::parse(&text).expect("a generated ruleset is well formed")
}

/// Everything that a decision rests on.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    pub(crate) standing: Standing,
    pub(crate) age: Duration,
    /// `None` where the rules in force are not verified.
    pub(crate) rules: Option<Vec<Line>>,
    pub(crate) placement: Option<Placement>,
    pub(crate) category: Category,
    pub(crate) act: Act,
    pub(crate) today: Date,
}

impl Situation {
    /// Where the bytes entered, if they came through an ingress of ours.
    pub(crate) fn ingress(&self) -> Option<Jurisdiction> {
        match self.standing {
            Standing::Edge(Ingress(place)) => Some(place),
            Standing::Node { via, .. } => via.map(|Ingress(place)| place),
        }
    }

    /// The strictest mode of the rules that speak, worked out apart from the crate.
    pub(crate) fn mode(&self) -> Option<TransitMode> {
        let (ingress, Home(Region(home))) = (self.ingress()?, self.placement?.home);
        let speaking =
            self.rules.iter().flatten().filter(|line| line.covers(home, ingress, self.category, self.today));
        speaking.map(|line| line.mode).max()
    }
}

/// Something that decides. The crate's own is [`ours`]; the others have a defect.
pub(crate) type Decider = fn(&Situation) -> Decision;

/// The crate's decision.
pub(crate) fn ours(s: &Situation) -> Decision {
    let rules = s.rules.as_deref().map(ruleset);
    let view = View { age: s.age, age_max: AGE_MAX, rules: rules.as_ref() };
    decide(s.standing, &view, PATIENT, s.placement, s.category, s.act, s.today)
}

/// Whether a property held, or an input for which it did not.
pub(crate) type Held<V> = Result<(), Box<TestError<V>>>;

/// Runs a property on many situations; `Err` is a situation in which it does not hold. Mutants and ourselves are
/// shown the same ones, and the same in every run.
pub(crate) fn on_many<S: Strategy>(
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Held<S::Value> {
    let config = Config { cases: 4_000, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng).run(strategy, property).map_err(Box::new)
}

pub(crate) fn places() -> impl Strategy<Value = Jurisdiction> + Clone {
    prop::sample::select(
        ["CA", "NY", "TX"].map(|p| Jurisdiction::from_postal(p).expect("a jurisdiction")).to_vec(),
    )
}

pub(crate) fn categories() -> impl Strategy<Value = Category> {
    prop::sample::select(vec![Category::General, Category::Reproductive])
}

pub(crate) fn days() -> impl Strategy<Value = Date> {
    (0..4i64).prop_map(|n| date(2027, 6, 29).saturating_add(n.days()))
}

fn which(outside: bool) -> impl Strategy<Value = Which> {
    (0..if outside { 4u8 } else { 3 }, places()).prop_map(|(n, one)| match n {
        0 | 1 => Which::Any,
        2 => Which::One(one),
        _ => Which::OutsideHome,
    })
}

pub(crate) fn modes() -> impl Strategy<Value = TransitMode> {
    prop::sample::select(vec![TransitMode::Proxy, TransitMode::Redirect, TransitMode::Deny])
}

pub(crate) fn line() -> impl Strategy<Value = Line> {
    let lasting = prop::option::of(1..3i64);
    (which(false), which(true), prop::option::of(categories()), modes(), days(), lasting).prop_map(
        |(home, ingress, category, mode, from, lasting)| {
            let to = lasting.map(|days| from.saturating_add(days.days()));
            Line { home, ingress, category, mode, from, to }
        },
    )
}

fn standing() -> impl Strategy<Value = Standing> {
    let via = prop::option::of(places().prop_map(Ingress));
    prop_oneof![
        places().prop_map(|place| Standing::Edge(Ingress(place))),
        (places(), via).prop_map(|(region, via)| Standing::Node { region: Region(region), via }),
    ]
}

fn placement() -> impl Strategy<Value = Placement> {
    (places(), 1..4u32, prop::bool::weighted(0.9), prop::bool::weighted(0.9)).prop_map(
        |(home, epoch, active, right)| Placement {
            patient: if right { PATIENT } else { SOMEBODY_ELSE },
            home: Home(Region(home)),
            epoch: Epoch(epoch),
            state: if active { PlacementState::Active } else { PlacementState::Retired },
        },
    )
}

pub(crate) fn situation() -> impl Strategy<Value = Situation> {
    (
        standing(),
        prop::sample::select(vec![Duration::ZERO, AGE_MAX, AGE_MAX + Duration::from_millis(1)]),
        prop::option::weighted(0.9, prop::collection::vec(line(), 0..4)),
        prop::option::weighted(0.9, placement()),
        categories(),
        prop::sample::select(vec![Act::Read, Act::Write]),
        days(),
    )
        .prop_map(|(standing, age, rules, placement, category, act, today)| Situation {
            standing,
            age,
            rules,
            placement,
            category,
            act,
            today,
        })
}
