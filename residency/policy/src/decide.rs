//! Serve here, forward, redirect or refuse: the one decision, without I/O.
//!
//! The router asks it with [`Standing::Edge`], a node with [`Standing::Node`], and the home's database has the
//! last word through its fence. Any of the three can refuse; none can overrule another's refusal.

use std::time::Duration;

use jiff::civil::Date;

use crate::{
    Category, Epoch, Home, Ingress, PatientId, Permit, Placement, PlacementState, Region, RegionPermit,
    Ruleset, TransitMode,
};

/// Whether the caller means to change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Only looks.
    Read,
    /// Changes.
    Write,
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An edge router with this declared place. It never serves.
    Edge(Ingress),
    /// A node of this region. `via` is the router that forwarded, or `None` when the caller came straight here.
    Node {
        /// The node's own region.
        region: Region,
        /// Where the bytes entered, when they came through a router.
        via: Option<Ingress>,
    },
}

/// What the decider knows of the directory and the rules.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// How long ago this view was shown to be what a quorum holds.
    pub age: Duration,
    /// The oldest view on which a change, or a statement that something does not exist, may rest.
    pub age_max: Duration,
    /// The rules in force, when their signature and digest were checked; otherwise `None`.
    pub rules: Option<&'a Ruleset>,
}

/// What follows for a patient.
#[derive(Debug)]
pub enum Decision {
    /// This node serves, and here is the proof.
    Serve(Permit),
    /// The ingress forwards to the home over mutual TLS.
    Forward(Home, Epoch),
    /// The ingress tells the caller to go to the home.
    Redirect(Home, Epoch),
    /// Nothing is done.
    Refuse(Reason),
}

/// What follows for a request about a region as a whole.
#[derive(Debug)]
pub enum RegionDecision {
    /// This node serves, and here is the proof.
    Serve(RegionPermit),
    /// The ingress forwards to the region over mutual TLS.
    Forward(Home),
    /// The ingress tells the caller to go to the region.
    Redirect(Home),
    /// Nothing is done.
    Refuse(Reason),
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No such patient is in a view that is fresh enough to say so.
    #[error("the id is not in the directory")]
    Unknown,
    /// The view is too old for this.
    #[error("the view of the directory is too old")]
    ViewTooOld,
    /// The rules in force could not be verified here.
    #[error("the rules in force are not verified here")]
    RulesUnverified,
    /// No rule allows this transit.
    #[error("no rule allows this transit")]
    NoRule,
    /// A rule refuses this transit.
    #[error("a rule refuses this transit")]
    TransitRefused,
    /// The request was forwarded although the rules ask for something else.
    #[error("the rules do not let this ingress forward")]
    ForwardedAgainstRules,
    /// This region is not the home.
    #[error("the home is elsewhere")]
    NotHome(Home, Epoch),
    /// The request names another region than this one.
    #[error("this is another region")]
    NotThisRegion(Home),
}

/// What a set of rules makes of one transit.
enum Transit {
    Forward,
    Redirect,
    Refuse(Reason),
}

/// Decides for one patient.
pub fn decide(
    standing: Standing,
    view: &View<'_>,
    patient: PatientId,
    placement: Option<Placement>,
    category: Category,
    act: Act,
    today: Date,
) -> Decision {
    let fresh = view.age <= view.age_max;
    let Some(Placement { patient: placed, home, epoch, state: PlacementState::Active }) = placement else {
        return Decision::Refuse(if fresh { Reason::Unknown } else { Reason::ViewTooOld });
    };
    if placed != patient {
        return Decision::Refuse(Reason::Unknown);
    }
    match standing {
        Standing::Edge(ingress) => match transit(view, home, ingress, category, today) {
            Transit::Forward => Decision::Forward(home, epoch),
            Transit::Redirect => Decision::Redirect(home, epoch),
            Transit::Refuse(reason) => Decision::Refuse(reason),
        },
        Standing::Node { region, .. } if Home(region) != home => Decision::Refuse(Reason::NotHome(home, epoch)),
        Standing::Node { via, .. } => match arrival(view, home, via, category, today) {
            Err(reason) => Decision::Refuse(reason),
            Ok(()) if act == Act::Write && !fresh => Decision::Refuse(Reason::ViewTooOld),
            Ok(()) => Decision::Serve(Permit { patient, home, epoch, act }),
        },
    }
}

/// Decides for a list, a search or a registration, which name a region and no patient.
pub fn decide_region(
    standing: Standing,
    view: &View<'_>,
    named: Home,
    category: Category,
    today: Date,
) -> RegionDecision {
    match standing {
        Standing::Edge(ingress) => match transit(view, named, ingress, category, today) {
            Transit::Forward => RegionDecision::Forward(named),
            Transit::Redirect => RegionDecision::Redirect(named),
            Transit::Refuse(reason) => RegionDecision::Refuse(reason),
        },
        Standing::Node { region, .. } if Home(region) != named => {
            RegionDecision::Refuse(Reason::NotThisRegion(named))
        }
        Standing::Node { via, .. } => match arrival(view, named, via, category, today) {
            Err(reason) => RegionDecision::Refuse(reason),
            Ok(()) => RegionDecision::Serve(RegionPermit { home: named }),
        },
    }
}

fn transit(view: &View<'_>, home: Home, ingress: Ingress, category: Category, today: Date) -> Transit {
    let Some(rules) = view.rules else {
        return Transit::Refuse(Reason::RulesUnverified);
    };
    match rules.transit(home, ingress, category, today).map(|holding| holding.says) {
        None => Transit::Refuse(Reason::NoRule),
        Some(TransitMode::Deny) => Transit::Refuse(Reason::TransitRefused),
        Some(TransitMode::Redirect) => Transit::Redirect,
        Some(TransitMode::Proxy) => Transit::Forward,
    }
}

/// The home checks the ingress's decision with its own rules. A caller who came straight to the home crossed no
/// ingress of ours, but the rules must be verified all the same: a node that cannot verify them serves nothing.
fn arrival(
    view: &View<'_>,
    home: Home,
    via: Option<Ingress>,
    category: Category,
    today: Date,
) -> Result<(), Reason> {
    if view.rules.is_none() {
        return Err(Reason::RulesUnverified);
    }
    match via.map(|ingress| transit(view, home, ingress, category, today)) {
        None | Some(Transit::Forward) => Ok(()),
        Some(Transit::Redirect | Transit::Refuse(_)) => Err(Reason::ForwardedAgainstRules),
    }
}
