//! Who asks for too much is told so, and nobody else pays for it.

use http::Request;
use rates::{Quota, Quotas};

use crate::support::client::{Answer, Body, empty, get, request};
use crate::support::{KEY, Rig, at, bounds, patient, program_of};

const THREE: Quota = Quota { per_minute: 3, burst: 3 };
const OTHER_KEY: &str = "dk_other_organisation";

async fn counting(quotas: Quotas) -> Rig {
    let rig = Rig::start_counting(bounds(), &quotas).await;
    let other = program_of(9, at("US-TX").into());
    rig.view.keys.lock().expect("a lock").insert(OTHER_KEY.to_owned(), other);
    rig
}

fn with_key(key: &str) -> Request<Body> {
    let mut request = get(&format!("/v1/patients/{}", patient(1)));
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().expect("a value"));
    request
}

/// How the caller stands, without the seconds until it is otherwise.
fn left(answer: &Answer) -> &str {
    answer.header("ratelimit").split(";t=").next().unwrap_or_default()
}

fn over(answer: &Answer) -> bool {
    let over = answer.status == 429;
    if over {
        assert_eq!(answer.slug(), "too-many-requests");
        // The second in which the first of them came is let go of whole.
        let seconds: u32 = answer.header("retry-after").parse().expect("seconds");
        assert!((45..=61).contains(&seconds), "{seconds}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    over
}

#[tokio::test]
async fn a_programs_organisation_is_told_when_to_ask_again_and_another_is_served() {
    let rig = counting(Quotas { service: THREE, ..Quotas::NONE }).await;
    // Two connections, and one count.
    let (mut one, mut two) = (rig.h1().await, rig.h2().await);
    let mut said = Vec::new();
    for _ in 0..2 {
        for client in [&mut one, &mut two] {
            let answer = client.send(with_key(KEY)).await;
            assert_eq!(answer.header("ratelimit-policy"), r#""service";q=3;w=60, "service-minute";q=3;w=60"#);
            said.push((over(&answer), left(&answer).to_owned()));
        }
    }
    let (of, said): (Vec<_>, Vec<_>) = said.into_iter().unzip();
    assert_eq!(of, [false, false, false, true]);
    assert_eq!(said[0], r#""service-minute";r=2"#);
    assert_eq!(said[2..], [r#""service-minute";r=0"#; 2]);
    assert_eq!(rig.texas.arrived(), 3, "what is over does not reach the home");
    let mut client = rig.h2().await;
    assert!(over(&client.send(with_key(KEY)).await));
    let other = client.send(with_key(OTHER_KEY)).await;
    assert!(!over(&other), "another organisation, through the same connection");
    assert_eq!(left(&other), r#""service-minute";r=2"#);
}

#[tokio::test]
async fn an_address_is_counted_whoever_asks_there() {
    let rig = counting(Quotas { address: THREE, ..Quotas::NONE }).await;
    let mut client = rig.h2().await;
    for key in [KEY, "dk_guess_1", "dk_guess_2"] {
        let answer = client.send(with_key(key)).await;
        assert!(!over(&answer), "{key}");
        assert_eq!(answer.header("ratelimit"), "", "an address is not told how it stands while it may ask");
    }
    for key in [KEY, OTHER_KEY, "dk_guess_3"] {
        let answer = client.send(with_key(key)).await;
        assert!(over(&answer), "{key}");
        assert_eq!(left(&answer), r#""address-minute";r=0"#);
    }
    assert!(over(&rig.h1().await.send(with_key(KEY)).await), "another connection of the same host");
    assert_eq!(client.send(get("/healthz")).await.status, 200, "who looks after the process is not counted");
    assert_eq!(rig.texas.arrived(), 1);
}

#[tokio::test]
async fn who_floods_sign_in_is_told_to_wait_before_a_home_hears_of_it() {
    let rig = counting(Quotas { sign_in: THREE, ..Quotas::NONE }).await;
    let mut client = rig.h2().await;
    for path in ["/v1/auth/login", "/v1/auth/invitations/accept", "/v1/auth/oidc/any/start"] {
        assert!(!over(&client.send(request("POST", path, empty())).await), "{path}");
    }
    for path in ["/v1/auth/login", "/v1/auth/password", "/v1/auth/oidc/any/callback"] {
        let answer = client.send(request("POST", path, empty())).await;
        assert!(over(&answer), "{path}");
        assert_eq!(left(&answer), r#""sign-in-minute";r=0"#);
    }
    assert_eq!(rig.texas.arrived(), 3, "what is over does not reach a home");
    assert!(
        !over(&client.send(request("POST", "/v1/auth/refresh", empty())).await),
        "nobody is signed in by it"
    );
    assert!(!over(&client.send(with_key(KEY)).await));
}

#[tokio::test]
async fn without_quotas_nobody_is_counted() {
    let rig = counting(Quotas::NONE).await;
    let mut client = rig.h2().await;
    for _ in 0..20 {
        let answer = client.send(with_key(KEY)).await;
        assert!(!over(&answer));
        assert_eq!(answer.header("ratelimit-policy"), "");
    }
    assert_eq!(rig.texas.arrived(), 20);
}
