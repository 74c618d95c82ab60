//! The decision.

use std::sync::Arc;

use cedar_policy::{Context, Decision as Answer, Request as Question, RestrictedExpression};

use crate::names::Names;
use crate::rule::Effects;
use crate::{Facts, Loaded, Obligation, RefusalReason, Request, Rule, Shape};

/// Yes and how much, or no and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is allowed, and this much is shown.
    Allow(Shape),
    /// It is refused.
    Refuse(RefusalReason),
}

/// What was decided, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Yes or no.
    pub verdict: Verdict,
    /// The rules that made it so, by id. None where no rule permits.
    pub rules: Vec<Arc<Rule>>,
    /// What must be done with an answer, or what would help a refusal.
    pub obligations: Vec<Obligation>,
}

impl Decision {
    /// Whether it is a yes.
    pub fn allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allow(_))
    }

    fn refuse(reason: RefusalReason) -> Self {
        Self { verdict: Verdict::Refuse(reason), rules: Vec::new(), obligations: Vec::new() }
    }
}

/// Decides. What no policy permits is refused, whatever else is missing.
pub fn decide(policies: &Loaded, request: &Request) -> Decision {
    let names = &policies.names;
    let Some(slice) = policies.slices.get(&(request.principal, request.action, request.entity)) else {
        return Decision::refuse(RefusalReason::NotPermitted);
    };
    let question = context(names, &request.facts).ok().and_then(|context| {
        let who = names.principal(request.principal).clone();
        let (what, on) = (names.action(request.action).clone(), names.entity(request.entity).clone());
        // Not checked against the schema again: the words are the schema's, which a test shows for every fact.
        Question::new(who, what, on, context, None).ok()
    });
    let Some(question) = question else {
        return Decision::refuse(RefusalReason::PolicyFault);
    };
    let response = policies.authorizer.is_authorized(&question, slice, names.things());
    // Cedar goes on without a policy that it cannot evaluate. If that one forbids, going on would allow.
    if response.diagnostics().errors().next().is_some() {
        return Decision::refuse(RefusalReason::PolicyFault);
    }
    let mut rules: Vec<Arc<Rule>> =
        response.diagnostics().reason().filter_map(|id| policies.rules.get(id).cloned()).collect();
    rules.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    conclude(response.decision(), rules)
}

fn conclude(answer: Answer, mut rules: Vec<Arc<Rule>>) -> Decision {
    let permitted = rules.iter().filter_map(|rule| match rule.effect {
        Effects::Permits(shape) => Some(shape),
        Effects::Forbids(_) => None,
    });
    let forbidden = rules.iter().find_map(|rule| match rule.effect {
        Effects::Permits(_) => None,
        Effects::Forbids(reason) => Some(reason),
    });
    let verdict = match (answer, permitted.max()) {
        (Answer::Allow, Some(widest)) => Verdict::Allow(widest),
        _ => Verdict::Refuse(forbidden.unwrap_or(RefusalReason::NotPermitted)),
    };
    // Where several permit, the widest is what is given, on its own terms.
    if let Verdict::Allow(widest) = verdict {
        rules.retain(|rule| rule.effect == Effects::Permits(widest));
    }
    let mut obligations: Vec<Obligation> =
        rules.iter().flat_map(|rule| rule.obligations.iter().cloned()).collect();
    obligations.sort_unstable();
    obligations.dedup();
    Decision { verdict, rules, obligations }
}

/// The facts as Cedar reads them.
fn context(names: &Names, facts: &Facts) -> Result<Context, Box<cedar_policy::ContextCreationError>> {
    let places = [
        ("home", Some(facts.home)),
        ("ingress", Some(facts.ingress)),
        ("service", facts.service),
        ("accessor", facts.accessor),
    ];
    let pairs = [
        ("organisation", names.organisation(facts.organisation)),
        ("purpose", names.purpose(facts.purpose)),
        ("relationship", names.relationship(facts.relationship)),
        ("consent", names.consent(facts.consent)),
        ("licence", names.licence(facts.licence)),
        ("basis", RestrictedExpression::new_bool(facts.basis)),
        ("category", names.category(facts.category)),
        ("day", RestrictedExpression::new_long(i64::from(facts.day))),
        ("device", names.device(facts.device)),
        ("assurance", RestrictedExpression::new_long(i64::from(facts.assurance))),
    ];
    let places = places.into_iter().filter_map(|(key, place)| Some((key, names.jurisdiction(place?))));
    let all = pairs.into_iter().chain(places).map(|(key, value)| (key.to_owned(), value));
    Context::from_pairs(all).map_err(Box::new)
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Schema, SchemaFragment};
    use residency_policy::Jurisdiction;

    use super::*;
    use crate::explain::others;
    use crate::{Action, Entity, Principal, SCHEMA};

    #[test]
    fn every_question_fits_the_schema() {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(SCHEMA.text).expect("it parses");
        let schema = Schema::from_schema_fragments([fragment]).expect("it is whole");
        let names = Names::new(&schema).expect("it has every word");
        let fits = |principal, action, entity, context: Context| {
            let who = names.principal(principal).clone();
            let (what, on) = (names.action(action).clone(), names.entity(entity).clone());
            Question::new(who, what, on, context, Some(&schema)).is_ok()
        };
        let home: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        let facts = Facts { service: Some(home), accessor: Some(home), ..Facts::least(home, 20_261_122) };
        for (fact, to, facts) in others(facts) {
            let context = context(&names, &facts).expect("a context");
            assert!(fits(Principal::Patient, Action::Read, Entity::Patient, context), "{fact} = {to}");
        }
        for principal in Principal::all() {
            for &entity in Entity::ALL {
                assert!(names.applies(Action::Read, entity), "{entity}");
                let context = context(&names, &facts).expect("a context");
                assert!(fits(principal, Action::Read, entity, context), "{principal} {entity}");
            }
        }
        for &action in Action::ALL {
            assert!(Entity::ALL.iter().any(|entity| names.applies(action, *entity)), "{action}");
        }
        let control = fits(Principal::Patient, Action::Read, Entity::Patient, Context::empty());
        assert!(!control, "the control: a question without facts does not fit");
    }
}
