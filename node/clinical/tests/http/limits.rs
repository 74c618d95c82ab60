//! How long a request may take.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt as _;
use futures::stream;
use node_access::Limits;
use serde_json::json;

use crate::support::{World, ana};

fn short() -> Limits {
    Limits { request_time_max: Duration::from_millis(1_500), ..Limits::default() }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let world = World::with(short()).await;
    for path in ["/v1/patients?home=US-TX", "/v1/patients/search?home=US-TX"] {
        let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{\"given_name\":"))]);
        let body = Body::from_stream(begun.chain(stream::pending()));
        let ask = world.ask("provider", "POST", path).header("content-type", "application/json");
        ask.stream(body).await.is(408).problem("request-timeout");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended_and_503() {
    let world = World::with(short()).await;
    let body = json!({"name": "Lone Star Family Clinic", "type": "provider", "serves": ["US-TX"]});
    world.book.hangs.store(true, Ordering::SeqCst);
    let answer = world.ask("org_admin", "POST", "/v1/orgs").json(&body).send().await.is(503);
    assert_eq!(answer.header("retry-after"), "2");
    answer.problem("region-unavailable");
    // The control: nothing else was wrong.
    world.book.hangs.store(false, Ordering::SeqCst);
    world.ask("org_admin", "POST", "/v1/orgs").json(&body).send().await.is(201);
}

#[tokio::test]
async fn a_registration_that_is_ended_midway_leaves_nothing() {
    let world = World::with(short()).await;
    let mut other = world.region.as_superuser().await;
    let held = other.transaction().await.expect("begins");
    held.batch_execute("LOCK TABLE patients IN ACCESS EXCLUSIVE MODE").await.expect("locks");
    let ask = || world.ask("provider", "POST", "/v1/patients?home=US-TX").header("idempotency-key", "once");
    ask().json(&ana()).send().await.is(503).problem("region-unavailable");
    held.rollback().await.expect("unlocks");
    // The first attempt's transaction is rolled back in the background; until then the second is told to wait.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let made = loop {
        let answer = ask().json(&ana()).send().await;
        if answer.status != 409 {
            break answer;
        }
        answer.problem("idempotency-in-flight");
        assert!(tokio::time::Instant::now() < deadline, "it is never rolled back");
    };
    assert_eq!(made.is(201).header("idempotent-replayed"), "");
    let list = world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(200).json();
    assert_eq!(list["data"].as_array().expect("a list").len(), 1);
}
