//! What another organisation has and what nobody has cannot be told apart through the router, whatever is wrong with
//! the request; and where any region may answer, one that is down is passed over.

use std::sync::atomic::Ordering;

use http::Request;
use residency_policy::PatientId;

use crate::support::client::{Body, Client, full, get, raw, request};
use crate::support::{KEY, KEY_OF_NEVADA, Rig, at, patient, program_of};

const ID: &str = "11111111-2222-4333-8444-555555555555";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    None,
    NoPurpose,
    NoIfMatch,
    Query,
    Body,
}

const DEFECTS: [Defect; 5] = [Defect::None, Defect::NoPurpose, Defect::NoIfMatch, Defect::Query, Defect::Body];

fn asking(method: &str, patient: PatientId, below: &str, key: Option<&str>, defect: Defect) -> Request<Body> {
    let query = if defect == Defect::Query { "?x=1" } else { "" };
    let body = match method {
        "POST" | "PATCH" if defect == Defect::Body => "[",
        "POST" | "PATCH" => "{}",
        _ => "",
    };
    let mut asking = request(method, &format!("/v1/patients/{patient}{below}{query}"), full(body));
    let headers = asking.headers_mut();
    headers.remove("authorization");
    headers.insert("x-request-id", ID.parse().unwrap());
    if let Some(key) = key {
        headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
    }
    if defect != Defect::NoPurpose {
        headers.insert("purpose-of-use", "TREAT".parse().unwrap());
    }
    if defect != Defect::NoIfMatch {
        headers.insert("if-match", "\"1\"".parse().unwrap());
    }
    asking
}

/// Status, every header but the date in their order, and the body.
async fn said(client: &mut Client, asking: Request<Body>) -> (u16, Vec<(String, String)>, String) {
    // A redirect repeats the path that was asked for.
    let id = asking.uri().path().split('/').nth(3).unwrap().to_owned();
    let answer = client.send(asking).await;
    let headers = answer.headers.iter().filter(|(name, _)| *name != "date");
    let headers = headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().replace(&id, "ID"))).collect();
    (answer.status.as_u16(), headers, String::from_utf8(answer.body.to_vec()).unwrap())
}

#[tokio::test]
async fn what_is_foreign_and_what_is_unknown_look_the_same_whatever_is_wrong() {
    let rig = Rig::start().await;
    rig.view.keys.lock().unwrap().insert("dk_texas".to_owned(), program_of(3, at("US-TX").into()));
    rig.texas.recorded.strict.store(true, Ordering::SeqCst);
    let mut seen = std::collections::BTreeSet::new();
    for key in [Some(KEY), Some("dk_texas"), Some(KEY_OF_NEVADA), Some("dk_other"), None] {
        for method in METHODS {
            for defect in DEFECTS {
                for below in ["", "/encounters", "/what/comes/later"] {
                    // The rules send what may be of any category elsewhere: only one region is then any caller's.
                    if below.contains("later") && key == Some(KEY) {
                        continue;
                    }
                    let mut answers = Vec::new();
                    for n in [1, 9] {
                        let mut client = rig.h1().await;
                        answers.push(said(&mut client, asking(method, patient(n), below, key, defect)).await);
                    }
                    assert_eq!(answers[0], answers[1], "{key:?} {method} {defect:?} {below}");
                    seen.insert(answers[0].0);
                }
            }
        }
    }
    // The control: the home had something else to say to each.
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [307, 400, 401, 403, 404, 405, 428, 503]);
}

#[tokio::test]
async fn a_stranger_hears_401_before_any_home_does_and_is_asked_for_no_body() {
    let rig = Rig::start().await;
    for method in METHODS {
        let mut answers = Vec::new();
        for path in [patient(1).to_string(), patient(2).to_string(), patient(9).to_string(), "x".into()] {
            let head = format!(
                "{method} /v1/patients/{path} HTTP/1.1\r\nhost: localhost\r\nx-request-id: {ID}\r\n\
                 content-length: 500\r\nexpect: 100-continue\r\n\r\n"
            );
            let answer = raw(rig.router, &rig.authority, head.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{method} {path}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{method} {path}: {answer}");
            let dateless = answer.lines().filter(|line| !line.starts_with("date:"));
            answers.push(dateless.collect::<Vec<_>>().join("\n"));
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{method}: {answers:?}");
    }
    assert_eq!(rig.texas.arrived(), 0);
}

#[tokio::test]
async fn an_id_that_is_nobodys_goes_only_where_the_callers_patients_may_live_and_the_rules_let_it() {
    let rig = Rig::start().await;
    let unknown = format!("/v1/patients/{}", patient(9));
    // A key for Nevada alone: Nevada is down, and no other region sees what the request carries.
    let mut asking = request("PATCH", &unknown, full("{}"));
    asking.headers_mut().insert("authorization", format!("Bearer {KEY_OF_NEVADA}").parse().unwrap());
    let answer = rig.h1().await.send(asking).await;
    assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (503, "home-unavailable"));
    assert_eq!(rig.texas.arrived(), 0);
    // A key of a place without a region: nothing can be anywhere.
    rig.view.keys.lock().unwrap().insert("dk_wyoming".to_owned(), program_of(3, at("US-WY").into()));
    let mut asking = get(&unknown);
    asking.headers_mut().insert("authorization", "Bearer dk_wyoming".parse().unwrap());
    assert_eq!(rig.h1().await.send(asking).await.status.as_u16(), 404);
    assert_eq!(rig.texas.arrived(), 0);
    // The control: a key for every place finds the region that answers, with the whole body.
    assert_eq!(rig.h1().await.send(request("PATCH", &unknown, full("{\"a\":1}"))).await.status.as_u16(), 404);
    assert_eq!(rig.texas.seen()[0].body, "{\"a\":1}");
}

#[tokio::test]
async fn a_body_that_nobody_took_goes_to_the_next_region_and_one_that_was_taken_does_not() {
    let rig = Rig::start().await;
    let mut client = rig.h1().await;
    // Three regions are down, and Texas is not the first of the four.
    let answer = client.send(request("POST", "/v1/orgs", full("{\"a\":1}"))).await;
    assert_eq!((answer.status.as_u16(), &rig.texas.seen()[0].body[..]), (200, &b"{\"a\":1}"[..]));

    rig.texas.hold();
    let asking = tokio::spawn(async move { client.send(request("POST", "/v1/orgs", full("{\"a\":2}"))).await });
    crate::support::until("it arrived", || rig.texas.seen().len() == 2).await;
    rig.texas.drain.finish(std::time::Duration::ZERO).await;
    let answer = asking.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (503, "control-unavailable"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("Idempotency-Key"));

    // Nobody is left.
    for asking in [get("/v1/regions"), request("POST", "/v1/orgs", full("{}"))] {
        let answer = rig.h2().await.send(asking).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (503, "control-unavailable"));
        assert_eq!(answer.header("retry-after"), "2");
    }
}

#[tokio::test]
async fn many_short_headers_are_a_request_and_too_many_bytes_are_ours_to_refuse() {
    let rig = Rig::start().await;
    for (value, status) in [("y".to_owned(), "200"), ("y".repeat(50), "431")] {
        let mut head = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n".to_owned();
        for n in 0..200 {
            head.extend(["x-", &n.to_string(), ": ", &value, "\r\n"]);
        }
        let answer = raw(rig.router, &rig.authority, format!("{head}\r\n").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(status == "431", answer.contains("/problems/headers-too-large"), "{answer}");
    }
}

/// What a patient shows who signed in at this home; whether it is good, only the home can say.
fn session_of(home: &str) -> String {
    format!("dom_p_{home}_{}", "a".repeat(43))
}

#[tokio::test]
async fn what_a_patients_session_asks_goes_to_its_home_whoever_is_named() {
    let rig = Rig::start().await;
    rig.texas.recorded.strict.store(true, Ordering::SeqCst);
    // Their own home, one that the rules redirect to, one that they deny, one that is down, and a place without a region.
    for (home, expected) in [("US-TX", 404), ("US-NY", 307), ("US-IL", 451), ("US-NV", 503), ("US-WY", 404)] {
        let token = session_of(home);
        let before = rig.texas.arrived();
        let mut answers = Vec::new();
        // Of that home or of another one, or nobody.
        for n in [1, 2, 3, 4, 9] {
            let asking = asking("GET", patient(n), "/encounters", Some(&token), Defect::None);
            answers.push(said(&mut rig.h1().await, asking).await);
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{home}: {answers:?}");
        assert_eq!(answers[0].0, expected, "{home}");
        assert_eq!(rig.texas.arrived() - before, if home == "US-TX" { 5 } else { 0 }, "{home}");
    }
    // In a browser's cookie it is the same; and a view that is too old says nothing of who there is.
    *rig.view.age.lock().unwrap() = std::time::Duration::from_secs(11);
    let mut answers = Vec::new();
    for n in [1, 9] {
        let mut asking = asking("GET", patient(n), "", None, Defect::None);
        let cookie = format!("__Host-domicile-patient={}", session_of("US-TX"));
        asking.headers_mut().insert("cookie", cookie.parse().unwrap());
        answers.push(said(&mut rig.h1().await, asking).await);
    }
    assert_eq!(answers[0], answers[1]);
    // What is none is nobody's, as it was.
    let arrived = rig.texas.arrived();
    for wrong in ["dom_p_", "dom_p_US-TX_short", "dom_p_us-tx_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let asking = asking("GET", patient(1), "", Some(wrong), Defect::None);
        assert_eq!(said(&mut rig.h1().await, asking).await.0, 401, "{wrong}");
    }
    assert_eq!(rig.texas.arrived(), arrived);
}

#[tokio::test]
async fn at_the_door_of_a_home_the_query_says_which_whatever_session_is_shown() {
    let rig = Rig::start().await;
    for (shown, home, status) in
        [("US-TX", "US-TX", 200), ("US-NV", "US-TX", 200), ("US-TX", "US-NY", 307), ("US-TX", "US-NV", 503)]
    {
        let mut asking = request("POST", &format!("/v1/portal/sign-out?home={home}"), full("{}"));
        asking.headers_mut().insert("authorization", format!("Bearer {}", session_of(shown)).parse().unwrap());
        assert_eq!(rig.h1().await.send(asking).await.status.as_u16(), status, "{shown} at {home}");
    }
    assert_eq!(rig.texas.arrived(), 2);
}
