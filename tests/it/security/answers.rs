//! What a running node shows to each role, field by field: no answer holds what the list of fields does not name for it.
//! The document is compared with the same list in `views.rs`; a view that says more than its document is found here.

use std::collections::BTreeSet;

use http::Method;
use residency_policy::{Purpose, Role};
use serde_json::{Value, json};
use tests::cluster::shared;

use super::access_matrix::{OPERATIONS, file_allows, matrix};
use super::things_of_others::{Things, filled, things};
use super::views::{by_role, listed_fields};

const HOME: &str = "US-TX";

/// An answer, and to whom it was given about what.
struct Answered {
    operation: String,
    role: &'static str,
    entity: &'static str,
    body: Value,
}

/// What is asked of the policies, which is told by a POST.
fn question() -> Value {
    json!({ "principal": "pharmacist", "action": "read", "entity": "prescription", "purpose": "TREAT",
        "relationship": "assigned" })
}

/// Every answer of success to every role, of what is asked for by GET and of trying the policies out.
async fn answers(things: &Things) -> Vec<Answered> {
    let document = shared().nobody().get("/openapi.json").await.expect("the document").json();
    let file = matrix();
    let purposes: Vec<&str> = std::iter::once("").chain(Purpose::ALL.iter().map(|p| p.as_str())).collect();
    let mut answered = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let known = OPERATIONS.iter().find(|(id, _, _)| operation["operationId"] == *id);
            let Some(&(id, entity, action)) = known else { continue };
            if method != "get" && id != "test_policies" {
                continue;
            }
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            let query = if parameters.any(|one| one["name"] == "home") { "?home=US-TX" } else { "" };
            let at = filled(path, things) + query;
            for role in Role::ALL.iter().map(|role| role.as_str()) {
                let client = shared().client_at("tx", role, HOME);
                for purpose in purposes.iter().filter(|p| file_allows(&file, role, (entity, action), p)) {
                    let client = client.purpose(purpose);
                    let asking = if method == "get" {
                        client.ask(Method::GET, &at)
                    } else {
                        client.ask(Method::POST, &at).json(&question())
                    };
                    let asking = if purpose.is_empty() { asking.without("purpose-of-use") } else { asking };
                    let answer = asking.send().await.expect("an answer");
                    if answer.status.is_success() {
                        let operation = id.to_owned();
                        answered.push(Answered { operation, role, entity, body: answer.json() });
                    }
                }
            }
        }
    }
    answered
}

/// Whatever in an answer is no object, as `address.city`, and whether nothing is there.
fn leaves(value: &Value, at: &str, found: &mut BTreeSet<(String, bool)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, &if at.is_empty() { name.clone() } else { format!("{at}.{name}") }, found);
            }
        }
        Value::Array(items) if !items.is_empty() => items.iter().for_each(|item| leaves(item, at, found)),
        _ => drop(found.insert((at.to_owned(), value.is_null() || value.is_array()))),
    }
}

/// What was shown and is not on the list.
fn unlisted(answers: &[Answered], list: &str) -> BTreeSet<String> {
    let fields = by_role(list);
    let nothing = BTreeSet::new();
    let mut found = BTreeSet::new();
    for Answered { operation, role, entity, body } in answers {
        let listed = fields.get(&((*role).to_owned(), (*entity).to_owned())).unwrap_or(&nothing);
        let mut shown = BTreeSet::new();
        leaves(body, "", &mut shown);
        for (field, is_nothing) in &shown {
            if field == "data" || field.starts_with("page.") {
                continue;
            }
            let field = field.strip_prefix("data.").unwrap_or(field);
            // Nothing may stand where there would be fields.
            let below = format!("{field}.");
            let is_listed =
                listed.contains(field) || (*is_nothing && listed.iter().any(|one| one.starts_with(&below)));
            if !is_listed {
                found.insert(format!("{operation} shows {field} to {role}"));
            }
        }
    }
    found
}

#[tokio::test]
async fn no_answer_shows_a_role_a_field_that_is_not_listed_for_it() {
    let answers = answers(&things().await).await;
    let list = listed_fields();
    assert_eq!(unlisted(&answers, &list), BTreeSet::new());

    let met: BTreeSet<(&str, &str)> = answers.iter().map(|answer| (answer.role, answer.entity)).collect();
    for pair in [
        ("provider", "patient"),
        ("provider", "encounter"),
        ("provider", "appointment"),
        ("provider", "waitlist"),
        ("provider", "consent"),
        ("provider_staff", "patient"),
        ("provider_staff", "encounter"),
        ("org_admin", "organisation"),
        ("org_admin", "policy"),
        ("marketer", "provider"),
        ("auditor", "region"),
    ] {
        assert!(met.contains(&pair), "{pair:?} is not among {met:?}");
    }

    // The control: with a field less on the list, whoever is shown it is found out.
    for (from, to, says) in [
        ("id,mrn,phone,", "id,phone,", "read_patient shows mrn to provider"),
        ("address.city,", "", "read_patient shows address.city to provider_staff"),
        ("diagnoses,", "", "read_encounter shows diagnoses to provider"),
        ("rules.citation,", "", "test_policies shows rules.citation to org_admin"),
    ] {
        let shorter = list.replacen(from, to, 1);
        assert_ne!(shorter, list, "{from}");
        let found = unlisted(&answers, &shorter);
        assert!(found.iter().any(|one| one == says), "{says}: {found:?}");
    }
}
