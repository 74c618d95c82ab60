//! Adds an organisation, through the control plane.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, StatusCode};
use node_access::body::{self, Object};
use node_access::doc::{IdempotencyHeader, OpenChangeProblems};
use node_access::idempotency::{IdempotencyKey, derived};
use node_access::{
    Act, Action, ChangeRefused, Credential, Disclosable, Entity, Jurisdictions, NewOrganisation, OpenCall,
    OrgView, Refused,
};
use residency_policy::{FieldError, Jurisdiction, OrgId, OrgType, Problem, ProblemKind, wire};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::organisations::{OrganisationBody, identifiers, shown};

pub(super) const NAME_EXPECTED: &str =
    "expected 1 to 80 letters, digits, spaces and & ' . , ( ) -, with a letter and at most three digits";
pub(super) const SERVES_EXPECTED: &str = "expected a list of ISO 3166-2 codes such as US-TX, each once";

/// Adding an organisation.
pub struct Create;

impl Act for Create {
    const ENTITY: Entity = Entity::Organisation;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "organisation.create";
}

/// An organisation to be added.
#[derive(Serialize, ToSchema)]
#[schema(as = NewOrganisation)]
#[serde(deny_unknown_fields)]
pub struct NewOrganisationBody {
    /// Its public name: letters, digits, spaces and `& ' . , ( ) -`, with at least one letter and at most three
    /// digits. Everybody sees it, so it names no person.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = "^[^0-9]*([0-9][^0-9]*){0,3}$",
        example = "Lone Star Family Clinic"
    )]
    pub name: String,
    /// What kind it is.
    #[serde(rename = "type")]
    #[schema(pattern = "^(provider|lab|pharmacy|marketing|auditor)$", example = "provider")]
    pub kind: String,
    /// Where it serves, as ISO 3166-2 codes, each once. Of a laboratory or a pharmacy, where it is licensed.
    #[schema(min_items = 1, max_items = 57, example = json!(["US-TX"]))]
    pub serves: Vec<String>,
    /// A laboratory's certificate (42 CFR 493). A laboratory has one, and nobody else.
    #[schema(required = false, pattern = "^[0-9]{2}D[0-9]{7}$", example = "45D0000001")]
    pub clia: String,
    /// A pharmacy's NCPDP Provider ID. A pharmacy has one, and nobody else.
    #[schema(required = false, pattern = "^[0-9]{7}$", example = "4500001")]
    pub ncpdp: String,
    /// A pharmacy's own NPI (45 CFR 162.408), whose last digit checks the others. A pharmacy has one, and nobody else here:
    /// clinicians have theirs in the directory.
    #[schema(required = false, pattern = "^[12][0-9]{9}$", example = "1234567893")]
    pub npi: String,
}

struct Change(ChangeRefused);

impl Disclosable for Change {
    fn problem(&self) -> Problem {
        match self.0 {
            ChangeRefused::NoQuorum => Problem::new(ProblemKind::ControlUnavailable).retry_after(2),
            ChangeRefused::BadName => {
                Problem::new(ProblemKind::Invalid).field("/name", "format", "is not a public name")
            }
            ChangeRefused::AlreadyExists => Problem::new(ProblemKind::IdempotencyReused),
            ChangeRefused::Full => Problem::new(ProblemKind::IllegalTransition).detail(
                "there are as many organisations as may be added here: ask whoever operates the platform",
            ),
            ChangeRefused::Other => Problem::new(ProblemKind::Internal),
        }
    }

    fn cause(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

/// Adds an organisation, for an administrator of one that treats patients: whoever operates the platform adds others
/// (`domicile orgs add`), and the last tenth of what there is room for. The answer comes when the change is durable on a
/// quorum of the control plane.
#[utoipa::path(
    post, path = "/v1/orgs", operation_id = "create_organisation", tag = "organisations",
    security(("bearer" = [])),
    params(IdempotencyHeader),
    request_body(content = NewOrganisationBody, description = "The organisation", content_type = "application/json"),
    responses(
        (status = 201, description = "It was added", body = OrganisationBody, headers(
            ("location" = String, description = "Where it is shown"),
            ("etag" = String, description = "The version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenChangeProblems
    )
)]
pub async fn create(
    call: OpenCall<Create>,
    key: IdempotencyKey,
    body: body::PublicJson,
) -> Result<Response, Refused> {
    let new = read(&body.0, id_of(&call.caller, &key))?;
    let before = call.here.directory.organisation(new.id);
    if before.as_ref().is_some_and(|before| !same(before, &new)) {
        return Err(Problem::new(ProblemKind::IdempotencyReused).into());
    }
    let index = call.here.changes.add_organisation(new.clone()).await.map_err(Change)?;
    let NewOrganisation { id, name, org_type, serves, facility } = new;
    let view = OrgView { id, name, org_type, serves, facility, active: true, version: 1, closed: None };
    let location = HeaderValue::from_str(&format!("/v1/orgs/{}", view.id));
    let headers = shown(view.version, index);
    let mut response = (StatusCode::CREATED, headers, Json(OrganisationBody::from(view))).into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, location.map_err(|_| Refused::internal("organisation.create: location"))?);
    if before.is_some() {
        headers.insert(HeaderName::from_static(wire::IDEMPOTENT_REPLAYED), HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// An organisation's id is public.
fn id_of(caller: &Credential, key: &IdempotencyKey) -> OrgId {
    OrgId::from_bytes(derived("organisation id v1", caller, key))
}

fn same(before: &OrgView, new: &NewOrganisation) -> bool {
    let kind = (before.org_type, before.facility) == (new.org_type, new.facility);
    kind && before.name == new.name && before.serves == new.serves
}

fn read(object: &Object, id: OrgId) -> Result<NewOrganisation, Problem> {
    let [clia, ncpdp, npi] = identifiers::FIELDS;
    object.only(&["name", "type", "serves", clia, ncpdp, npi])?;
    let mut wrong = Vec::new();
    let mut note = |pointer, detail| wrong.push(FieldError { pointer, code: "format", detail });
    let name = object.get("name").and_then(Value::as_str).filter(|name| is_public_name(name));
    if name.is_none() {
        note("/name", NAME_EXPECTED);
    }
    let org_type = object.get("type").and_then(Value::as_str).and_then(|text| text.parse::<OrgType>().ok());
    if org_type.is_none() {
        note("/type", "expected provider, lab, pharmacy, marketing or auditor");
    }
    let serves = object.get("serves").and_then(Value::as_array).and_then(|list| jurisdictions(list));
    if serves.is_none() {
        note("/serves", SERVES_EXPECTED);
    }
    match (name, org_type, serves, identifiers::read(object, org_type)) {
        (Some(name), Some(org_type), Some(serves), Ok(facility)) => {
            Ok(NewOrganisation { id, name: name.to_owned(), org_type, serves, facility })
        }
        (.., facility) => {
            wrong.extend(facility.err().into_iter().flatten());
            Err(Problem::new(ProblemKind::Invalid).fields(wrong))
        }
    }
}

/// The grammar of the control plane's public names.
pub(super) fn is_public_name(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || " &'.,()-".contains(c);
    let named = text.chars().any(char::is_alphabetic) && text.chars().filter(|c| c.is_numeric()).count() <= 3;
    named && text.chars().count() <= 80 && text.trim() == text && text.chars().all(allowed)
}

pub(super) fn jurisdictions(list: &[Value]) -> Option<Jurisdictions> {
    let codes: Option<Vec<Jurisdiction>> =
        list.iter().map(|item| item.as_str().and_then(|code| code.parse().ok())).collect();
    let codes = codes.filter(|codes| !codes.is_empty())?;
    let set: Jurisdictions = codes.iter().copied().collect();
    (set.iter().count() == codes.len()).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use residency_policy::{KeyId, KeyScopes, RequestId, Role};
    use serde_json::json;

    fn object(value: Value) -> Object {
        let Value::Object(map) = value else { panic!("an object") };
        Object::from(map)
    }

    fn pointers(value: Value) -> Vec<String> {
        let problem = read(&object(value), OrgId::from_bytes([1; 16])).expect_err("is refused");
        let shown = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16]))).expect("writes");
        let errors = shown["errors"].as_array().expect("a list").iter();
        errors.map(|error| error["pointer"].as_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn a_right_body_is_read_and_every_wrong_field_is_named() {
        let right =
            json!({"name": "Lone Star Family Clinic", "type": "provider", "serves": ["US-TX", "US-CA"]});
        assert!(read(&object(right), OrgId::from_bytes([1; 16])).is_ok());
        assert_eq!(pointers(json!({})), ["/name", "/type", "/serves"]);
        assert_eq!(pointers(json!({"name": "<b>", "type": "provider", "serves": ["US-TX"]})), ["/name"]);
        assert_eq!(pointers(json!({"name": "Ana 1980", "type": "auditor", "serves": ["US-TX"]})), ["/name"]);
        assert_eq!(pointers(json!({"name": "(1)", "type": "auditor", "serves": ["US-TX"]})), ["/name"]);
        assert_eq!(pointers(json!({"name": "A", "type": "Provider", "serves": ["US-TX"]})), ["/type"]);
        for serves in [json!([]), json!(["US-TX", "US-TX"]), json!(["TX"]), json!("US-TX"), json!([1])] {
            assert_eq!(pointers(json!({"name": "A", "type": "auditor", "serves": serves})), ["/serves"]);
        }
        assert_eq!(pointers(json!({"name": "A", "type": "auditor", "serves": ["US-TX"], "id": "x"})), [""]);
        let lab = |clia: &str| json!({"name": "A", "type": "lab", "serves": ["US-TX"], "clia": clia});
        let read = read(&object(lab("45D0000001")), OrgId::from_bytes([1; 16])).expect("it is right");
        assert!(read.facility.is_some_and(|facility| facility.kind() == OrgType::Lab));
        assert_eq!(pointers(lab("45D")), ["/clia"]);
        assert_eq!(pointers(json!({"type": "lab", "npi": "x"})), ["/name", "/serves", "/npi"]);
    }

    #[test]
    fn the_same_request_makes_the_same_id_and_another_key_another() {
        let caller = |org: u8| Credential {
            key: KeyId::from_bytes([2; 16]),
            session: None,
            assurance: 1,
            second_factor: false,
            user: None,
            clinician: None,
            org: OrgId::from_bytes([org; 16]),
            org_type: OrgType::Provider,
            role: Role::OrgAdmin.into(),
            jurisdictions: Jurisdictions::default(),
            scopes: KeyScopes::ALL,
        };
        let key = |text: &str| IdempotencyKey::parse(text).expect("a key");
        assert_eq!(id_of(&caller(1), &key("a")), id_of(&caller(1), &key("\"a\"")));
        assert_ne!(id_of(&caller(1), &key("a")), id_of(&caller(1), &key("b")));
        assert_ne!(id_of(&caller(1), &key("a")), id_of(&caller(2), &key("a")));
    }
}
