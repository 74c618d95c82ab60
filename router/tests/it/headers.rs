//! That every answer of the router, its own and a home's, protects who reads it, whatever its status is.

use std::collections::BTreeSet;

use http::HeaderMap;
use rates::{Quota, Quotas};
use residency_policy::ProblemKind;

use crate::support::client::{Answer, full, get, raw, request};
use crate::support::{Rig, bounds, patient};

/// What every answer says, and exactly so.
const SAID: [(&str, &str); 9] = [
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
];

/// Which of them an answer lacks, says otherwise, or says twice.
fn lacks(headers: &HeaderMap) -> Vec<&'static str> {
    let says =
        |name: &str, value: &str| headers.get_all(name).iter().map(|said| said.to_str().unwrap()).eq([value]);
    SAID.iter().filter(|(name, value)| !says(name, value)).map(|(name, _)| *name).collect()
}

fn protected(answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(lacks(&answer.headers), [""; 0], "{answer:?}");
}

#[tokio::test]
async fn what_the_router_answers_itself_is_protected() {
    let rig = Rig::start().await;
    let chart = |n| format!("/v1/patients/{}", patient(n));
    let mut classes = BTreeSet::new();
    for mut client in [rig.h1().await, rig.h2().await] {
        let mut anonymous = get(&chart(1));
        anonymous.headers_mut().remove("authorization");
        let mut heavy = get("/healthz");
        heavy.headers_mut().insert("x-long", "x".repeat(9_000).parse().unwrap());
        for (status, asking) in [
            (200, get("/healthz")),
            (200, get("/readyz")),
            (200, get("/metrics")),
            (307, get(&chart(2))),
            (400, get("/v1/patients")),
            (401, anonymous),
            (404, get("/nothing/of/ours")),
            (405, request("POST", "/healthz", full(""))),
            (414, get(&format!("/docs/{}", "x".repeat(600)))),
            (431, heavy),
            (451, get(&chart(3))),
            (503, get(&chart(4))),
        ] {
            protected(&client.send(asking).await, status);
            classes.insert(status / 100);
        }
    }
    assert_eq!(classes, BTreeSet::from([2, 3, 4, 5]));
    assert_eq!(rig.texas.arrived(), 0, "none of it was a home's");
}

#[tokio::test]
async fn what_a_home_answers_is_protected_whatever_it_says() {
    let rig = Rig::start().await;
    let mut client = rig.h2().await;
    let chart = format!("/v1/patients/{}", patient(1));
    let right = client.send(get(&chart)).await;
    protected(&right, 200);
    // The control: one that is missing, or is there twice, is found.
    let mut other = right.headers;
    other.remove("x-frame-options");
    other.append("cache-control", "public".parse().unwrap());
    assert_eq!(lacks(&other), ["x-frame-options", "cache-control"]);
    for kind in ProblemKind::ALL {
        *rig.texas.recorded.says.lock().unwrap() = Some(*kind);
        protected(&client.send(get(&chart)).await, kind.status());
    }
}

#[tokio::test]
async fn who_asks_for_too_much_gets_a_protected_answer() {
    let one = Quota { per_minute: 1, burst: 1 };
    let rig = Rig::start_counting(bounds(), &Quotas { address: one, ..Quotas::NONE }).await;
    let mut client = rig.h2().await;
    let chart = format!("/v1/patients/{}", patient(1));
    protected(&client.send(get(&chart)).await, 200);
    protected(&client.send(get(&chart)).await, 429);
}

/// What is no HTTP is no request: the parser answers it, and there is nothing in that to be protected.
#[tokio::test]
async fn an_answer_without_these_headers_has_nothing_in_it() {
    let rig = Rig::start().await;
    for nonsense in ["NONSENSE\r\n\r\n", "GET /healthz HTTP/9.9\r\nhost: a\r\n\r\n", "GET\0/ HTTP/1.1\r\n\r\n"]
    {
        let answer = raw(rig.router, &rig.authority, nonsense.as_bytes()).await;
        let bare = answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n");
        assert!(answer.is_empty() || bare, "{answer}");
    }
}
