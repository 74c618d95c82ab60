//! Asks the policies whether an act may be done, and answers a refusal.

use node_policy::{
    Action, Decision, Entity, Facts, Loaded, Obligation, RefusalReason, Relationship, Request, Shape, Verdict,
    decide,
};
use residency_policy::{FieldError, Problem, ProblemKind, Purpose, wire};
use storage::Rules;

use crate::Here;
pub use crate::asker::Asker;
pub(crate) use crate::asker::principal;
use crate::scope;
use crate::shown::{has_views, left_out};

/// An act that a route performs: its name in the log, and its place in the policies.
pub trait Act: Send + Sync + 'static {
    /// On what.
    const ENTITY: Entity;
    /// Does what.
    const ACTION: Action;
    /// The transaction's name, such as `patient.read`.
    const NAME: &'static str;
    /// The query parameters that the route takes. Any other is refused.
    const PARAMETERS: &'static [&'static str] = &[];
    /// Whether the path names the category of PHI that it is about, which is then never the general one.
    const SEGREGATED: bool = false;
}

/// Purposes for which a grant is asked for: break-glass.
pub(crate) const fn is_emergency(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::EmergencyTreat | Purpose::BreakTheGlass)
}

/// What to do where a second factor is asked for.
const STEP_UP: &str = "show a second factor, which counts for an hour: send a code of your authenticator to /v1/auth/step-up in \
                       this session or to /v1/auth/login, use a passkey, or come in through an identity provider that asks \
                       for one (/v1/auth/oidc/{provider}/start?step_up=true); whoever has no authenticator enrols one at \
                       /v1/auth/totp";

/// Asks for a request that came, and notes what was asked of the policies ([`node_policy::Recorded`]).
pub(crate) fn decided(
    here: &Here,
    policies: &Loaded,
    asker: Asker,
    what: (Action, Entity),
    facts: Facts,
) -> Result<Shape, Problem> {
    decided_by(here, policies, asker, what, facts).map(|(shape, _)| shape).map_err(|(problem, _)| problem)
}

/// The same, and by which policies.
pub(crate) fn decided_by(
    here: &Here,
    policies: &Loaded,
    asker: Asker,
    (action, entity): (Action, Entity),
    facts: Facts,
) -> Result<(Shape, Rules), (Problem, Rules)> {
    if asker.scopes.covers(scope::of(action, entity)) {
        here.policies.recorded().note(&Request { principal: asker.role, action, entity, facts });
    }
    authorize_by(policies, asker, action, entity, facts)
}

/// Asks the key's scopes and then the policies. Nothing of what is asked for was looked at before, so that a refusal may name
/// its reason.
pub fn authorize(
    policies: &Loaded,
    asker: Asker,
    action: Action,
    entity: Entity,
    facts: Facts,
) -> Result<Shape, Problem> {
    let decided = authorize_by(policies, asker, action, entity, facts);
    decided.map(|(shape, _)| shape).map_err(|(problem, _)| problem)
}

/// The same, and by which policies it is allowed or refused.
fn authorize_by(
    policies: &Loaded,
    asker: Asker,
    action: Action,
    entity: Entity,
    facts: Facts,
) -> Result<(Shape, Rules), (Problem, Rules)> {
    let (role, scope) = (asker.role, scope::of(action, entity));
    if !asker.scopes.covers(scope) {
        let lacking = Problem::new(ProblemKind::Forbidden).reason(RefusalReason::ScopeLacking.as_str());
        return Err((lacking.field("scope", "required", scope.as_str()), Rules::of(std::iter::empty())));
    }
    let question = Request { principal: role, action, entity, facts };
    let decision = decide(policies, &question);
    let reason = match shown_by(&decision, &question) {
        Ok(shape) => return Ok((shape, rules(&decision))),
        Err(reason) => reason,
    };
    let instead =
        purposes(policies, asker, action, entity, |purpose| Facts { purpose: Some(purpose), ..facts });
    let reason = match reason {
        RefusalReason::NotPermitted if !instead.is_empty() => RefusalReason::PurposeNotAllowed,
        other => other,
    };
    if reason == RefusalReason::StepUpRequired {
        return Err((step_up_required().fields(instead), rules(&decision)));
    }
    let problem = Problem::new(ProblemKind::Forbidden).reason(reason.as_str()).fields(instead);
    Err((problem, rules(&decision)))
}

/// The answer to somebody who showed one factor, where two are asked for.
pub fn step_up_required() -> Problem {
    Problem::new(ProblemKind::Forbidden).reason(RefusalReason::StepUpRequired.as_str()).detail(STEP_UP)
}

/// The purposes for which the same would be allowed, as what a caller may send instead. `facts` says with which facts each is
/// asked about.
pub(crate) fn purposes(
    policies: &Loaded,
    asker: Asker,
    action: Action,
    entity: Entity,
    facts: impl Fn(Purpose) -> Facts,
) -> Vec<FieldError> {
    if !entity.is_phi() || !asker.scopes.covers(scope::of(action, entity)) {
        return Vec::new();
    }
    let allowed = |purpose: &&Purpose| {
        let facts = facts(**purpose);
        shown(policies, &Request { principal: asker.role, action, entity, facts }).is_ok()
    };
    let code = |purpose: &Purpose| FieldError {
        pointer: wire::PURPOSE_OF_USE,
        code: "allowed",
        detail: purpose.as_str(),
    };
    Purpose::ALL.iter().filter(allowed).map(code).collect()
}

fn shown(policies: &Loaded, request: &Request) -> Result<Shape, RefusalReason> {
    shown_by(&decide(policies, request), request)
}

/// The rules that decided, for the record.
pub(crate) fn rules(decision: &Decision) -> Rules {
    Rules::of(decision.rules.iter().map(|rule| rule.id.as_str()))
}

pub(crate) fn shown_by(decision: &Decision, request: &Request) -> Result<Shape, RefusalReason> {
    match decision.verdict {
        Verdict::Refuse(reason) => Err(reason),
        // Its answer has one view, which shows everything.
        Verdict::Allow(shape) if shape != Shape::Full && !has_views(request.entity) => {
            Err(RefusalReason::ObligationUnmet)
        }
        Verdict::Allow(shape) => {
            let unmet = |obligation| unmet(obligation, request.entity, shape, &request.facts);
            let step_up = |reason: &RefusalReason| *reason == RefusalReason::StepUpRequired;
            // One that nobody can meet comes first: to sign in again would not help.
            decision.obligations.iter().filter_map(unmet).min_by_key(step_up).map_or(Ok(shape), Err)
        }
    }
}

/// Why a condition of an answer is not met, if it is not. One that nothing here meets is not passed over.
fn unmet(obligation: &Obligation, entity: Entity, shape: Shape, facts: &Facts) -> Option<RefusalReason> {
    match obligation {
        // What is left out, the type of the answer leaves out.
        Obligation::LeaveOut(what) if left_out(entity, shape).contains(&what.as_str()) => None,
        // To somebody who is the patient, the home shows what was signed and nothing else.
        Obligation::LeaveOut(what)
            if what == "unreleased"
                && entity == Entity::Encounter
                && facts.relationship == Relationship::Oneself =>
        {
            None
        }
        Obligation::StepUp(level) if facts.assurance >= u16::from(*level) => None,
        // Breaking the glass put it in the privacy officer's queue, and what is done under the grant is recorded with it.
        Obligation::Notify(whom)
            if whom == "privacy-officer" && facts.relationship == Relationship::BreakGlass =>
        {
            None
        }
        Obligation::StepUp(_) => Some(RefusalReason::StepUpRequired),
        _ => Some(RefusalReason::ObligationUnmet),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use node_policy::{PolicyFile, Principal, Relationship, SCHEMA};
    use residency_policy::{Jurisdiction, KeyScope, KeyScopes, OrgType, Role};

    use super::*;

    fn facts(purpose: Option<Purpose>) -> Facts {
        let home: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        Facts { purpose, relationship: Relationship::Organisation, ..Facts::least(home, 20_261_122) }
    }

    /// The same of somebody in an organisation that may have the role.
    fn of(role: Role, purpose: Option<Purpose>) -> Facts {
        Facts { organisation: Some(role.usual_kind()), ..facts(purpose) }
    }

    fn any(role: Role) -> Asker {
        Asker { role: Principal::Member(role), scopes: KeyScopes::ALL }
    }

    fn asked(role: Role, entity: Entity, action: Action, purpose: Option<Purpose>) -> Result<Shape, Problem> {
        static SHIPPED: OnceLock<Loaded> = OnceLock::new();
        let policies = SHIPPED.get_or_init(|| Loaded::shipped().expect("the shipped policies load"));
        authorize(policies, any(role), action, entity, of(role, purpose))
    }

    #[test]
    fn phi_without_a_purpose_is_refused() {
        for &role in Role::ALL {
            for &action in Action::ALL {
                assert!(asked(role, Entity::Patient, action, None).is_err());
                assert!(asked(role, Entity::Encounter, action, None).is_err());
            }
        }
    }

    #[test]
    fn marketing_is_never_a_reason_for_phi() {
        for &role in Role::ALL {
            for &action in Action::ALL {
                assert!(asked(role, Entity::Patient, action, Some(Purpose::Marketing)).is_err());
            }
        }
    }

    #[test]
    fn only_an_administrator_adds_organisations_and_everyone_known_may_look() {
        for &role in Role::ALL {
            assert!(asked(role, Entity::Organisation, Action::List, None).is_ok());
            assert!(asked(role, Entity::Region, Action::List, None).is_ok());
            let administers = role == Role::OrgAdmin;
            for action in [Action::Create, Action::Update, Action::Delete] {
                // To close one, or to do more than add a user, takes a second factor.
                let may = administers && action != Action::Delete;
                assert_eq!(asked(role, Entity::Organisation, action, None).is_ok(), may, "{role}");
                let may = administers && action == Action::Create;
                assert_eq!(asked(role, Entity::User, action, None).is_ok(), may, "{role}");
            }
            assert_eq!(asked(role, Entity::User, Action::List, None).is_ok(), administers, "{role}");
            for action in [Action::Create, Action::Update] {
                assert_eq!(asked(role, Entity::Provider, action, None).is_ok(), administers, "{role}");
            }
            let seen = if role == Role::Marketer { Shape::Listed } else { Shape::Full };
            assert_eq!(asked(role, Entity::Provider, Action::Read, None), Ok(seen), "{role}");
        }
    }

    #[test]
    fn a_role_of_another_kind_of_organisation_is_nobodys() {
        let policies = Loaded::shipped().expect("the shipped policies load");
        for (&kind, &role) in OrgType::ALL.iter().flat_map(|k| Role::ALL.iter().map(move |r| (k, r))) {
            let facts = Facts { organisation: Some(kind), ..facts(None) };
            let answer = authorize(&policies, any(role), Action::List, Entity::Region, facts);
            assert_eq!(answer.is_ok(), kind.may_have(role), "{role} of {kind}");
        }
    }

    #[test]
    fn a_refusal_names_its_reason_and_the_purposes_that_would_do() {
        let said = |role, entity, action, purpose| {
            let problem = asked(role, entity, action, purpose).expect_err("it is refused");
            let text = serde_json::to_value(problem.document(residency_policy::RequestId::from_bytes([0; 16])));
            text.expect("it serialises")
        };
        let other = said(Role::Provider, Entity::Encounter, Action::Read, Some(Purpose::Operations));
        assert_eq!(other["reason"], "purpose-not-allowed");
        assert_eq!(other["errors"][0]["detail"], "TREAT");
        assert_eq!(other["errors"].as_array().map(Vec::len), Some(1));
        let nobody = said(Role::Marketer, Entity::Waitlist, Action::Create, Some(Purpose::Treat));
        assert_eq!(nobody["reason"], "no-legal-basis");
        assert!(nobody.get("errors").is_none(), "{nobody}");
        let open = said(Role::Marketer, Entity::User, Action::List, None);
        assert_eq!(open["reason"], "not-permitted");
    }

    #[test]
    fn a_condition_that_nothing_here_meets_refuses() {
        let asked = |obligation: &str| {
            let text = format!(
                "@id(\"a\") @citation(\"none\") @shape(\"full\") {obligation} permit (principal, action, resource);"
            );
            let policies =
                Loaded::parse(SCHEMA, &[PolicyFile { name: "a.cedar", text: &text }]).expect("it loads");
            authorize(&policies, any(Role::Auditor), Action::List, Entity::Region, facts(None))
        };
        assert_eq!(asked(""), Ok(Shape::Full), "the control");
        for unmet in ["watermark", "watermark step-up:2", "leave-out:names"] {
            let refused = asked(&format!("@obligation(\"{unmet}\")")).expect_err(unmet);
            assert_eq!(refused, Problem::new(ProblemKind::Forbidden).reason("obligation-unmet"), "{unmet}");
        }
    }

    #[test]
    fn what_a_view_leaves_out_is_left_out_and_nothing_else_is() {
        let asked = |shape: &str, word: &str| {
            let text = format!(
                "@id(\"a\") @citation(\"none\") @shape(\"{shape}\") @obligation(\"leave-out:{word}\") \
                 permit (principal, action, resource is Patient);"
            );
            let policies =
                Loaded::parse(SCHEMA, &[PolicyFile { name: "a.cedar", text: &text }]).expect("it loads");
            authorize(
                &policies,
                any(Role::OrgAdmin),
                Action::List,
                Entity::Patient,
                facts(Some(Purpose::Operations)),
            )
        };
        assert_eq!(asked("listed", "contact"), Ok(Shape::Listed));
        assert_eq!(asked("token", "person"), Ok(Shape::Token));
        for (shape, word) in [("listed", "person"), ("listed", "birth-date"), ("full", "contact")] {
            let refused = asked(shape, word).expect_err(word);
            assert_eq!(
                refused,
                Problem::new(ProblemKind::Forbidden).reason("obligation-unmet"),
                "{shape} {word}"
            );
        }
    }

    #[test]
    fn a_step_up_is_met_by_whoever_signed_in_so_and_by_nobody_else() {
        let asked = |level: u8, assurance: u16| {
            let text = format!(
                "@id(\"a\") @citation(\"none\") @shape(\"full\") @obligation(\"step-up:{level}\") \
                 permit (principal, action, resource);"
            );
            let policies =
                Loaded::parse(SCHEMA, &[PolicyFile { name: "a.cedar", text: &text }]).expect("it loads");
            let facts = Facts { assurance, ..facts(None) };
            authorize(&policies, any(Role::Auditor), Action::List, Entity::Region, facts)
        };
        let refused = || Err(Problem::new(ProblemKind::Forbidden).reason("step-up-required").detail(STEP_UP));
        for (level, assurance, met) in
            [(2, 1, false), (2, 2, true), (2, 3, true), (3, 1, false), (3, 2, false), (3, 3, true)]
        {
            let expected = if met { Ok(Shape::Full) } else { refused() };
            assert_eq!(asked(level, assurance), expected, "level {level} asked of {assurance}");
        }
    }
    /// Whether a key of this role and these scopes may do at most what one of every scope may, each act only with the scope
    /// that it takes.
    fn only_takes_away(role: Role, asks: impl Fn(Asker, Action, Entity) -> bool) -> bool {
        KeyScope::ALL.iter().all(|scope| {
            let asker = Asker { role: Principal::Member(role), scopes: [*scope].into_iter().collect() };
            Entity::ALL.iter().all(|entity| {
                Action::ALL.iter().all(|action| {
                    let covered = asker.scopes.covers(scope::of(*action, *entity));
                    asks(asker, *action, *entity) == (covered && asks(any(role), *action, *entity))
                })
            })
        })
    }

    #[test]
    fn a_scope_takes_away_and_never_adds() {
        let policies = Loaded::shipped().expect("the shipped policies load");
        let asks = |asker: Asker, action, entity: Entity| {
            let purpose = entity.is_phi().then_some(Purpose::Treat);
            let Principal::Member(role) = asker.role else { return false };
            authorize(&policies, asker, action, entity, of(role, purpose)).is_ok()
        };
        for &role in Role::ALL {
            assert!(only_takes_away(role, asks), "{role}");
        }
        // The control: a decision point that does not look at scopes.
        let blind =
            |asker: Asker, action, entity| asks(Asker { scopes: KeyScopes::ALL, ..asker }, action, entity);
        assert!(!only_takes_away(Role::Provider, blind));
        let reads = Asker {
            role: Principal::Member(Role::Provider),
            scopes: [KeyScope::SchedulingRead].into_iter().collect(),
        };
        let treating = of(Role::Provider, Some(Purpose::Treat));
        let refused = authorize(&policies, reads, Action::Create, Entity::Appointment, treating);
        let expected = Problem::new(ProblemKind::Forbidden).reason("scope-lacking");
        assert_eq!(refused, Err(expected.field("scope", "required", "scheduling:write")));
        let with = |purpose| of(Role::Provider, Some(purpose));
        assert_eq!(purposes(&policies, reads, Action::Create, Entity::Appointment, with), []);
    }
}
