//! What a node does with more than it can do, or than one caller may ask for.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use node_access::admit::Class;
use node_access::{Admission, Limits, Via};
use rates::{ClientAddress, Quota, Quotas, SIGN_INS_AT_ONCE};
use residency_policy::{Ingress, Role};
use tower::ServiceExt as _;

use crate::signin::{PASSWORD, shown};
use crate::support::{World, jurisdiction};

const TWO: Quota = Quota { per_minute: 2, burst: 2 };

async fn counting(quotas: Quotas) -> World {
    World::crowded(Limits::default(), &quotas, Admission::new(256, Duration::from_mins(1))).await
}

/// A list of regions for a key, directly from an address or through a router.
async fn regions(world: &World, key: &str, from: [u8; 4], via: bool) -> Response<Body> {
    let request = Request::get("/v1/regions").header("authorization", format!("Bearer {key}"));
    let mut request = request.body(Body::empty()).expect("a request");
    request.extensions_mut().insert(ClientAddress(IpAddr::from(from)));
    if via {
        request.extensions_mut().insert(Via(Ingress(jurisdiction("US-CA"))));
    }
    world.router.clone().oneshot(request).await.expect("an answer")
}

fn said<'r>(response: &'r Response<Body>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// A minute from a moment ago; the second in which it began is let go of whole.
fn is_a_minute(seconds: &str) -> bool {
    seconds.parse().is_ok_and(|seconds: u32| (45..=61).contains(&seconds))
}

#[tokio::test]
async fn an_organisation_that_comes_directly_is_counted_and_what_a_router_forwards_is_not() {
    let world = counting(Quotas { service: TWO, ..Quotas::NONE }).await;
    let here = [192, 0, 2, 1];
    for left in [1, 0] {
        let answer = regions(&world, "provider", here, false).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(said(&answer, "ratelimit"), format!(r#""service-minute";r={left};t=60"#));
    }
    let over = regions(&world, "auditor", here, false).await;
    assert_eq!(over.status(), StatusCode::TOO_MANY_REQUESTS, "another key of the same organisation");
    assert!(is_a_minute(said(&over, "retry-after")));
    assert_eq!(said(&over, "content-type"), "application/problem+json");
    assert_eq!(regions(&world, "stranger", here, false).await.status(), StatusCode::OK);
    let forwarded = regions(&world, "provider", here, true).await;
    assert_eq!(
        (forwarded.status(), said(&forwarded, "ratelimit")),
        (StatusCode::OK, ""),
        "its router counted it"
    );
}

#[tokio::test]
async fn an_address_that_guesses_keys_is_slowed_also_at_sign_in() {
    let world = counting(Quotas { address: TWO, ..Quotas::NONE }).await;
    for n in 0..4 {
        let answer = regions(&world, &format!("dk_guess_{n}"), [192, 0, 2, 1], false).await;
        let want = if n < 2 { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(answer.status(), want, "guess {n}");
    }
    let mut login = Request::post("/v1/auth/login").body(Body::empty()).expect("a request");
    login.extensions_mut().insert(ClientAddress(IpAddr::from([192, 0, 2, 1])));
    let answer = world.router.clone().oneshot(login).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(regions(&world, "provider", [192, 0, 2, 2], false).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_address_that_floods_sign_in_is_told_to_wait_and_another_signs_in() {
    let world = counting(Quotas { sign_in: TWO, ..Quotas::NONE }).await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let login = |from: &'static str, password: &'static str| {
        let ask = world.ask("", "POST", "/v1/auth/login").without("authorization").from(from);
        ask.json(&shown(&who, password)).send()
    };
    let (flood, other) = ("192.0.2.1", "192.0.2.2");
    for _ in 0..2 {
        login(flood, "wrong").await.is(401);
    }
    let hashed = world.desk.hashing.hashed();
    let refused = login(flood, PASSWORD).await.is(429);
    assert!(refused.header("ratelimit").starts_with(r#""sign-in-minute";r=0;"#));
    assert!(is_a_minute(refused.header("retry-after")));
    refused.problem("too-many-requests");
    assert_eq!(world.desk.hashing.hashed(), hashed, "nothing is hashed for it");
    let elsewhere = world.ask("provider", "GET", "/v1/regions").from(flood);
    elsewhere.send().await.is(200);
    login(other, PASSWORD).await.is(200);
}

#[tokio::test]
async fn one_address_takes_a_quarter_of_the_room_for_sign_ins_and_leaves_the_rest() {
    let wide = Quota { per_minute: 60_000, burst: 60_000 };
    let world = counting(Quotas { sign_in: wide, ..Quotas::NONE }).await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let login = |from: &'static str| {
        let ask = world.ask("", "POST", "/v1/auth/login").without("authorization").from(from);
        ask.json(&shown(&who, PASSWORD)).send()
    };
    let (flood, other) = ("192.0.2.1", "192.0.2.2");
    // They wait for the control plane, which never answers them.
    world.book.hangs.store(true, Ordering::SeqCst);
    let mut waiting: Vec<_> = (0..SIGN_INS_AT_ONCE).map(|_| Box::pin(login(flood))).collect();
    for one in &mut waiting {
        assert!(futures::poll!(one).is_pending());
    }
    let refused = login(flood).await.is(503);
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem("overloaded");
    world.book.hangs.store(false, Ordering::SeqCst);
    login(other).await.is(200);
    drop(waiting);
    login(flood).await.is(200);
}

#[tokio::test]
async fn one_organisation_that_fills_its_half_leaves_the_other_to_others() {
    let admission = Admission::new(16, Duration::from_mins(1));
    let world = World::crowded(Limits::default(), &Quotas::NONE, admission).await;
    let room = &world.here.admission;
    let held: Vec<_> =
        (0..8).map(|_| room.enter(Class::Read, world.org).unwrap_or_else(|_| panic!("room"))).collect();
    let refused = world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(503);
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem("overloaded");
    world.ask("stranger", "GET", "/v1/patients?home=US-TX").send().await.is(200);
    world.ask("provider", "GET", "/healthz").send().await.is(200);
    drop(held);
    world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(200);
}

#[tokio::test]
async fn people_sign_in_at_a_node_that_is_full() {
    let admission = Admission::new(16, Duration::from_mins(1));
    let world = World::crowded(Limits::default(), &Quotas::NONE, admission).await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let other = |n: u8| residency_policy::OrgId::from_bytes([n; 16]);
    let room = &world.here.admission;
    let held: Vec<_> =
        (0..16).map(|n| room.enter(Class::Read, other(n)).unwrap_or_else(|_| panic!("room"))).collect();
    let read = format!("/v1/patients/{PATIENT_OF_NOBODY}");
    let refused = world.ask("provider", "GET", &read).send().await.is(503);
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem("overloaded");
    world.login(&who, PASSWORD).await.is(200);
    for page in ["/healthz", "/readyz"] {
        world.ask("provider", "GET", page).send().await.is(200);
    }
    drop(held);
    world.ask("provider", "GET", &read).send().await.is(404);
}

#[tokio::test]
async fn searches_give_way_before_reads_and_room_comes_back_when_a_request_ends() {
    let admission = Admission::new(16, Duration::from_mins(1));
    let world = World::crowded(Limits::default(), &Quotas::NONE, admission).await;
    let room = &world.here.admission;
    let other = |n: u8| residency_policy::OrgId::from_bytes([n; 16]);
    let held: Vec<_> =
        (0..10).map(|n| room.enter(Class::Bulk, other(n)).unwrap_or_else(|_| panic!("room"))).collect();
    world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(503).problem("overloaded");
    let nobody = PATIENT_OF_NOBODY;
    for _ in 0..20 {
        // More often than there is room: each takes it only until it is answered.
        world.ask("provider", "GET", &format!("/v1/patients/{nobody}")).send().await.is(404);
    }
    drop(held);
    world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(200);
}

const PATIENT_OF_NOBODY: &str = "11111111-2222-4333-8444-555555555555";
