//! What is decided once the home has said what only it knows.

use std::sync::Arc;

use node_policy::{
    Action, ConsentState, Entity, Facts, Principal, RefusalReason, Relationship, Request, Shape, decide,
};
use storage::{Consent, Judged, Judging, Known};

use crate::authorize::{rules, shown_by};
use crate::policies::InForce;

/// The second question, asked by the home with what only it knows. The first one was asked before anything was looked
/// up, and took the best for granted; what is as it was taken for needs no second decision.
pub(crate) struct SecondLook {
    pub(crate) policies: Arc<InForce>,
    pub(crate) role: Principal,
    pub(crate) action: Action,
    pub(crate) entity: Entity,
    /// What the first question took for granted.
    pub(crate) assumed: Facts,
    /// What the caller was promised.
    pub(crate) shape: Shape,
}

impl SecondLook {
    fn facts(&self, known: &Known) -> Facts {
        let relationship = match self.assumed.relationship {
            Relationship::BreakGlass if known.glass.is_none() => Relationship::Organisation,
            as_assumed => as_assumed,
        };
        let consent = match known.consent {
            Consent::Revoked => ConsentState::Revoked,
            Consent::None => ConsentState::None,
            Consent::General => ConsentState::General,
            Consent::Specific => ConsentState::Specific,
        };
        Facts { relationship, consent, ..self.assumed }
    }
}

impl Judging for SecondLook {
    fn judge(&self, known: &Known) -> Judged {
        let facts = self.facts(known);
        if facts == self.assumed {
            return Judged { answer: Ok(()), rules: None };
        }
        let asked = Request { principal: self.role, action: self.action, entity: self.entity, facts };
        let decision = decide(&self.policies.loaded, &asked);
        let reason = match shown_by(&decision, &asked) {
            Ok(shape) if shape >= self.shape => None,
            Ok(_) => Some(RefusalReason::ObligationUnmet),
            Err(RefusalReason::NotPermitted) if facts.relationship != self.assumed.relationship => {
                Some(RefusalReason::BreakGlassRequired)
            }
            Err(reason) => Some(reason),
        };
        let answer = reason.map_or(Ok(()), |reason| Err(reason.as_str()));
        Judged { answer, rules: Some(rules(&decision)) }
    }
}
