//! What reaches a home, and what comes back.

use http::StatusCode;
use residency_control::peer::PeerKind;
use residency_policy::{Home, Ingress, ProblemKind, Region};

use crate::support::client::{empty, full, get, request};
use crate::support::home::FakeHome;
use crate::support::{Rig, at, patient};

#[tokio::test]
async fn a_request_reaches_its_home_over_either_protocol() {
    let rig = Rig::start().await;
    for mut client in [rig.h1().await, rig.h2().await] {
        let answer = client.send(get(&format!("/v1/patients/{}", patient(1)))).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, "{\"from\":\"texas\"}");
        assert_eq!(answer.header("etag"), "\"1\"");
        assert_eq!(answer.header("strict-transport-security"), "max-age=63072000; includeSubDomains");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!answer.headers.contains_key("domicile-secret"), "what members say to each other stays inside");

        let answer = client.send(request("POST", "/v1/patients?home=US-TX", full("{\"a\":1}"))).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let seen = rig.texas.seen();
    assert_eq!(seen[0].line, format!("GET /v1/patients/{}", patient(1)));
    assert_eq!(seen[1].line, "POST /v1/patients?home=US-TX");
    assert_eq!(seen[1].body, "{\"a\":1}");
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|seen| seen.peer.kind == PeerKind::Router(Ingress(at("US-CA")))));
}

#[tokio::test]
async fn what_only_members_may_say_is_stripped_and_said_anew() {
    let rig = Rig::start().await;
    let mut request = get(&format!("/v1/patients/{}", patient(1)));
    for (name, value) in [
        ("domicile-ingress", "US-TX"),
        ("Domicile-Epoch", "99"),
        ("domicile-client", "203.0.113.7"),
        ("domicile-anything", "x"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("connection", "x-private, domicile-ingress"),
        ("x-private", "1"),
        ("te", "trailers"),
        ("purpose-of-use", "TREAT"),
    ] {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    rig.h1().await.send(request).await;
    let headers = &rig.texas.seen()[0].headers;
    assert_eq!(headers.get_all("domicile-ingress").iter().collect::<Vec<_>>(), ["US-CA"]);
    assert_eq!(headers.get_all("domicile-epoch").iter().collect::<Vec<_>>(), ["1"]);
    assert_eq!(headers.get_all("domicile-client").iter().collect::<Vec<_>>(), ["127.0.0.1"]);
    // The control: what is the caller's own to say arrives.
    assert_eq!(headers["purpose-of-use"], "TREAT");
    for name in ["domicile-anything", "x-forwarded-for", "forwarded", "connection", "x-private", "te"] {
        assert!(!headers.contains_key(name), "{name} arrived");
    }
}

#[tokio::test]
async fn no_header_moves_a_request_to_another_home() {
    let rig = Rig::start().await;
    let mut client = rig.h1().await;
    for (name, value) in [
        ("x-region", "US-NV"),
        ("host", "nv.clinic.example"),
        ("x-original-url", "/v1/patients?home=US-NV"),
        ("x-home", "US-NV"),
        ("x-http-method-override", "DELETE"),
    ] {
        let mut request = get(&format!("/v1/patients/{}", patient(1)));
        request.headers_mut().insert(name, value.parse().unwrap());
        // Nobody listens in Nevada: a request that was moved there would be answered 503.
        assert_eq!(client.send(request).await.status, StatusCode::OK, "{name}");
    }
    let control = client.send(get(&format!("/v1/patients/{}", patient(4)))).await;
    assert_eq!(control.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_request_id_is_kept_or_made_and_is_the_same_everywhere() {
    let rig = Rig::start().await;
    let mut client = rig.h2().await;
    let mine = "11111111-2222-4333-8444-555555555555";
    for (sent, kept) in [(mine, true), ("Ana Garcia", false)] {
        let mut request = get(&format!("/v1/patients/{}", patient(1)));
        request.headers_mut().insert("x-request-id", sent.parse().unwrap());
        let answer = client.send(request).await;
        let back = answer.header("x-request-id").to_owned();
        assert_eq!(back == sent, kept);
        assert_eq!(rig.texas.seen().last().unwrap().headers["x-request-id"], back.as_str());
    }
}

#[tokio::test]
async fn a_homes_own_refusal_is_passed_on_as_it_is() {
    let rig = Rig::start().await;
    let mut client = rig.h2().await;
    for kind in [ProblemKind::Invalid, ProblemKind::Forbidden, ProblemKind::Misdirected, ProblemKind::Internal]
    {
        *rig.texas.recorded.says.lock().unwrap() = Some(kind);
        let answer = client.send(get(&format!("/v1/patients/{}", patient(1)))).await;
        assert_eq!(answer.status.as_u16(), kind.status());
        assert_eq!(answer.slug(), kind.slug());
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(rig.texas.seen().len(), 4, "each was asked once");
}

#[tokio::test]
async fn a_421_that_shows_a_stale_view_is_followed_once_when_there_is_no_body() {
    let rig = Rig::start().await;
    let nevada = FakeHome::start(&rig.authority, "us-nv", 4).await;
    rig.view.region_at("US-NV", nevada.endpoint.clone());
    *rig.texas.recorded.says.lock().unwrap() = Some(ProblemKind::Misdirected);
    let to_nevada = || *rig.view.moves_to.lock().unwrap() = Some(Home(Region(at("US-NV"))));
    let mut client = rig.h1().await;
    let path = format!("/v1/patients/{}", patient(1));

    // The control: with a body, the home's word is the last one.
    to_nevada();
    let answer = client.send(request("PATCH", &path, full("{}"))).await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(nevada.arrived(), 0);

    let answer = client.send(get(&path)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!((rig.texas.arrived(), nevada.arrived()), (2, 1));
}

#[tokio::test]
async fn what_every_region_knows_is_asked_of_one_that_answers() {
    let rig = Rig::start().await;
    let mut client = rig.h2().await;
    // Texas is the only one that answers, and neither the router's own place nor the first in order.
    for path in ["/v1/regions", "/openapi.json", "/docs/index.html", "/problems/not-found"] {
        assert_eq!(client.send(get(path)).await.status, StatusCode::OK, "{path}");
    }
    let california = FakeHome::start(&rig.authority, "us-ca", 1).await;
    rig.view.region_at("US-CA", california.endpoint.clone());
    client.send(get("/v1/orgs")).await;
    assert_eq!(california.arrived(), 1, "the router's own place is asked first");
}

#[tokio::test]
async fn a_home_is_believed_only_with_its_own_certificate() {
    let rig = Rig::start().await;
    // Someone with a good certificate of another region listens where Nevada should be.
    let impostor = FakeHome::start(&rig.authority, "us-ny", 9).await;
    rig.view.region_at("US-NV", impostor.endpoint.clone());
    let answer = rig.h1().await.send(get(&format!("/v1/patients/{}", patient(4)))).await;
    assert_eq!((answer.status.as_u16(), impostor.arrived()), (503, 0));
    // The control: the right certificate is.
    let nevada = FakeHome::start(&rig.authority, "us-nv", 4).await;
    rig.view.region_at("US-NV", nevada.endpoint.clone());
    let answer = rig.h1().await.send(get(&format!("/v1/patients/{}", patient(4)))).await;
    assert_eq!((answer.status.as_u16(), nevada.arrived()), (200, 1));
}

#[tokio::test]
async fn a_request_whose_body_was_sent_is_never_sent_again() {
    let rig = Rig::start().await;
    rig.texas.hold();
    let mut client = rig.h1().await;
    let path = format!("/v1/patients/{}", patient(1));
    let asking = tokio::spawn(async move { client.send(request("PATCH", &path, full("{\"n\":1}"))).await });
    crate::support::until("the request arrived", || !rig.texas.seen().is_empty()).await;
    // The home is cut down in the middle of its work.
    rig.texas.drain.finish(std::time::Duration::ZERO).await;
    let answer = asking.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (503, "home-unavailable"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("Idempotency-Key"));
    assert_eq!(rig.texas.arrived(), 1);
}

#[tokio::test]
async fn a_slow_home_takes_only_its_share() {
    let rig =
        Rig::start_with(router::config::Bounds { in_flight_per_home: 1, ..crate::support::bounds() }).await;
    let nevada = FakeHome::start(&rig.authority, "us-nv", 4).await;
    rig.view.region_at("US-NV", nevada.endpoint.clone());
    rig.texas.hold();
    let mut slow = rig.h1().await;
    let waiting = tokio::spawn(async move { slow.send(get(&format!("/v1/patients/{}", patient(1)))).await });
    crate::support::until("Texas is busy", || rig.texas.arrived() == 1).await;

    let mut client = rig.h1().await;
    let refused = client.send(get(&format!("/v1/patients/{}", patient(1)))).await;
    assert_eq!((refused.status.as_u16(), refused.slug().as_str()), (503, "overloaded"));
    assert_eq!(client.send(get(&format!("/v1/patients/{}", patient(4)))).await.status, StatusCode::OK);
    rig.texas.gate.add_permits(100);
    assert_eq!(waiting.await.unwrap().status, StatusCode::OK);
    assert_eq!(client.send(get(&format!("/v1/patients/{}", patient(1)))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let rig = Rig::start().await;
    for mut client in [rig.h1().await, rig.h2().await] {
        let answer = client.send(request("HEAD", "/healthz", empty())).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!((answer.header("content-length"), answer.body.len()), ("15", 0));
        let answer = client.send(request("HEAD", &format!("/v1/patients/{}", patient(1)), empty())).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    }
}

#[tokio::test]
async fn a_long_answer_arrives_whole() {
    let rig = Rig::start().await;
    for mut client in [rig.h1().await, rig.h2().await] {
        for size in [1, 64 << 10, (64 << 10) + 1, 3_000_000] {
            let answer = client.send(get(&format!("/v1/patients/{}?size={size}", patient(1)))).await;
            assert_eq!((answer.status.as_u16(), answer.body.len()), (200, size));
            assert_eq!(answer.header("content-length"), size.to_string());
        }
    }
}

#[tokio::test]
async fn a_caller_who_does_not_read_holds_up_nobody() {
    use tokio::io::AsyncWriteExt as _;
    let bounds = router::config::Bounds {
        answer: std::time::Duration::from_millis(1_500),
        in_flight_per_home: 1,
        ..crate::support::bounds()
    };
    let rig = Rig::start_with(bounds).await;
    let size = 64 << 20;
    let mut lazy = crate::support::client::tls(rig.router, &rig.authority, &[b"http/1.1"]).await;
    let ask = format!(
        "GET /v1/patients/{}?size={size} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer dk_valid\r\n\r\n",
        patient(1)
    );
    lazy.write_all(ask.as_bytes()).await.unwrap();
    crate::support::until("the home answers", || rig.texas.arrived() == 1).await;

    // While the answer is stuck the home's only place is taken; then it is given back.
    let mut client = rig.h2().await;
    let mut told = Vec::new();
    while told.last() != Some(&200) {
        assert!(told.len() < 1_000_000, "the place was never given back");
        told.push(client.send(get(&format!("/v1/patients/{}", patient(1)))).await.status.as_u16());
    }
    assert_eq!(told[0], 503, "the control: it was taken");
    let read = crate::support::client::read_all(&mut lazy).await;
    assert!(read.len() < size, "an answer that was given up must not look whole");
}
