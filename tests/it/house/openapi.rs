//! The API's document is generated, checked in, valid, and complete.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::cluster::{run, shared};
use tests::rust_source::Kind;
use tests::tools::tool;
use tests::workspace::root;

fn generated() -> String {
    run(&["openapi"]).expect("the document")
}

fn operations(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if ["get", "post", "put", "patch", "delete", "head", "options"].contains(&method.as_str()) {
                found.push((format!("{} {path}", method.to_uppercase()), operation.clone()));
            }
        }
    }
    found
}

/// Operations that are told who asks by what they are shown.
const AT_THE_DOOR: &[&str] = &[
    "login",
    "refresh_session",
    "logout",
    "accept_invitation",
    "start_with_provider",
    "start_invited_with_provider",
    "finish_with_provider",
    "begin_with_passkey",
    "sign_in_with_passkey",
    "accept_portal_invitation",
    "sign_in_patient",
    "sign_out_patient",
    "change_patient_password",
];

/// What is missing in a document, as sentences.
fn gaps(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    if !document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1.")) {
        found.push("it is not OpenAPI 3.1".to_owned());
    }
    for (name, operation) in operations(document) {
        match operation["operationId"].as_str() {
            None => found.push(format!("{name} has no operationId")),
            Some(id) if !ids.insert(id.to_owned()) => found.push(format!("{id} is the id of two operations")),
            Some(_) => {}
        }
        if operation["summary"].as_str().or(operation["description"].as_str()).is_none_or(str::is_empty) {
            found.push(format!("{name} does not say what it does"));
        }
        let responses = operation["responses"].as_object().cloned().unwrap_or_default();
        if !responses.keys().any(|s| s.starts_with('2') || s.starts_with('3')) {
            found.push(format!("{name} does not say how it succeeds"));
        }
        for (status, response) in &responses {
            if response["description"].as_str().is_none_or(str::is_empty) {
                found.push(format!("{name} does not say what {status} means"));
            }
        }
        // What asks for a key says so, and says what happens without one.
        let requirements = operation["security"].as_array().into_iter().flatten();
        let closed = requirements.filter_map(Value::as_object).any(|r| !r.is_empty());
        // What is shown in the body, or in a cookie, is told by no scheme of the document.
        let at_the_door = operation["operationId"].as_str().is_some_and(|id| AT_THE_DOOR.contains(&id));
        if (at_the_door && closed) || (!at_the_door && closed != responses.contains_key("401")) {
            found.push(format!("{name} says of 401 and of its security two different things"));
        }
        // Browsers report what they refused without saying whose they are.
        let reported = operation["operationId"] == "report_csp_violation";
        // The log is for strangers to check.
        let is_log = name.starts_with("GET /v1/audit/log/");
        if name.contains("/v1/") && !closed && !at_the_door && !reported && !is_log {
            found.push(format!("{name} asks for no key"));
        }
    }
    found
}

fn validate(text: &str) -> bool {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openapi-{}.json", std::process::id()));
    std::fs::write(&path, text).expect("a file");
    let output = Command::new(tool("openapi-spec-validator").expect("the validator"))
        .args(["--schema", "3.1"])
        .arg(&path)
        .output()
        .expect("the validator runs");
    let _ = std::fs::remove_file(&path);
    output.status.success()
}

#[test]
fn the_checked_in_document_is_the_generated_one() {
    let checked_in = std::fs::read_to_string(root().join("node/openapi.json")).expect("node/openapi.json");
    let same = checked_in.trim_end() == generated().trim_end();
    assert!(same, "node/openapi.json is not what the handlers say: `domicile openapi > node/openapi.json`");
}

#[test]
fn the_document_is_complete() {
    let document: Value = serde_json::from_str(&generated()).expect("JSON");
    assert!(operations(&document).len() >= 20, "{:?}", operations(&document));
    assert_eq!(gaps(&document), Vec::<String>::new());
}

#[test]
fn an_independent_validator_takes_the_document_and_refuses_a_broken_one() {
    let text = generated();
    assert!(validate(&text), "openapi-spec-validator refuses the document");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let mut broken = document.clone();
    let (_, item) = broken["paths"].as_object_mut().expect("paths").iter_mut().next().expect("a path");
    let (_, operation) = item.as_object_mut().expect("methods").iter_mut().next().expect("a method");
    let (_, response) =
        operation["responses"].as_object_mut().expect("responses").iter_mut().next().expect("one");
    response.as_object_mut().expect("an object").remove("description");
    assert!(!validate(&broken.to_string()), "a response without a description was taken");
    assert!(gaps(&broken).iter().any(|g| g.contains("does not say what")), "and was not missed here");
}

#[test]
fn a_gap_is_found() {
    let document: Value = serde_json::from_str(&generated()).expect("JSON");
    let change = |act: &dyn Fn(&mut Value)| {
        let mut changed = document.clone();
        act(&mut changed["paths"]["/v1/patients"]["get"]);
        gaps(&changed)
    };
    let without = |key: &'static str| {
        change(&|o| {
            o.as_object_mut().map(|o| o.remove(key));
        })
    };
    let planted = [
        ("no operationId", without("operationId")),
        ("does not say how it succeeds", without("responses")),
        ("two operations", change(&|o| o["operationId"] = "create_patient".into())),
        ("two different things", without("security")),
        ("asks for no key", change(&|o| o["security"] = Value::Array(Vec::new()))),
    ];
    for (says, found) in planted {
        assert!(found.iter().any(|g| g.contains(says)), "{says}: {found:?}");
    }
}

#[tokio::test]
async fn every_door_serves_the_same_document() {
    let checked_in: Value = serde_json::from_str(&generated()).expect("JSON");
    let mut doors = vec![shared().nobody()];
    doors.extend(shared().described().regions.iter().map(|r| shared().nobody().at(&r.url)));
    for door in doors {
        let served = door.get("/openapi.json").await.expect("an answer").expect(200).expect("the document");
        assert_eq!(served.json(), checked_in, "{}", door.url());
    }
}

/// The documentation's page loads nothing from elsewhere.
#[tokio::test]
async fn the_documentation_is_whole() {
    let door = shared().nobody();
    let page = door.get("/docs/").await.expect("an answer").expect(200).expect("the page");
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    assert!(page.header("content-security-policy").contains("default-src"), "{:?}", page.headers);
    let text = page.text();
    for part in text.split(['"', '\'']).filter(|p| p.contains("//")) {
        assert!(!part.starts_with("http") && !part.starts_with("//"), "the page names {part}");
    }
    let ends = |p: &str| Path::new(p).extension().is_some_and(|e| e == "js" || e == "css");
    let files = text.split(['"', '\'']).filter(|p| ends(p));
    let mut count = 0;
    for file in files {
        let path = format!("/docs/{}", file.trim_start_matches("./").trim_start_matches("/docs/"));
        door.get(&path).await.expect("an answer").expect(200).unwrap_or_else(|e| panic!("{path}: {e:#}"));
        count += 1;
    }
    assert!(count >= 2, "{text}");
    let problems = door.get("/problems/misdirected").await.expect("an answer").expect(200).expect("the page");
    assert!(problems.text().contains("421"), "{}", problems.text());
}

/// A handler that is written and not mounted is dead, and one that is mounted past the document is hidden.
#[test]
fn every_handler_that_is_written_is_mounted() {
    let document: Value = serde_json::from_str(&generated()).expect("JSON");
    let mounted: std::collections::BTreeSet<String> = operations(&document)
        .iter()
        .filter_map(|(_, operation)| operation["operationId"].as_str().map(str::to_owned))
        .collect();
    let sources = tests::workspace::sources();
    let nodes = sources.iter().filter(|s| s.name().starts_with("node/") && !s.name().contains("/tests/"));
    let mut written = std::collections::BTreeSet::new();
    for source in nodes {
        let tokens = source.production();
        for (at, token) in tokens.iter().enumerate() {
            if let (true, Some(Kind::Text(id))) =
                (token.is_word("operation_id"), tokens.get(at + 2).map(|t| &t.kind))
            {
                written.insert(id.clone());
            }
            let hidden =
                ["route", "route_service", "nest_service", "fallback_service"].iter().any(|w| token.is_word(w));
            let called =
                at > 0 && tokens[at - 1].is_mark('.') && tokens.get(at + 1).is_some_and(|t| t.is_mark('('));
            assert!(!(hidden && called), "{}:{} mounts a route past the document", source.name(), token.line);
        }
    }
    assert_eq!(written, mounted);
}
