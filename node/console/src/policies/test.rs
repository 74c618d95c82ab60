//! Decides a question without doing anything: who, what, why and where, and what would turn the answer.

use std::str::FromStr;

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::body::{Object, PublicJson};
use node_access::doc::OpenQuestionProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use node_policy::{
    ConsentState, Device, Explanation, Facts, LicenceState, Principal, Relationship, Request, Verdict, explain,
};
use residency_policy::{Category, FieldError, Jurisdiction, OrgType, Problem, ProblemKind, Purpose};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object as Schema, ObjectBuilder, Type};

/// Trying the policies out.
pub struct Test;

impl Act for Test {
    const ENTITY: Entity = Entity::Policy;
    const ACTION: Action = Action::Search;
    const NAME: &'static str = "policy.test";
}

fn one_of(says: &'static str, words: impl Iterator<Item = &'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).description(Some(says)).enum_values(Some(words)).build()
}

macro_rules! schemas {
    ($($name:ident, $says:literal: $words:expr;)+) => {
        $(fn $name() -> Schema { one_of($says, $words) })+
    };
}

schemas! {
    principal, "Who: a role, `patient` or `support`.": Principal::all().map(Principal::as_str);
    action, "Does what.": Action::ALL.iter().map(|a| a.as_str());
    entity, "On what.": Entity::ALL.iter().map(|e| e.as_str());
    organisation, "What kind of organisation asks.": OrgType::ALL.iter().map(|o| o.as_str());
    purpose, "Why: a code of HL7 v3-ActReason.": Purpose::ALL.iter().map(|p| p.as_str());
    relationship, "How who asks stands to what is asked for.": Relationship::ALL.iter().map(|r| r.as_str());
    consent, "The patient's consent to this.": ConsentState::ALL.iter().map(|c| c.as_str());
    licence, "Authority to practise where the patient is.": LicenceState::ALL.iter().map(|l| l.as_str());
    category, "The category of the PHI.": Category::ALL.into_iter().map(Category::name);
    home, "Where the PHI rests.": Jurisdiction::all().map(Jurisdiction::code);
    ingress, "Where the bytes enter.": Jurisdiction::all().map(Jurisdiction::code);
    service, "Where the patient is at the visit.": Jurisdiction::all().map(Jurisdiction::code);
    accessor, "Where who asks is.": Jurisdiction::all().map(Jurisdiction::code);
    device, "Whether the device is known.": Device::ALL.iter().map(|d| d.as_str());
}

/// A question to the policies. What is left out is taken for what permits least; the places for this region, the day
/// for today.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyQuestion)]
#[serde(deny_unknown_fields)]
pub struct QuestionBody {
    /// Who: a role, `patient` or `support`.
    #[schema(schema_with = principal)]
    pub principal: String,
    /// Does what.
    #[schema(schema_with = action)]
    pub action: String,
    /// On what.
    #[schema(schema_with = entity)]
    pub entity: String,
    /// What kind of organisation asks.
    #[schema(schema_with = organisation, required = false)]
    pub organisation: Option<String>,
    /// Why: a code of HL7 v3-ActReason.
    #[schema(schema_with = purpose, required = false)]
    pub purpose: Option<String>,
    /// How who asks stands to what is asked for.
    #[schema(schema_with = relationship, required = false)]
    pub relationship: Option<String>,
    /// The patient's consent to this.
    #[schema(schema_with = consent, required = false)]
    pub consent: Option<String>,
    /// Authority to practise where the patient is.
    #[schema(schema_with = licence, required = false)]
    pub licence: Option<String>,
    /// Whether the organisation's legal basis is recorded and in force.
    #[schema(value_type = bool, required = false)]
    pub basis: Option<bool>,
    /// The category of the PHI.
    #[schema(schema_with = category, required = false)]
    pub category: Option<String>,
    /// Where the PHI rests.
    #[schema(schema_with = home, required = false)]
    pub home: Option<String>,
    /// Where the bytes enter.
    #[schema(schema_with = ingress, required = false)]
    pub ingress: Option<String>,
    /// Where the patient is at the visit.
    #[schema(schema_with = service, required = false)]
    pub service: Option<String>,
    /// Where who asks is.
    #[schema(schema_with = accessor, required = false)]
    pub accessor: Option<String>,
    /// The day in UTC as a number.
    #[schema(value_type = u32, minimum = 20_000_101, maximum = 29_991_231, required = false, example = 20_261_122)]
    pub day: Option<u32>,
    /// Whether the device is known.
    #[schema(schema_with = device, required = false)]
    pub device: Option<String>,
    /// NIST SP 800-63B authenticator assurance level.
    #[schema(value_type = u8, minimum = 1, maximum = 3, required = false)]
    pub assurance: Option<u16>,
}

/// A decision, and what would turn it.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyDecision)]
#[serde(deny_unknown_fields)]
pub struct DecisionBody {
    /// Whether it is allowed.
    pub allowed: bool,
    /// How much is shown: `token`, `listed` or `full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<&'static str>,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The rules that made it so. None where no rule permits.
    pub rules: Vec<RuleBody>,
    /// What must be done with an answer, or what would help a refusal.
    pub obligations: Vec<String>,
    /// Every single fact that, had it been another, would have turned the answer. The day is not tried.
    pub would_change: Vec<ChangeBody>,
}

/// A rule that spoke.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyRule)]
#[serde(deny_unknown_fields)]
pub struct RuleBody {
    /// Its name.
    pub id: String,
    /// What it rests on.
    pub citation: String,
}

/// One fact that would turn the answer.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyChange)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// Which fact.
    pub fact: &'static str,
    /// What it would have to be; `none` where it would have to be missing.
    pub to: &'static str,
    /// Why it would be refused then, if it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// Decides a question by the policies in force here. Nothing is looked up, recorded or changed, and a question holds
/// nobody's id.
#[utoipa::path(
    post, path = "/v1/policies/test", operation_id = "test_policies", tag = "policies",
    security(("bearer" = [])),
    request_body(content = QuestionBody, description = "The question", content_type = "application/json"),
    responses((status = 200, description = "The decision", body = DecisionBody), OpenQuestionProblems)
)]
pub async fn test(call: OpenCall<Test>, body: PublicJson) -> Result<Response, Refused> {
    let here = &call.here;
    let question = read(&body.0, Facts::least(here.region.0, call.day()))?;
    Ok(Json(shown(&explain(&call.policies().loaded, &question))).into_response())
}

fn shown(explanation: &Explanation) -> DecisionBody {
    let (shape, reason) = told(explanation.decision.verdict);
    let rules = explanation.decision.rules.iter();
    let changes = explanation.would_change.iter();
    DecisionBody {
        allowed: explanation.decision.allowed(),
        shape,
        reason,
        rules: rules.map(|r| RuleBody { id: r.id.clone(), citation: r.citation.clone() }).collect(),
        obligations: explanation.decision.obligations.iter().map(ToString::to_string).collect(),
        would_change: changes
            .map(|change| ChangeBody { fact: change.fact, to: change.to, reason: told(change.verdict).1 })
            .collect(),
    }
}

fn told(verdict: Verdict) -> (Option<&'static str>, Option<&'static str>) {
    match verdict {
        Verdict::Allow(shape) => (Some(shape.as_str()), None),
        Verdict::Refuse(reason) => (None, Some(reason.as_str())),
    }
}

/// The fields of a question, and what each must be.
const FIELDS: &[(&str, &str)] = &[
    ("/principal", "a role, patient or support"),
    ("/action", "an action of the access matrix"),
    ("/entity", "an entity of the access matrix"),
    ("/organisation", "a kind of organisation"),
    ("/purpose", "a code of HL7 v3-ActReason that is accepted here"),
    ("/relationship", "none, organisation, assigned, referral, self or break-glass"),
    ("/consent", "revoked, none, general or specific"),
    ("/licence", "lacking, unasked or held"),
    ("/basis", "true or false"),
    ("/category", "a category of PHI"),
    ("/home", "an ISO 3166-2 code such as US-TX"),
    ("/ingress", "an ISO 3166-2 code such as US-TX"),
    ("/service", "an ISO 3166-2 code such as US-TX"),
    ("/accessor", "an ISO 3166-2 code such as US-TX"),
    ("/day", "a day as a number, from 20000101 to 29991231"),
    ("/device", "unknown or known"),
    ("/assurance", "a number from 1 to 3"),
];

/// Reads the members of a question one by one, and notes every wrong one.
struct Reading<'a> {
    object: &'a Object,
    wrong: Vec<FieldError>,
}

impl Reading<'_> {
    /// A member that may be left out.
    fn maybe<T>(&mut self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let found = self.object.get(name)?;
        let value = read(found);
        if value.is_none() {
            self.note(name);
        }
        value
    }

    fn word<T: FromStr>(&mut self, name: &str) -> Option<T> {
        self.maybe(name, |value| value.as_str()?.parse().ok())
    }

    /// A member that must be there.
    fn required<T: FromStr>(&mut self, name: &str) -> Option<T> {
        if !self.object.has(name) {
            self.note(name);
        }
        self.word(name)
    }

    fn note(&mut self, name: &str) {
        let field = FIELDS.iter().find(|(pointer, _)| pointer.strip_prefix('/') == Some(name));
        self.wrong.extend(field.map(|&(pointer, detail)| FieldError { pointer, code: "format", detail }));
    }
}

fn read(object: &Object, least: Facts) -> Result<Request, Problem> {
    let taken: Vec<&str> = FIELDS.iter().filter_map(|(pointer, _)| pointer.strip_prefix('/')).collect();
    object.only(&taken)?;
    let mut from = Reading { object, wrong: Vec::new() };
    let within = |least: u32, most: u32| {
        move |value: &Value| {
            value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| (least..=most).contains(n))
        }
    };
    let (principal, action, entity) =
        (from.required("principal"), from.required("action"), from.required("entity"));
    let facts = Facts {
        organisation: from.word("organisation"),
        purpose: from.word("purpose"),
        relationship: from.word("relationship").unwrap_or(least.relationship),
        consent: from.word("consent").unwrap_or(least.consent),
        licence: from.word("licence").unwrap_or(least.licence),
        basis: from.maybe("basis", Value::as_bool).unwrap_or(least.basis),
        category: from.word("category").unwrap_or(least.category),
        home: from.word("home").unwrap_or(least.home),
        ingress: from.word("ingress").unwrap_or(least.ingress),
        service: from.word("service"),
        accessor: from.word("accessor"),
        day: from.maybe("day", within(20_000_101, 29_991_231)).unwrap_or(least.day),
        device: from.word("device").unwrap_or(least.device),
        assurance: from
            .maybe("assurance", within(1, 3))
            .and_then(|level| u16::try_from(level).ok())
            .unwrap_or(least.assurance),
    };
    match (principal, action, entity) {
        (Some(principal), Some(action), Some(entity)) if from.wrong.is_empty() => {
            Ok(Request { principal, action, entity, facts })
        }
        _ => Err(Problem::new(ProblemKind::Invalid).fields(from.wrong)),
    }
}

#[cfg(test)]
mod tests {
    use node_policy::Loaded;
    use serde_json::json;

    use super::*;

    fn reading(value: Value) -> Result<Request, Problem> {
        let Value::Object(map) = value else { panic!("an object") };
        let home: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        read(&Object::from(map), Facts::least(home, 20_261_122))
    }

    #[test]
    fn a_question_is_decided_and_explained() {
        let policies = Loaded::shipped().expect("it loads");
        let asks = |purpose: &str| {
            let body = json!({"principal": "provider", "organisation": "provider", "action": "read",
                "entity": "encounter", "purpose": purpose, "relationship": "organisation"});
            serde_json::to_value(shown(&explain(&policies, &reading(body).expect("a question"))))
                .expect("writes")
        };
        let yes = asks("TREAT");
        assert_eq!((&yes["allowed"], &yes["shape"]), (&json!(true), &json!("full")));
        assert_eq!(yes["rules"][0]["id"], "encounter-provider");
        let no = asks("HOPERAT");
        assert_eq!((&no["allowed"], &no["reason"]), (&json!(false), &json!("not-permitted")));
        assert_eq!(no["would_change"], json!([{"fact": "purpose", "to": "TREAT"}]));
    }

    #[test]
    fn what_is_wrong_in_a_question_is_named() {
        let whole = json!({"principal": "patient", "action": "read", "entity": "claim", "organisation": "lab",
            "purpose": "PATRQT", "relationship": "self", "consent": "general", "licence": "held", "basis": true,
            "category": "general", "home": "US-TX", "ingress": "US-CA", "service": "US-TX", "accessor": "US-NY",
            "day": 20_270_101, "device": "known", "assurance": 2});
        assert!(reading(whole.clone()).is_ok(), "the control");
        assert_eq!(whole.as_object().map(serde_json::Map::len), Some(FIELDS.len()));
        for &(pointer, detail) in FIELDS {
            for wrong in [json!(null), json!("nothing"), json!(0), json!([])] {
                let mut body = whole.clone();
                body[&pointer[1..]] = wrong.clone();
                let refused = Problem::new(ProblemKind::Invalid).field(pointer, "format", detail);
                assert_eq!(reading(body), Err(refused), "{pointer} {wrong}");
            }
        }
        assert!(reading(json!({"principal": "patient", "action": "read"})).is_err(), "no entity");
        assert!(reading(json!({"principal": "patient", "patient": "x"})).is_err(), "an unknown field");
    }
}
