//! That every answer of a node protects who reads it, whatever its status is.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderMap;
use node_access::{Admission, Limits};
use rates::{Quota, Quotas};
use serde_json::json;

use crate::support::{World, ana, id};

/// What every answer says, and exactly so. Pages of our own have a policy for content of their own.
const SAID: [(&str, &str); 7] = [
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Which of them an answer lacks, or says otherwise.
fn lacks(headers: &HeaderMap) -> Vec<&'static str> {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut lacks: Vec<_> =
        SAID.iter().filter(|(name, value)| said(name) != *value).map(|(name, _)| *name).collect();
    let policy = said("content-security-policy");
    let nothing_foreign = policy.starts_with("default-src 'none'") && !policy.contains("unsafe-");
    if !nothing_foreign || !policy.contains("frame-ancestors 'none'") {
        lacks.push("content-security-policy");
    }
    lacks
}

#[tokio::test]
async fn every_answer_protects_who_reads_it_whatever_its_status_is() {
    let world = World::new().await;
    let real = id(&world.register(&ana()).await);
    let (chart, patients) = (format!("/v1/patients/{real}"), "/v1/patients?home=US-TX");
    let ask = |method: &str, path: &str| world.ask("provider", method, path);
    let asked = [
        (200, ask("GET", &chart)),
        (200, ask("GET", patients)),
        (200, ask("GET", "/v1/regions")),
        (200, ask("GET", "/healthz")),
        (200, ask("GET", "/metrics")),
        (200, ask("GET", "/openapi.json")),
        (200, ask("GET", "/problems")),
        (200, ask("GET", "/.well-known/jwks.json")),
        (201, ask("POST", patients).json(&ana())),
        (204, ask("POST", "/v1/auth/logout").without("authorization").json(&json!({}))),
        (308, ask("GET", "/docs")),
        (400, ask("GET", "/v1/patients?home=TX")),
        (401, world.ask("nobody", "GET", &chart)),
        (403, ask("GET", &chart).without("purpose-of-use")),
        (404, ask("GET", "/nothing/of/ours")),
        (404, ask("GET", "/v1/patients/11111111-2222-4333-8444-555555555555")),
        (405, ask("PUT", &chart)),
        (412, ask("PATCH", &chart).header("if-match", "\"99\"").json(&json!({"sex": "other"}))),
        (413, ask("POST", patients).raw(vec![b' '; 300_000])),
        (415, ask("POST", patients).json(&ana()).header("content-type", "text/plain")),
        (422, ask("POST", patients).json(&json!({"given_name": ""}))),
        (428, ask("PATCH", &chart).json(&json!({"sex": "other"}))),
    ];
    let mut classes = BTreeSet::new();
    for (status, ask) in asked {
        let answer = ask.send().await.is(status);
        assert_eq!(lacks(&answer.headers), [""; 0], "{status}: {:?}", answer.headers);
        assert_eq!(answer.header("cache-control"), "no-store", "{status}");
        classes.insert(status / 100);
        // The control: one that is missing is found.
        let mut fewer = answer.headers;
        fewer.remove("x-frame-options");
        assert_eq!(lacks(&fewer), ["x-frame-options"]);
    }
    world.book.quorum.store(false, Ordering::SeqCst);
    let unready = ask("GET", "/readyz").send().await.is(503);
    assert_eq!((lacks(&unready.headers), unready.header("cache-control")), (Vec::new(), "no-store"));
    classes.insert(unready.status.as_u16() / 100);
    assert_eq!(classes, BTreeSet::from([2, 3, 4, 5]));
}

#[tokio::test]
async fn the_pages_of_the_documentation_are_protected_too() {
    let world = World::new().await;
    for path in ["/docs/", "/docs/swagger-ui.css", "/problems/not-found"] {
        let answer = world.ask("provider", "GET", path).send().await.is(200);
        assert_eq!(lacks(&answer.headers), [""; 0], "{path}: {:?}", answer.headers);
    }
}

#[tokio::test]
async fn who_asks_for_too_much_gets_a_protected_answer() {
    let one = Quota { per_minute: 1, burst: 1 };
    let quotas = Quotas { address: one, ..Quotas::NONE };
    let world = World::crowded(Limits::default(), &quotas, Admission::new(16, Duration::from_mins(1))).await;
    let ask = || world.ask("provider", "GET", "/v1/regions").from("192.0.2.1").send();
    ask().await.is(200);
    let over = ask().await.is(429);
    assert_eq!((lacks(&over.headers), over.header("cache-control")), (Vec::new(), "no-store"));
}
