//! Why a decision is as it is, and what would change it.

use residency_policy::{Category, Jurisdiction, OrgType, Purpose};

use crate::{
    ConsentState, Decision, Device, Facts, LicenceState, Loaded, Relationship, Request, Verdict, decide,
};

/// One fact that, had it been another, would have turned the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which fact.
    pub fact: &'static str,
    /// What it would have to be. `none` where it would have to be missing.
    pub to: &'static str,
    /// The answer then.
    pub verdict: Verdict,
}

/// A decision, and every single change of a fact that turns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// What would turn it. The day is not tried: it has no list of other values.
    pub would_change: Vec<Change>,
}

/// Decides, and tries every other value of each fact by itself.
pub fn explain(policies: &Loaded, request: &Request) -> Explanation {
    let decision = decide(policies, request);
    let Request { principal, action, entity, facts } = *request;
    // Where nothing could permit it, no fact turns it.
    let tried = if policies.permits(principal, action, entity) { others(facts) } else { Vec::new() };
    let would_change = tried
        .into_iter()
        .filter_map(|(fact, to, facts)| {
            let then = decide(policies, &Request { facts, ..*request });
            (then.allowed() != decision.allowed()).then_some(Change { fact, to, verdict: then.verdict })
        })
        .collect();
    Explanation { decision, would_change }
}

/// Every situation that differs in one fact, with the fact and its other value.
pub(crate) fn others(facts: Facts) -> Vec<(&'static str, &'static str, Facts)> {
    let mut all = Vec::new();
    all.push(("purpose", "none", Facts { purpose: None, ..facts }));
    for purpose in Purpose::ALL {
        all.push(("purpose", purpose.as_str(), Facts { purpose: Some(*purpose), ..facts }));
    }
    for relationship in Relationship::ALL {
        all.push(("relationship", relationship.as_str(), Facts { relationship: *relationship, ..facts }));
    }
    for consent in ConsentState::ALL {
        all.push(("consent", consent.as_str(), Facts { consent: *consent, ..facts }));
    }
    for licence in LicenceState::ALL {
        all.push(("licence", licence.as_str(), Facts { licence: *licence, ..facts }));
    }
    for (basis, word) in [(false, "false"), (true, "true")] {
        all.push(("basis", word, Facts { basis, ..facts }));
    }
    for category in Category::ALL {
        all.push(("category", category.name(), Facts { category, ..facts }));
    }
    for device in Device::ALL {
        all.push(("device", device.as_str(), Facts { device: *device, ..facts }));
    }
    for (assurance, word) in [(1, "1"), (2, "2"), (3, "3")] {
        all.push(("assurance", word, Facts { assurance, ..facts }));
    }
    all.push(("organisation", "none", Facts { organisation: None, ..facts }));
    for organisation in OrgType::ALL {
        all.push(("organisation", organisation.as_str(), Facts { organisation: Some(*organisation), ..facts }));
    }
    all.push(("service", "none", Facts { service: None, ..facts }));
    all.push(("accessor", "none", Facts { accessor: None, ..facts }));
    for place in Jurisdiction::all() {
        all.push(("home", place.code(), Facts { home: place, ..facts }));
        all.push(("ingress", place.code(), Facts { ingress: place, ..facts }));
        all.push(("service", place.code(), Facts { service: Some(place), ..facts }));
        all.push(("accessor", place.code(), Facts { accessor: Some(place), ..facts }));
    }
    all
}
