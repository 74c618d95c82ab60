//! What each role is shown: the document of the API against the list of fields, and whatever a marketer can reach.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use residency_policy::Purpose;
use serde_json::{Value, json};
use tests::canaries::Canary;
use tests::client::Client;
use tests::clinic;
use tests::cluster::{run, shared};
use tests::workspace::root;

use super::access_matrix::{OPERATIONS, file_allows, matrix};
use super::route_coverage::{AT_THE_DOOR, PUBLIC};

/// From the least to the most. A view's shape is in its name: `…Token`, `…ListItem`, or neither.
const SHAPES: [&str; 3] = ["token", "listed", "full"];

/// What anybody is shown who need not sign in, by what it is about.
const ANYONE: &[(&str, &str)] = &[
    ("read_health", "health"),
    ("read_readiness", "health"),
    ("read_signing_keys", "signing_key"),
    ("login", "sign_in"),
    ("refresh_session", "sign_in"),
    ("start_invited_with_provider", "sign_in"),
    ("begin_with_passkey", "sign_in"),
    ("sign_in_with_passkey", "sign_in"),
    ("sign_in_patient", "sign_in"),
];

pub(crate) type Fields = BTreeMap<(String, String), BTreeSet<String>>;

fn document() -> Value {
    serde_json::from_str(&run(&["openapi"]).expect("the document")).expect("JSON")
}

pub(crate) fn listed_fields() -> String {
    std::fs::read_to_string(root().join("node/policy/fields.tsv")).expect("the list of fields")
}

/// The list, by role and entity.
pub(crate) fn by_role(list: &str) -> Fields {
    let mut fields = Fields::new();
    for line in list.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let [roles, entity, named] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a line of the list of fields: {line}")
        };
        for role in roles.split(',') {
            let key = (role.to_owned(), entity.to_owned());
            fields.entry(key).or_default().extend(named.split(',').map(str::to_owned));
        }
    }
    fields
}

/// How much the matrix shows to a role that is of the same organisation.
fn shape(matrix: &str, role: &str, entity: &str, action: &str) -> Option<usize> {
    let lines = matrix.lines().filter(|line| !line.starts_with('#'));
    let cells = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    cells
        .filter(|c| c[0] == role && c[1] == entity && c[2].split(',').any(|a| a == action))
        // Somebody who is a patient is shown what is their own.
        .filter(|c| matches!(c[4], "any" | "organisation") || (role == "patient" && c[4] == "self"))
        .filter_map(|c| SHAPES.iter().position(|shape| *shape == c[5]))
        .max()
}

/// One look at what an answer may hold.
struct Walk<'d> {
    document: &'d Value,
    shape: usize,
    /// The fields, as `address.city`.
    fields: BTreeSet<String>,
    /// The schemas that they are of.
    schemas: BTreeSet<String>,
    /// Where there is no view of this shape.
    without: BTreeSet<String>,
}

impl<'d> Walk<'d> {
    fn of(document: &'d Value, shape: usize, schema: &'d Value) -> Self {
        let mut walk = Self {
            document,
            shape,
            fields: BTreeSet::new(),
            schemas: BTreeSet::new(),
            without: BTreeSet::new(),
        };
        walk.enter(schema, "");
        walk
    }

    fn enter(&mut self, schema: &'d Value, at: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = name_of(schema);
            let there = self.document.pointer(reference.trim_start_matches('#')).expect("a schema");
            if there["properties"].is_object() {
                self.schemas.insert(name.to_owned());
            }
            return self.enter(there, at);
        }
        let either = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        let either: Vec<&Value> = either.into_iter().flatten().filter(|one| one["type"] != "null").collect();
        match either[..] {
            [] => {}
            [one] => return self.enter(one, at),
            _ => {
                let shown = either.into_iter().filter(|one| shape_of(name_of(one)) <= self.shape);
                match shown.max_by_key(|one| shape_of(name_of(one))) {
                    Some(one) => self.enter(one, at),
                    None => drop(self.without.insert(at.to_owned())),
                }
                return;
            }
        }
        if schema["items"].is_object() {
            return self.enter(&schema["items"], at);
        }
        match schema["properties"].as_object() {
            Some(properties) => {
                for (name, property) in properties {
                    self.enter(property, &if at.is_empty() { name.clone() } else { format!("{at}.{name}") });
                }
            }
            None => drop(self.fields.insert(at.to_owned())),
        }
    }

    /// The fields, without what all lists have.
    fn shown(&self) -> BTreeSet<String> {
        let fields = self.fields.iter().filter(|field| !field.starts_with("page."));
        fields.map(|field| field.strip_prefix("data.").unwrap_or(field).to_owned()).collect()
    }
}

fn name_of(schema: &Value) -> &str {
    schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default()
}

fn shape_of(name: &str) -> usize {
    if name.ends_with("Token") { 0 } else { 1 + usize::from(!name.ends_with("ListItem")) }
}

/// The schemas in which an operation answers: those of success, or those of refusals.
fn schemas<'d>(document: &'d Value, id: &str, well: bool) -> Vec<&'d Value> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let operation = operations.map(|(_, operation)| operation).find(|operation| operation["operationId"] == id);
    let responses = operation.unwrap_or_else(|| panic!("no operation {id}"))["responses"].as_object();
    responses
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2') == well)
        .flat_map(|(_, response)| response["content"].as_object().into_iter().flatten())
        .filter(|(kind, _)| kind.ends_with("json"))
        .map(|(_, content)| &content["schema"])
        .filter(|schema| schema["type"] != "object")
        .collect()
}

/// What the document shows to each role of each entity, and what the list says, where they differ.
fn differences(document: &Value, list: &str) -> Vec<String> {
    let matrix = std::fs::read_to_string(root().join("node/policy/matrix.tsv")).expect("the matrix");
    let (mut found, listed) = (Vec::new(), by_role(list));
    let mut shown = Fields::new();
    let roles: BTreeSet<&String> = listed.keys().map(|(role, _)| role).collect();
    for role in roles {
        for (operation, entity, action) in OPERATIONS {
            let Some(shape) = shape(&matrix, role, entity, action) else { continue };
            for schema in schemas(document, operation, true) {
                let walk = Walk::of(document, shape, schema);
                found.extend(walk.without.iter().map(|at| format!("{operation} as {role}: no view at {at:?}")));
                shown.entry((role.clone(), (*entity).to_owned())).or_default().extend(walk.shown());
            }
        }
    }
    for (operation, about) in ANYONE {
        for schema in schemas(document, operation, true) {
            let walk = Walk::of(document, 2, schema);
            shown.entry(("anyone".to_owned(), (*about).to_owned())).or_default().extend(walk.fields);
        }
    }
    let shared = |name: &str| Walk::of(document, 2, &document["components"]["schemas"][name]).fields;
    shown.insert(("anyone".to_owned(), "refusal".to_owned()), shared("Problem"));
    shown.insert(("anyone".to_owned(), "page".to_owned()), shared("PageInfo"));
    let nothing = BTreeSet::new();
    for key in shown.keys().chain(listed.keys()).collect::<BTreeSet<_>>() {
        let (is, may_be) = (shown.get(key).unwrap_or(&nothing), listed.get(key).unwrap_or(&nothing));
        found.extend(
            is.difference(may_be).map(|field| format!("{key:?} is shown {field}, which is not listed")),
        );
        found.extend(
            may_be.difference(is).map(|field| format!("{key:?} is listed {field}, which is not shown")),
        );
    }
    found
}

/// Every operation that answers a marketer with more than a refusal.
fn reachable() -> impl Iterator<Item = &'static str> {
    let file = matrix();
    let purposes = || Purpose::ALL.iter().map(|purpose| purpose.as_str()).chain([""]);
    let known = OPERATIONS.iter().filter_map(move |&(id, entity, action)| {
        let may = |purpose| file_allows(&file, "marketer", (entity, action), purpose);
        purposes().any(may).then_some(id)
    });
    known.chain(PUBLIC.iter().copied()).chain(AT_THE_DOOR.iter().copied())
}

/// What a marketer can reach that has no mark.
fn unmarked(document: &Value) -> (BTreeSet<String>, usize) {
    let (mut found, mut marked) = (BTreeSet::new(), BTreeSet::new());
    for operation in reachable() {
        for schema in [true, false].iter().flat_map(|well| schemas(document, operation, *well)) {
            // No policy shows a marketer more than what a list is worked with where views differ by role.
            let walk = Walk::of(document, 1, schema);
            found.extend(walk.without.iter().map(|at| format!("{operation}: no view at {at:?}")));
            for name in walk.schemas {
                if document["components"]["schemas"][&name]["x-marketer-safe"] == true {
                    marked.insert(name);
                } else {
                    found.insert(format!("{operation} shows {name}, which has no mark"));
                }
            }
        }
    }
    (found, marked.len())
}

#[test]
fn every_role_is_shown_the_fields_that_are_listed_and_no_other() {
    assert_eq!(differences(&document(), &listed_fields()), Vec::<String>::new());
}

#[test]
fn whatever_a_marketer_can_reach_is_marked() {
    let document = document();
    let (found, marked) = unmarked(&document);
    assert_eq!(found, BTreeSet::new());
    assert!(marked >= 20, "only {marked}");
    // A mark that nobody needs would be a promise that nobody looks after.
    let all = document["components"]["schemas"].as_object().expect("schemas");
    assert_eq!(all.values().filter(|schema| schema["x-marketer-safe"] == true).count(), marked);
}

#[test]
fn a_field_that_is_not_listed_and_a_schema_without_a_mark_are_found() {
    let (document, list) = (document(), listed_fields());
    let with = |act: &dyn Fn(&mut Value)| {
        let mut changed = document.clone();
        act(&mut changed);
        changed
    };
    let named = json!({ "type": "string" });
    for (schema, whose) in [("Region", "marketer"), ("PatientToken", "auditor"), ("EncounterListItem", "staff")]
    {
        let changed =
            with(&|d| d["components"]["schemas"][schema]["properties"]["family_name"] = named.clone());
        let found = differences(&changed, &list);
        assert!(found.iter().any(|f| f.contains(whose) && f.contains("family_name")), "{schema}: {found:?}");
    }
    let shorter = list.replace("id,mrn,updated_at,version", "id,updated_at,version");
    assert_ne!(shorter, list);
    assert!(differences(&document, &shorter).iter().any(|f| f.contains("mrn, which is not listed")));

    let unmarked_region = with(&|d| {
        d["components"]["schemas"]["Region"].as_object_mut().map(|schema| schema.remove("x-marketer-safe"));
    });
    let a_patient = with(&|d| {
        let answer = &mut d["paths"]["/v1/regions"]["get"]["responses"]["200"]["content"];
        answer["application/json"]["schema"] = json!({ "$ref": "#/components/schemas/Patient" });
    });
    let numbers = with(&|d| {
        let views = &mut d["components"]["schemas"]["AnyProvider"]["anyOf"];
        views.as_array_mut().expect("views").retain(|view| name_of(view) == "Provider");
    });
    for (says, changed) in [
        ("shows Region,", unmarked_region),
        ("list_regions shows Patient,", a_patient),
        ("shows Provider,", numbers),
    ] {
        let (found, _) = unmarked(&changed);
        assert!(found.iter().any(|f| f.contains(says)), "{says}: {found:?}");
    }
}

/// The names of all fields in an answer.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                found.insert(name.clone());
                names(field, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

/// Asks everything there is, with these ids in the paths, and returns each answer with its operation and as whom.
async fn ask_all(client: &Client, ids: &[(&str, &str)], home: &str) -> Vec<(String, u16, String)> {
    let document = document();
    let mut answers = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let Some(id) = operation["operationId"].as_str() else { continue };
            let mut filled = path.clone();
            for (at, value) in ids {
                filled = filled.replace(at, value);
            }
            while let (Some(open), Some(close)) = (filled.find('{'), filled.find('}')) {
                filled.replace_range(open..=close, &clinic::fresh().to_string());
            }
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            if parameters.any(|parameter| parameter["name"] == "home") {
                filled = format!("{filled}?home={home}");
            }
            for purpose in Purpose::ALL {
                let client = client.purpose(purpose.as_str());
                let asking = client.ask(method.clone(), &filled);
                let asking = if method == Method::GET { asking } else { asking.json(&json!({})) };
                let answer = asking.send().await.expect("an answer");
                let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}\n"));
                let whole = headers.collect::<String>() + &answer.text();
                answers.push((id.to_owned(), answer.status.as_u16(), whole));
                if answer.status.is_success() && answer.header("content-type").ends_with("/json") {
                    answers.push((format!("{id} fields"), 200, answer.text()));
                }
            }
        }
    }
    answers
}

#[tokio::test]
async fn no_answer_to_a_marketer_holds_anything_of_a_patient() {
    let home = "US-TX";
    let region =
        shared().described().regions.iter().find(|r| r.jurisdiction == home).expect("a region").clone();
    let doctor = shared().client("provider", home);
    let canary = Canary::new(home, 571);
    let patient = clinic::register(&doctor, home, &canary.person).await.expect("it is registered");
    let text = &canary.encounter;
    let encounter =
        clinic::open_encounter(&doctor, &patient, home, &text.reason, &text.note).await.expect("it is open");
    let ids = [("/v1/patients/{id}", patient.path.as_str()), ("{encounter}", encounter.id.as_str())];
    let hit = |whole: &str| canary.markers().into_iter().find(|(_, marker)| whole.contains(marker.as_str()));

    let marketer = shared().client_at(&region.name, "marketer", home);
    let allowed: BTreeSet<String> = by_role(&listed_fields())
        .into_iter()
        .filter(|((role, _), _)| role == "marketer" || role == "anyone")
        .flat_map(|(_, fields)| fields)
        .flat_map(|field| field.split('.').map(str::to_owned).collect::<Vec<_>>())
        .chain(["data", "page"].map(str::to_owned))
        .collect();
    let (mut well, mut refused) = (0, 0);
    for (operation, status, whole) in ask_all(&marketer, &ids, home).await {
        assert_eq!(hit(&whole).map(|(what, _)| what), None, "{operation}: {status}");
        if operation.ends_with(" fields") && !operation.starts_with("read_openapi") {
            let mut found = BTreeSet::new();
            names(&serde_json::from_str(&whole).expect("JSON"), &mut found);
            let more: Vec<_> = found.difference(&allowed).collect();
            assert!(more.is_empty(), "{operation}: {more:?} are not listed for marketers");
        }
        well += usize::from(status < 300);
        refused += usize::from(status == 403);
    }
    assert!(well > 40 && refused > 200, "{well} answered, {refused} refused");

    // The control: the same questions, asked by whoever treats, show the patient.
    let whose = |(operation, _, whole): (String, u16, String)| hit(&whole).map(|_| operation);
    let shown: BTreeSet<String> =
        ask_all(&doctor.at(&region.url), &ids, home).await.into_iter().filter_map(whose).collect();
    for operation in ["read_patient", "list_patients", "read_encounter"] {
        assert!(shown.contains(operation), "{operation} is not among {shown:?}");
    }
}
