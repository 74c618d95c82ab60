//! What is refused or redirected, and that the answer says no more than it may.

use std::time::Duration;

use http::{Request, StatusCode};
use residency_policy::{Problem, ProblemKind, RequestId};
use router::respond;

use crate::support::client::{Answer, Body, full, get, raw, request};
use crate::support::home::FakeHome;
use crate::support::{KEY, KEY_OF_NEVADA, Rig, patient};

fn anonymous(mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().remove("authorization");
    request
}

fn said(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.slug())
}

fn is(answer: &Answer, status: u16, slug: &str) {
    assert_eq!(said(answer), (status, slug.to_owned()), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("strict-transport-security"), "max-age=63072000; includeSubDomains");
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
}

#[tokio::test]
async fn an_unknown_id_is_404_for_a_known_caller_and_401_for_anyone_else() {
    let rig = Rig::start().await;
    for mut client in [rig.h1().await, rig.h2().await] {
        for path in [format!("/v1/patients/{}", patient(9)), "/v1/patients/nobody".into()] {
            is(&client.send(get(&path)).await, 404, "not-found");
            let mut wrong = get(&path);
            wrong.headers_mut().insert("authorization", "Bearer dk_other".parse().unwrap());
            for request in [anonymous(get(&path)), wrong] {
                let answer = client.send(request).await;
                is(&answer, 401, "unauthenticated");
                assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"domicile\"");
            }
        }
    }
    assert_eq!(rig.texas.arrived(), 4, "the home says that it is not there, and hears of no stranger");
}

#[tokio::test]
async fn an_id_that_is_not_there_reads_like_one_that_may_not_be_seen() {
    let rig = Rig::start().await;
    let mine = "11111111-2222-4333-8444-555555555555";
    for (kind, with_key) in [(ProblemKind::NotFound, true), (ProblemKind::Unauthenticated, false)] {
        // A home answers for both ids to a caller who is known, and the router for both to a stranger.
        *rig.texas.recorded.says.lock().unwrap() = Some(kind);
        let mut answers = Vec::new();
        for n in [1, 9] {
            let key = if with_key { "authorization: Bearer dk_valid\r\n" } else { "" };
            let ask = format!(
                "GET /v1/patients/{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{key}x-request-id: {mine}\r\n\r\n",
                patient(n)
            );
            let answer = raw(rig.router, &rig.authority, ask.as_bytes()).await;
            let dateless: Vec<_> =
                answer.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect();
            answers.push(dateless);
        }
        assert_eq!(answers[0], answers[1]);
        let document = respond::problem(&Problem::new(kind), mine.parse::<RequestId>().unwrap());
        let length = http_body::Body::size_hint(document.body()).exact().unwrap();
        assert_eq!(answers[1].last().unwrap().len() as u64, length);
    }
    assert_eq!(rig.texas.arrived(), 2, "the control: the home was asked for its own");
}

#[tokio::test]
async fn a_redirect_names_the_home_and_reads_no_byte_of_the_body() {
    let rig = Rig::start().await;
    // The body is promised and withheld. Whoever waits for a byte of it waits in vain.
    let path = format!("/v1/patients/{}", patient(2));
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer dk_valid\r\ncontent-length: 500\r\n\
         expect: 100-continue\r\n\r\n"
    );
    let answer = raw(rig.router, &rig.authority, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 307 Temporary Redirect\r\n"), "{answer}");
    assert!(!answer.contains("100 Continue"), "the body was not asked for: {answer}");
    assert!(answer.contains(&format!("location: https://ny.clinic.example{path}\r\n")), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");

    // The control: a request that is forwarded does ask for its body.
    let head = head.replace(&patient(2).to_string(), &patient(1).to_string());
    let answer = raw(rig.router, &rig.authority, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n"), "{answer}");

    let region = rig.h2().await.send(get("/v1/patients?home=US-NY&limit=5")).await;
    assert_eq!(region.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(region.header("location"), "https://ny.clinic.example/v1/patients?home=US-NY&limit=5");
}

#[tokio::test]
async fn a_refused_transit_is_451() {
    let rig = Rig::start().await;
    let mut client = rig.h2().await;
    is(&client.send(get(&format!("/v1/patients/{}", patient(3)))).await, 451, "transit-refused");
    is(&client.send(request("POST", "/v1/patients?home=US-IL", full("{}"))).await, 451, "transit-refused");
    // The control: without the rule that refuses, the same request goes on to its home, where nobody listens.
    let lenient = crate::support::RULES.replace("'deny'", "'proxy'");
    *rig.view.rules.lock().unwrap() = Some(residency_policy::Ruleset::parse(&lenient).unwrap().into());
    is(&client.send(get(&format!("/v1/patients/{}", patient(3)))).await, 503, "home-unavailable");
}

#[tokio::test]
async fn whoever_shows_no_key_hears_401_whatever_would_have_followed() {
    let rig = Rig::start().await;
    let mut client = rig.h1().await;
    // Redirected, refused, unreachable, unknown: each would say something about the id.
    for n in [2, 3, 4, 9] {
        is(&client.send(anonymous(get(&format!("/v1/patients/{}", patient(n))))).await, 401, "unauthenticated");
    }
    // The control: with a key, the four differ.
    let mut told = Vec::new();
    for n in [2, 3, 4, 9] {
        told.push(client.send(get(&format!("/v1/patients/{}", patient(n)))).await.status.as_u16());
    }
    assert_eq!(told, [307, 451, 503, 404]);
}

#[tokio::test]
async fn a_home_that_the_key_does_not_serve_is_no_home_to_its_bearer() {
    let rig = Rig::start().await;
    let mut client = rig.h2().await;
    let mut ask = async |path: String, key: &str| {
        let mut request = get(&path);
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        request.headers_mut().insert("x-request-id", "11111111-2222-4333-8444-555555555555".parse().unwrap());
        let answer = client.send(request).await;
        let mut headers: Vec<_> =
            answer.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.retain(|(name, _)| name != "date");
        (answer.status.as_u16(), headers, answer.body)
    };
    let nevada = FakeHome::start(&rig.authority, "us-nv", 4).await;
    rig.view.region_at("US-NV", nevada.endpoint.clone());
    *nevada.recorded.says.lock().unwrap() = Some(ProblemKind::NotFound);
    for age in [0, 11] {
        *rig.view.age.lock().unwrap() = Duration::from_secs(age);
        let unknown = ask(format!("/v1/patients/{}", patient(9)), KEY_OF_NEVADA).await;
        assert_eq!(unknown.0, if age == 0 { 404 } else { 503 });
        // Forwarded, redirected and refused for others: not to be told from an id that is not there.
        for n in [1, 2, 3] {
            assert_eq!(ask(format!("/v1/patients/{}", patient(n)), KEY_OF_NEVADA).await, unknown, "{n}");
        }
        let nowhere = ask("/v1/patients?home=US-WY".into(), KEY_OF_NEVADA).await;
        assert_eq!(nowhere.0, 404);
        for home in ["US-TX", "US-NY", "US-IL"] {
            assert_eq!(ask(format!("/v1/patients?home={home}"), KEY_OF_NEVADA).await, nowhere, "{home}");
        }
    }
    assert_eq!(rig.texas.arrived(), 0);
    *nevada.recorded.says.lock().unwrap() = None;
    // The control: what it serves leads to its home, and another key is redirected.
    assert_eq!(ask(format!("/v1/patients/{}", patient(4)), KEY_OF_NEVADA).await.0, 200);
    assert_eq!(ask(format!("/v1/patients/{}", patient(2)), KEY).await.0, 307);
}

#[tokio::test]
async fn a_home_that_is_down_is_503_with_a_time_to_come_back() {
    let rig = Rig::start().await;
    let answer = rig.h2().await.send(get(&format!("/v1/patients/{}", patient(4)))).await;
    is(&answer, 503, "home-unavailable");
    assert_eq!(answer.header("retry-after"), "2");
}

#[tokio::test]
async fn a_home_that_does_not_answer_is_503_after_the_limit() {
    let bounds = router::config::Bounds { answer: Duration::from_millis(200), ..crate::support::bounds() };
    let rig = Rig::start_with(bounds).await;
    rig.texas.hold();
    is(&rig.h1().await.send(get(&format!("/v1/patients/{}", patient(1)))).await, 503, "home-unavailable");
    assert_eq!(rig.texas.arrived(), 1);
}

#[tokio::test]
async fn a_stale_view_proves_nothing() {
    let rig = Rig::start().await;
    let mut client = rig.h2().await;
    let unknown = format!("/v1/patients/{}", patient(9));
    is(&client.send(get(&unknown)).await, 404, "not-found");
    *rig.view.age.lock().unwrap() = Duration::from_secs(11);
    let answer = client.send(get(&unknown)).await;
    is(&answer, 503, "view-unproven");
    assert_eq!(answer.header("retry-after"), "1");
    // It is said, and is no reason to send nothing here: no other router would hear more.
    let ready = client.send(get("/readyz")).await;
    assert_eq!((ready.status, &ready.json()["view"]), (StatusCode::OK, &"old".into()));
    // A placement that is known still leads to its home: the fence there makes it safe.
    assert_eq!(client.send(get(&format!("/v1/patients/{}", patient(1)))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn rules_that_are_not_proven_let_nothing_through() {
    let rig = Rig::start().await;
    let mut client = rig.h2().await;
    let path = format!("/v1/patients/{}", patient(1));
    assert_eq!(client.send(get(&path)).await.status, StatusCode::OK);
    assert_eq!(client.send(get("/readyz")).await.status, StatusCode::OK);
    *rig.view.rules.lock().unwrap() = None;
    is(&client.send(get(&path)).await, 503, "view-unproven");
    is(&client.send(get("/v1/patients?home=US-TX")).await, 503, "view-unproven");
    is(&client.send(get("/readyz")).await, 503, "view-unproven");
    assert_eq!(client.send(get("/healthz")).await.status, StatusCode::OK);
    assert_eq!(rig.texas.arrived(), 1);
}

#[tokio::test]
async fn a_missing_or_wrong_home_is_named() {
    let rig = Rig::start().await;
    let mut client = rig.h1().await;
    for query in ["", "?home=", "?home=Texas", "?home=US-TX&home=US-NY", "?home=us-tx"] {
        let answer = client.send(get(&format!("/v1/patients{query}"))).await;
        is(&answer, 400, "bad-parameter");
        assert_eq!(answer.json()["errors"][0]["pointer"], "home", "{query}");
    }
    is(&client.send(get("/v1/patients?home=US-WY")).await, 404, "not-found");
    is(&client.send(get("/v1/nothing")).await, 404, "not-found");
    let answer = client.send(request("TRACE", "/v1/regions", full(""))).await;
    is(&answer, 405, "method-not-allowed");
    assert!(answer.header("allow").contains("PATCH"));
    let answer = client.send(request("POST", "/healthz", full(""))).await;
    is(&answer, 405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD");
}

#[tokio::test]
async fn the_metrics_page_has_no_id_on_it() {
    let rig = Rig::start().await;
    let mut client = rig.h1().await;
    client.send(get(&format!("/v1/patients/{}", patient(1)))).await;
    client.send(get(&format!("/v1/patients/{}", patient(9)))).await;
    let page = client.send(get("/metrics")).await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    for line in [
        "domicile_router_requests_total{outcome=\"forwarded\",home=\"tx\",status_class=\"2xx\"} 1",
        "domicile_router_requests_total{outcome=\"forwarded\",home=\"tx\",status_class=\"4xx\"} 1",
        "domicile_router_connections 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains(&patient(1).to_string()) && !text.contains(&patient(9).to_string()));
}

#[tokio::test]
async fn a_caller_who_goes_away_is_counted_too() {
    let rig = Rig::start().await;
    rig.texas.hold();
    let mut gone = rig.h2().await;
    let asking = tokio::spawn(async move { gone.send(get(&format!("/v1/patients/{}", patient(1)))).await });
    crate::support::until("it is at the home", || rig.texas.arrived() == 1).await;
    asking.abort();
    let mut client = rig.h2().await;
    let counted = "domicile_router_requests_total{outcome=\"broken_off\",home=\"none\",status_class=\"4xx\"} 1";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let page = client.send(get("/metrics")).await;
        if String::from_utf8_lossy(&page.body).contains(counted) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{page:?}");
    }
}

#[tokio::test]
async fn who_comes_from_where_their_organisation_lets_nobody_come_from_learns_nothing_of_a_patient() {
    let rig = Rig::start().await;
    let path = format!("/v1/patients/{}", patient(1));
    assert_eq!(rig.h1().await.send(get(&path)).await.status, StatusCode::OK, "the control");
    let org = rig.view.keys.lock().unwrap()[KEY].counted.map(rates::Caller::org).unwrap();
    rig.view.shut_out.lock().unwrap().push(org);
    for path in [path, format!("/v1/patients/{}", patient(9)), "/v1/patients/nobody".into()] {
        is(&rig.h1().await.send(get(&path)).await, 403, "address-not-allowed");
        is(&rig.h1().await.send(anonymous(get(&path))).await, 401, "unauthenticated");
    }
    assert_eq!(rig.texas.arrived(), 1);
}
