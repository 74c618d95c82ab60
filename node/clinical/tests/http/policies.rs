//! The access policies are exchanged while requests are answered.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use node_access::Sources;
use node_access::policies::{InForce, NotInForce};
use serde_json::{Value, json};

use crate::support::{Answer, World, ana, id};

/// The shipped set without one of its files.
fn without(name: &str, version: u64) -> Arc<InForce> {
    let mut sources = Sources::shipped();
    let before = sources.policies.len();
    sources.policies.retain(|file| file.name != name);
    assert_eq!(sources.policies.len() + 1, before, "{name} is a file of the set");
    Arc::new(InForce { version: Some(version), loaded: sources.load().expect("it loads") })
}

/// Whether a pharmacist may read a prescription that is assigned to the pharmacy.
fn question() -> Value {
    json!({"principal": "pharmacist", "action": "read", "entity": "prescription", "purpose": "TREAT",
        "relationship": "assigned"})
}

fn allowed(answer: Answer) -> bool {
    answer.is(200).json()["allowed"].as_bool().expect("yes or no")
}

#[tokio::test]
async fn while_no_policies_are_proven_nothing_is_decided_and_nothing_is_told() {
    let world = World::new().await;
    let known = id(&world.register(&ana()).await);
    let path = format!("/v1/patients/{known}");
    for refused in [NotInForce::NotSigned, NotInForce::NotInstalled, NotInForce::Unfit] {
        let before = world.here.policies.current().expect("a set decides");
        world.here.policies.put(Err(refused));
        for (method, path) in [("GET", path.as_str()), ("GET", "/v1/orgs"), ("POST", "/v1/policies/test")] {
            let answer = world.ask("org_admin", method, path).json(&question()).send().await.is(503);
            assert_eq!(answer.header("retry-after"), "1");
            answer.problem("policies-unproven");
        }
        let answer = world.ask("provider", "GET", &path).without("purpose-of-use").send().await.is(503);
        assert!(answer.problem("policies-unproven").get("errors").is_none(), "no purpose is named");
        // Who asks comes before what may be done.
        world.ask("nobody-known", "GET", &path).send().await.is(401);
        world.here.policies.put(Ok(before));
        world.ask("provider", "GET", &path).send().await.is(200);
    }
}

#[tokio::test]
async fn other_policies_decide_the_next_request() {
    let world = World::new().await;
    let path = format!("/v1/patients/{}", id(&world.register(&ana()).await));
    let shipped = world.here.policies.current().expect("a set decides");
    world.ask("provider", "GET", &path).send().await.is(200);
    world.here.policies.put(Ok(without("care.cedar", 1)));
    world.ask("provider", "GET", &path).send().await.is(403).problem("forbidden");
    world.here.policies.put(Ok(shipped));
    world.ask("provider", "GET", &path).send().await.is(200);
}

/// The policies are exchanged when the body is asked for: the caller was let in by the old set by then, and the
/// question is decided after it.
#[tokio::test]
async fn a_request_is_decided_by_one_set_from_its_beginning_to_its_end() {
    let world = World::new().await;
    let body = Bytes::from(question().to_string());
    let ask = || world.ask("auditor", "POST", "/v1/policies/test").header("content-type", "application/json");
    let exchanging = |next: Arc<InForce>| {
        let (policies, body) = (Arc::clone(&world.here.policies), body.clone());
        Body::from_stream(futures::stream::once(async move {
            policies.put(Ok(next));
            Ok::<_, Infallible>(body)
        }))
    };
    let shipped = world.here.policies.current().expect("a set decides");
    assert!(allowed(ask().stream(exchanging(without("pharmacy.cedar", 1))).await), "by the old set");
    assert_eq!(world.here.policies.current().expect("a set decides").version, Some(1), "the control");
    assert!(!allowed(ask().json(&question()).send().await), "the next one by the new set");
    assert!(!allowed(ask().stream(exchanging(shipped)).await), "by the set of its beginning");
    assert!(allowed(ask().json(&question()).send().await));
}
