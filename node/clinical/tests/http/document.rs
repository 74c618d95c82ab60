//! The OpenAPI document and the routes are one thing.

use serde_json::Value;

use crate::support::World;

const METHODS: [&str; 5] = ["get", "post", "patch", "delete", "put"];

fn document() -> Value {
    serde_json::to_value(node_clinical::openapi()).expect("writes")
}

/// (path, method, operation) of everything that is documented.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                all.push((path.clone(), method.to_uppercase(), operation.clone()));
            }
        }
    }
    assert!(all.len() > 20, "the control: there are operations");
    all
}

fn needs_key(operation: &Value) -> bool {
    operation["security"].as_array().is_some_and(|all| all.iter().any(|one| one.get("bearer").is_some()))
}

/// Operations that are told who asks by what they are shown.
fn is_at_the_door(path: &str) -> bool {
    let acts = ["/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout", "/v1/auth/invitations/accept"];
    acts.contains(&path)
        || path.starts_with("/v1/auth/passkeys")
        || path.starts_with("/v1/portal/")
        || path.ends_with("/callback")
        || path.ends_with("/start")
}

/// The path with something in place of its parameters.
fn concrete(path: &str) -> String {
    path.replace("{id}", "00000000-0000-4000-8000-000000000000")
        .replace("{encounter}", "00000000-0000-4000-8000-000000000001")
        .replace("{provider}", "00000000-0000-4000-8000-000000000002")
        .replace("{slug}", "not-found")
        .replace("{file}", "index.css")
}

#[tokio::test]
async fn every_documented_operation_is_mounted_and_a_stranger_gets_401_from_all_that_need_a_key() {
    let world = World::new().await;
    let document = document();
    let mut refused = 0;
    for (path, method, operation) in operations(&document) {
        for key in [None, Some("Bearer dk_none_such"), Some("Basic cHJvdmlkZXI6"), Some("provider")] {
            let ask = world.ask("-", &method, &concrete(&path)).without("authorization");
            let ask = match key {
                Some(key) => ask.header("authorization", key),
                None => ask,
            };
            let answer = ask.send().await;
            if needs_key(&operation) {
                assert_eq!(answer.status, 401, "{method} {path}");
                assert!(answer.header("www-authenticate").starts_with("Bearer"));
                answer.problem("unauthenticated");
                refused += 1;
            } else if is_at_the_door(&path) {
                // Nothing is shown; a provider that nobody has is none, and a browser that was not sent away is nobody.
                let status = match (method.as_str(), path.ends_with("/start")) {
                    // A challenge is nobody's, and takes no body.
                    ("POST", _) if path.ends_with("/options") => 200,
                    // No home is named, and there is no body to look at before.
                    _ if path == "/v1/portal/sign-out" => 400,
                    ("GET", true) => 404,
                    ("GET", false) => 401,
                    _ => 415,
                };
                assert_eq!(answer.status, status, "{method} {path}");
            } else if path == "/v1/csp-reports" {
                assert_eq!(answer.status, 415, "nothing is no report");
            } else if path.starts_with("/v1/audit/log/") {
                assert_eq!(answer.status, 404, "{path}: a log without a record has nothing yet");
            } else {
                assert!(
                    answer.status.is_success() || answer.status == 308,
                    "{method} {path}: {}",
                    answer.status
                );
            }
        }
    }
    assert!(refused >= 60, "the control: {refused}");
}

#[test]
fn nothing_is_open_but_what_is_listed_here() {
    let document = document();
    let mut open: Vec<_> =
        operations(&document).into_iter().filter(|(.., op)| !needs_key(op)).map(|(path, ..)| path).collect();
    open.sort();
    assert_eq!(
        open,
        [
            "/.well-known/jwks.json",
            "/docs",
            "/docs/",
            "/docs/{file}",
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/problems",
            "/problems/{slug}",
            "/readyz",
            "/v1/audit/log/checkpoint",
            "/v1/audit/log/cosigned",
            "/v1/audit/log/keys",
            "/v1/audit/log/tile/{level}/{a}",
            "/v1/audit/log/tile/{level}/{a}/{b}",
            "/v1/audit/log/tile/{level}/{a}/{b}/{c}",
            "/v1/audit/log/tile/{level}/{a}/{b}/{c}/{d}",
            "/v1/auth/invitations/accept",
            "/v1/auth/login",
            "/v1/auth/logout",
            "/v1/auth/oidc/{provider}/callback",
            "/v1/auth/oidc/{provider}/start",
            "/v1/auth/oidc/{provider}/start",
            "/v1/auth/passkeys",
            "/v1/auth/passkeys/options",
            "/v1/auth/refresh",
            "/v1/csp-reports",
            "/v1/portal/accounts",
            "/v1/portal/password",
            "/v1/portal/sign-in",
            "/v1/portal/sign-out"
        ]
    );
}

/// A route that is mounted by `OpenApiRouter::routes` is documented; no other way to mount one may be used.
#[test]
fn no_route_is_mounted_without_its_documentation() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("node/");
    let mut files = vec![root.join("clinical/src"), root.join("console/src"), root.join("access/src")];
    files.push(root.join("signin/src"));
    let mut read = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()),
            );
        } else {
            let text = std::fs::read_to_string(&path).expect("a file");
            for wrong in [".route(", ".route_service(", ".nest(", ".nest_service(", ".fallback_service("] {
                assert!(!text.contains(wrong), "{} uses {wrong}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 40, "the control: files were read");
}

#[test]
fn every_operation_says_what_it_is_takes_and_answers() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        ids.push(operation["operationId"].as_str().unwrap_or_else(|| panic!("{at}: an id")).to_owned());
        assert!(operation["summary"].is_string() || operation["description"].is_string(), "{at}");
        assert!(operation["tags"][0].is_string(), "{at}");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{at} {status}");
        }
        let parameters: Vec<_> = operation["parameters"].as_array().cloned().unwrap_or_default();
        assert!(parameters.iter().all(|p| p["description"].is_string()), "{at}");
        let takes = |name: &str, required: bool| {
            parameters.iter().any(|p| p["name"] == name && (p["required"] == true) == required)
        };
        let phi = ["/v1/patients", "/v1/break-glass", "/v1/audit/events"].iter().any(|of| path.starts_with(of));
        assert_eq!(takes("Purpose-Of-Use", true), phi, "{at}");
        // A question to the policies or to a provider is answered anew each time; a repeated sign-in is another session, and a repeated
        // invitation another link.
        let at_home = path.starts_with("/v1/portal/");
        let signs_in = path.starts_with("/v1/auth/") || at_home || path.ends_with("invitations");
        // What is shown once is kept for no repetition: a key of which nobody knows the secret is revoked.
        let secret = path.contains("/api-keys");
        // And a browser's report is counted as often as it comes.
        let kept = !path.ends_with("/test") && !signs_in && !secret && path != "/v1/csp-reports";
        assert_eq!(takes("Idempotency-Key", true), method == "POST" && kept, "{at}");
        // What is no PHI is changed in the control plane, where a version or an id makes a repetition the same change.
        assert_eq!(takes("Idempotency-Key", false), phi && (method == "PATCH" || method == "DELETE"), "{at}");
        // To revoke and to unlink is to say one thing, whatever the version.
        let said = secret || path.contains("/links/") || path.contains("/devices/");
        let put_away = !said && (path.starts_with("/v1/orgs/") || path.starts_with("/v1/users/"));
        // Whoever changes a password shows the one before, which is a version that nobody else knows.
        let versioned =
            method == "PATCH" || (method == "PUT" && !said && !signs_in) || (method == "DELETE" && put_away);
        assert_eq!(takes("If-Match", true), versioned || path.ends_with("/sign"), "{at}");
        assert_eq!(
            takes("home", true),
            at_home
                || ["/v1/patients", "/v1/patients/search", "/v1/break-glass/reviews", "/v1/audit/events"]
                    .contains(&path.as_str()),
            "{at}"
        );
        let names: Vec<_> = operation["responses"].as_object().expect("responses").keys().collect();
        let answers = |status: &str| names.iter().any(|name| *name == status);
        for status in ["400", "405", "408", "431", "503"] {
            assert!(answers(status), "{at} {status}");
        }
        assert_eq!(answers("401") && answers("403"), needs_key(&operation) || is_at_the_door(&path), "{at}");
        assert_eq!(answers("421") && answers("451"), phi, "{at}");
        let is_list =
            method == "GET" && operation["operationId"].as_str().is_some_and(|id| id.starts_with("list_"));
        if is_list && path.starts_with("/v1/") {
            assert!(takes("limit", false) && takes("cursor", false), "{at}");
        }
    }
    let many = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), many, "ids are given once");
}

/// A body with a member that the schema does not have is refused, and an answer with one is a defect.
#[test]
fn every_object_is_closed_and_described() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    assert!(schemas.len() > 20, "the control: there are schemas");
    for (name, schema) in schemas {
        // One of several schemas, or whichever of them fit: each is closed where it is described.
        if schema.get("oneOf").is_some() || schema.get("anyOf").is_some() {
            continue;
        }
        assert_eq!(schema["additionalProperties"], false, "{name}");
        assert!(schema["description"].is_string(), "{name}");
        for (member, property) in schema["properties"].as_object().expect("properties") {
            let described = property.get("description").is_some()
                || property.get("$ref").is_some()
                || property["oneOf"][0].get("description").is_some();
            assert!(described, "{name}.{member}");
        }
    }
}

#[tokio::test]
async fn the_document_that_is_served_is_the_document() {
    let world = World::new().await;
    let served = world.ask("-", "GET", "/openapi.json").without("authorization").send().await.is(200);
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.json(), document());
}

#[tokio::test]
async fn every_statement_prepares_against_the_migrated_schema() {
    let world = World::new().await;
    let client = world.region.as_app().await;
    let mut prepared = 0;
    for feature in node_clinical::features() {
        for (name, sql) in feature.statements {
            client.prepare(sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            prepared += 1;
        }
    }
    assert!(prepared > 20, "the control: {prepared}");
    assert!(client.prepare("SELECT none_such FROM patients").await.is_err(), "the control");
}
