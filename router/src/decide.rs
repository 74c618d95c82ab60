//! What follows for a request: the router's part of the decision. The home decides again, and so does its database.

use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use residency_control::{JurisdictionSet, RegionEntry};
use residency_policy::{
    Act, Category, Decision, Epoch, Home, Ingress, PatientId, Placement, Problem, ProblemKind, Reason, Ruleset,
    Standing, View, decide, decide::RegionDecision, decide_region, wire,
};

use crate::identify::{Identified, Page, Sensitivity, Target};
use crate::known::Known;

/// When a caller may ask again after the view or the rules could not be proven.
const PROVE_AGAIN_SECONDS: u32 = 1;

/// The next step.
#[derive(Debug)]
pub enum Step {
    /// Answer with a page of the router's own.
    Here(Page),
    /// Forward to the home.
    Forward(Home, Option<Epoch>),
    /// Forward to any region that answers.
    ForwardAnywhere,
    /// The id is not known: forward to one of these regions that answers, so that a node says so in its own order of
    /// checks.
    ForwardUnknown(Vec<RegionEntry>),
    /// Send the caller to the home.
    Redirect(Home),
    /// Say no.
    Refuse(Problem),
}

/// Decides. `today` and the view are taken from `known` and `now`; nothing is remembered between two requests.
///
/// `caller` is what a valid key serves. A home that it does not serve is as unknown to its bearer as an id that was
/// never given out, here as on the nodes. `None` decides as for a key that serves every home: whoever shows no valid key
/// was refused before on a patient's path, and elsewhere a home asks for the key itself.
pub fn choose<K: Known>(
    known: &K,
    ingress: Ingress,
    view_age_max: std::time::Duration,
    now: Timestamp,
    method: &Method,
    about: &Identified,
    caller: Option<JurisdictionSet>,
) -> Step {
    let serves = |home: Home| caller.is_none_or(|caller| caller.contains(home.0.0));
    let rules = || known.rules();
    let theirs = || known.regions().into_iter().filter(|entry| serves(Home(entry.region)));
    match about.target {
        Target::Here(page) => Step::Here(page),
        // Organisations, regions and documentation hold no PHI, so no transit rule speaks of them, for reads and
        // for POST /v1/orgs alike; the node asks for the caller's key all the same.
        Target::Anywhere => Step::ForwardAnywhere,
        Target::Nothing => Step::Refuse(Problem::new(ProblemKind::NotFound)),
        Target::Method | Target::ReadOnly => Step::Refuse(Problem::new(ProblemKind::MethodNotAllowed)),
        Target::HomeMissing(why) => {
            let problem = Problem::new(ProblemKind::BadParameter);
            Step::Refuse(problem.field(wire::HOME_PARAMETER, why.code, why.detail))
        }
        Target::Region(home) if !serves(home) || known.region(home.0).is_none() => {
            Step::Refuse(Problem::new(ProblemKind::NotFound))
        }
        Target::Region(home) => {
            let edge = Edge { ingress, rules: rules(), age: known.age(), age_max: view_age_max, now };
            edge.region(home)
        }
        Target::Patient(patient, sensitivity) => {
            let edge = Edge { ingress, rules: rules(), age: known.age(), age_max: view_age_max, now };
            let placement = known.placement(patient).filter(|placement| serves(placement.home));
            edge.patient(patient, placement, sensitivity, act(method))
                .unwrap_or_else(|Unknown| edge.unknown(theirs(), sensitivity))
        }
        Target::NoPatient(sensitivity) => {
            let edge = Edge { ingress, rules: rules(), age: known.age(), age_max: view_age_max, now };
            edge.unknown(theirs(), sensitivity)
        }
    }
}

struct Edge {
    ingress: Ingress,
    rules: Option<Arc<Ruleset>>,
    age: std::time::Duration,
    age_max: std::time::Duration,
    now: Timestamp,
}

impl Edge {
    fn view(&self) -> View<'_> {
        View { age: self.age, age_max: self.age_max, rules: self.rules.as_deref() }
    }

    fn standing(&self) -> Standing {
        Standing::Edge(self.ingress)
    }

    fn today(&self) -> jiff::civil::Date {
        // A rule's day begins and ends in UTC, the same instant in every region.
        self.now.to_zoned(TimeZone::UTC).date()
    }

    fn region(&self, home: Home) -> Step {
        self.region_for(home, Category::General)
    }

    fn region_for(&self, home: Home, category: Category) -> Step {
        match decide_region(self.standing(), &self.view(), home, category, self.today()) {
            RegionDecision::Forward(home) => Step::Forward(home, None),
            RegionDecision::Redirect(home) => Step::Redirect(home),
            RegionDecision::Refuse(reason) => Step::Refuse(refusal(reason)),
            RegionDecision::Serve(_) => Step::Refuse(Problem::new(ProblemKind::Internal)),
        }
    }

    fn patient(
        &self,
        patient: PatientId,
        placement: Option<Placement>,
        sensitivity: Sensitivity,
        act: Act,
    ) -> Result<Step, Unknown> {
        let (view, today) = (self.view(), self.today());
        let one = |category| decide(self.standing(), &view, patient, placement, category, act, today);
        let strictest = match sensitivity {
            Sensitivity::Of(category) => one(category),
            Sensitivity::Any => {
                Category::ALL.into_iter().map(one).reduce(stricter).unwrap_or_else(|| one(Category::General))
            }
        };
        Ok(match strictest {
            Decision::Refuse(Reason::Unknown) => return Err(Unknown),
            Decision::Forward(home, epoch) => Step::Forward(home, Some(epoch)),
            Decision::Redirect(home, _) => Step::Redirect(home),
            Decision::Refuse(reason) => Step::Refuse(refusal(reason)),
            // An edge has no permit to give: policy never says this to it.
            Decision::Serve(_) => Step::Refuse(Problem::new(ProblemKind::Internal)),
        })
    }

    /// What follows for an id that is nobody's. Were it said here, a caller could tell such an id from one that
    /// belongs to others: the home finds fault with a method, a header or a body before it says that nothing is there.
    /// So a region is asked, and only one where this caller's patients may live and to which the rules let this
    /// ingress forward: what such a request carries goes nowhere that a request for a patient might not.
    fn unknown(&self, served: impl Iterator<Item = RegionEntry>, sensitivity: Sensitivity) -> Step {
        let (mut forward, mut otherwise) = (Vec::new(), None);
        for entry in served {
            let one = |category| self.region_for(Home(entry.region), category);
            let step = match sensitivity {
                Sensitivity::Of(category) => one(category),
                Sensitivity::Any => {
                    let not_forward = |step: &Step| !matches!(step, Step::Forward(..));
                    Category::ALL
                        .into_iter()
                        .map(one)
                        .find(not_forward)
                        .unwrap_or_else(|| one(Category::General))
                }
            };
            match step {
                Step::Forward(..) => forward.push(entry),
                step => otherwise = otherwise.or(Some(step)),
            }
        }
        match otherwise {
            _ if !forward.is_empty() => Step::ForwardUnknown(forward),
            // What any patient of this caller's would get: again nothing to tell the ids by.
            Some(step) => step,
            None => Step::Refuse(Problem::new(ProblemKind::NotFound)),
        }
    }
}

/// The id is in no view that is fresh enough to say so.
struct Unknown;

/// Of two decisions about the same patient, the one that lets less through.
fn stricter(a: Decision, b: Decision) -> Decision {
    let rank = |decision: &Decision| match decision {
        Decision::Serve(_) => 0,
        Decision::Forward(..) => 1,
        Decision::Redirect(..) => 2,
        Decision::Refuse(_) => 3,
    };
    if rank(&b) > rank(&a) { b } else { a }
}

fn refusal(reason: Reason) -> Problem {
    match reason {
        // Said of regions only: for a patient it is caught before.
        Reason::Unknown => Problem::new(ProblemKind::NotFound),
        Reason::NoRule | Reason::TransitRefused | Reason::ForwardedAgainstRules => {
            Problem::new(ProblemKind::TransitRefused)
        }
        // An edge is no region, so the last two are never said to it; 421 is the home's word, not the router's.
        Reason::ViewTooOld | Reason::RulesUnverified | Reason::NotHome(..) | Reason::NotThisRegion(_) => {
            Problem::new(ProblemKind::ViewUnproven).retry_after(PROVE_AGAIN_SECONDS)
        }
    }
}

fn act(method: &Method) -> Act {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) { Act::Read } else { Act::Write }
}
