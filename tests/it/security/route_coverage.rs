//! Every operation of the live document, asked by nobody and by a wrong key.

use http::Method;
use residency_control::Command;
use residency_policy::Role;
use serde_json::Value;
use tests::client::{Asking, Client};
use tests::clinic;
use tests::cluster::shared;
use tests::faults::wait_until;
use tests::operate;

/// Operations that anybody may ask. Adding one is a decision that this list makes visible.
pub(crate) const PUBLIC: &[&str] = &[
    "read_health",
    "read_readiness",
    "read_metrics",
    "read_openapi",
    "enter_docs",
    "read_docs",
    "read_docs_file",
    "list_problems",
    "read_problem",
    "read_signing_keys",
    "report_csp_violation",
    // Hashes and salted commitments: a log that only some may read could be another one for each of them.
    "read_log_checkpoint",
    "read_log_cosigned",
    "read_log_keys",
    "read_log_tile",
    "read_log_tile_of_two",
    "read_log_tile_of_three",
    "read_log_tile_of_four",
    // A challenge, which is nobody's.
    "begin_with_passkey",
];

/// Operations that are told who asks by what they are shown, and ask for no key.
pub(crate) const AT_THE_DOOR: &[&str] = &[
    "login",
    "refresh_session",
    "logout",
    "accept_invitation",
    "start_with_provider",
    "start_invited_with_provider",
    "finish_with_provider",
    "sign_in_with_passkey",
    "accept_portal_invitation",
    "sign_in_patient",
    "sign_out_patient",
    "change_patient_password",
];

/// One operation of the document.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// The path with random ids for its parameters and the required query.
    pub(crate) path: String,
    pub(crate) phi: bool,
}

/// Every operation of the document that the node serves, in order.
pub(crate) async fn operations() -> Vec<Operation> {
    let region = &shared().described().regions[0];
    let document = shared().nobody().at(&region.url).get("/openapi.json").await.expect("the document").json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["get", "post", "put", "patch", "delete", "head"] {
            let operation = &item[method];
            if operation.is_object() {
                found.push(read(&document, path, method, operation, &region.jurisdiction));
            }
        }
    }
    found
}

fn read(document: &Value, path: &str, method: &str, operation: &Value, home: &str) -> Operation {
    let mut filled = path.to_owned();
    while let (Some(open), Some(close)) = (filled.find('{'), filled.find('}')) {
        let value = match &filled[open..=close] {
            "{slug}" => "not-found".to_owned(),
            "{file}" => "swagger-ui.css".to_owned(),
            "{level}" => "0".to_owned(),
            _ => clinic::fresh().to_string(),
        };
        filled.replace_range(open..=close, &value);
    }
    let parameters: Vec<&Value> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|p| match p["$ref"].as_str() {
            Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(p),
            None => p,
        })
        .collect();
    let has = |name: &str| {
        parameters.iter().any(|p| p["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)))
    };
    if has("home") {
        filled = format!("{filled}?home={home}");
    } else if has("reason") {
        filled = format!("{filled}?reason=entered-in-error");
    }
    Operation {
        id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
        method: method.to_uppercase().parse().expect("a method"),
        path: filled,
        phi: has("purpose-of-use"),
    }
}

pub(crate) fn is_public(operation: &Operation) -> bool {
    PUBLIC.contains(&operation.id.as_str()) || AT_THE_DOOR.contains(&operation.id.as_str())
}

pub(crate) fn ask<'c>(client: &'c Client, operation: &Operation) -> Asking<'c> {
    let asking = client.ask(operation.method.clone(), &operation.path);
    if operation.method == Method::GET { asking } else { asking.json(&serde_json::json!({})) }
}

#[tokio::test]
async fn every_operation_that_is_not_public_asks_who_calls() {
    let operations = operations().await;
    assert!(operations.len() >= 18, "{operations:?}");
    let key = &shared().credential("provider", "US-TX").api_key;
    // `dk_`, 32 digits, `_`, the secret.
    let (id, secret) = (&key[..35], &key[36..]);
    let other = &shared().credential("org_admin", "US-TX").api_key[36..];
    let wrong = [
        ("nothing", None),
        ("garbage", Some("Bearer garbage".to_owned())),
        ("another scheme", Some(format!("Basic {key}"))),
        ("no scheme", Some(key.clone())),
        ("a truncated secret", Some(format!("Bearer {id}_{}", &secret[..secret.len() - 1]))),
        ("another key's secret", Some(format!("Bearer {id}_{other}"))),
        ("a key that was never given out", Some(format!("Bearer dk_{:032x}_{secret}", 7))),
        ("an empty secret", Some(format!("Bearer {id}_"))),
    ];
    let region = shared().described().regions[0].url.clone();
    let mut asked = 0;
    for operation in operations.iter().filter(|o| !is_public(o)) {
        assert!(!operation.id.is_empty(), "{operation:?}");
        for at in [shared().nobody().url().to_owned(), region.clone()] {
            let client = shared().nobody().at(&at);
            for (what, header) in &wrong {
                let mut asking = ask(&client, operation).header("purpose-of-use", "TREAT");
                if let Some(header) = header {
                    asking = asking.header("authorization", header);
                }
                let answer = asking.send().await.expect("an answer");
                let slug =
                    answer.problem(401).unwrap_or_else(|e| panic!("{operation:?} with {what} at {at}: {e}"));
                assert_eq!(slug, "unauthenticated");
                assert!(answer.header("www-authenticate").starts_with("Bearer"), "{:?}", answer.headers);
                asked += 1;
            }
        }
    }
    assert!(asked > 150, "{asked}");
}

/// A key that was good and was revoked is as unknown as one that never was, at every door.
#[tokio::test]
async fn a_revoked_key_is_no_key() {
    let clinic = &shared().credential("provider", "US-TX").org;
    let (key, id) = operate::mint(shared(), clinic, Role::Provider).await.expect("a key");
    let mut doors = vec![shared().nobody().url().to_owned()];
    doors.extend(shared().described().regions.iter().map(|r| r.url.clone()));
    let holder = |at: &String| shared().nobody().at(at).key(&key);
    for at in &doors {
        holder(at).get("/v1/regions").await.expect("an answer").expect(200).expect("the control: it is good");
    }
    operate::commands(shared(), "ny", &[Command::RevokeKey(id)]).await.expect("it is revoked");
    for at in &doors {
        wait_until("the key to be refused", async || {
            holder(at).get("/v1/regions").await.ok().filter(|a| a.status == 401).map(|_| ())
        })
        .await
        .unwrap_or_else(|e| panic!("{at}: {e}"));
        for operation in operations().await.iter().filter(|o| !is_public(o)) {
            let answer = ask(&holder(at), operation).send().await.expect("an answer");
            assert_eq!(answer.problem(401).expect("a problem"), "unauthenticated", "{operation:?} at {at}");
        }
    }
}

#[tokio::test]
async fn what_is_public_is_on_the_list_and_answers_anybody() {
    let region = shared().described().regions[0].url.clone();
    let client = shared().nobody().at(&region);
    let operations = operations().await;
    let public: Vec<&Operation> = operations.iter().filter(|o| is_public(o)).collect();
    assert!(public.len() >= 3, "{public:?}");
    for operation in public {
        if AT_THE_DOOR.contains(&operation.id.as_str()) {
            let answer = ask(&client, operation).send().await.expect("an answer");
            // Nothing is shown: no session begins or goes on, and there is none to end. A provider that nobody has is
            // none.
            assert!(
                matches!(answer.status.as_u16(), 204 | 401 | 404 | 422),
                "{operation:?}: {}",
                answer.text()
            );
            assert!(!answer.header("set-cookie").contains("=ey"), "{operation:?}");
            continue;
        }
        let answer = ask(&client, operation).send().await.expect("an answer");
        if operation.id == "read_log_cosigned" {
            wait_until("another region's word", async || {
                ask(&client, operation).send().await.ok().filter(|a| a.status == 200).map(|_| ())
            })
            .await
            .expect("it is cosigned");
        }
        if operation.id.starts_with("read_log_tile") {
            // A number that no log has come to.
            assert_eq!(answer.problem(404).expect("a problem"), "not-found", "{operation:?}");
            continue;
        }
        let well = answer.status.is_success() || answer.status.is_redirection();
        assert!(well, "{operation:?}: {} {}", answer.status, answer.text());
        assert_eq!(answer.header("set-cookie"), "", "{operation:?}");
    }
}
