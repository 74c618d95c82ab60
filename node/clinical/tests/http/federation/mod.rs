//! Coming in through an identity provider, over HTTP: a browser that is sent away and comes back.

mod fresh;
mod github;
mod groups;
mod issuer;
mod people;
mod providers;
mod real;
mod server;

use residency_policy::Role;
use serde_json::{Value, json};
use url::Url;

use crate::signin::Somebody;
use crate::support::{Answer, ORIGIN, World};
use issuer::{CLIENT, Issuer, SECRET};

/// What is wrong, and how it is made so.
type Wrong = (&'static str, fn(&mut Value));

/// A browser that was sent away.
pub(crate) struct Away {
    location: Url,
    cookie: String,
}

impl Away {
    fn of(answer: &Answer, location: &str) -> Self {
        let mut lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text"));
        let line = lines.next().expect("a cookie");
        assert!(lines.next().is_none());
        for part in
            ["__Host-domicile-flow=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Max-Age=600"]
        {
            assert!(line.contains(part), "{line}");
        }
        let cookie = line.split(';').next().expect("a pair").to_owned();
        Self { location: location.parse().expect("an address"), cookie }
    }

    pub(crate) fn parameter(&self, name: &str) -> String {
        let mut pairs = self.location.query_pairs();
        pairs.find(|(there, _)| there == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

/// A query of these pairs.
fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The first parts of the cookies that an answer sets, without those that it takes away.
fn jar(answer: &Answer) -> String {
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text"));
    let kept = lines.filter(|line| !line.contains("Max-Age=0")).filter_map(|line| line.split(';').next());
    kept.collect::<Vec<_>>().join("; ")
}

impl World {
    fn now(&self) -> i64 {
        self.here.clock.now().as_second()
    }

    /// Adds a provider to the organisation and returns its id.
    async fn provider(&self, body: &Value) -> String {
        let path = format!("/v1/orgs/{}/identity-providers", self.org);
        let answer = self.ask("sure_admin", "POST", &path).without("purpose-of-use").json(body).send().await;
        answer.is(201).json()["id"].as_str().expect("an id").to_owned()
    }

    /// An issuer of the test's own, which may vouch for the addresses of `elm.example`.
    async fn with_issuer(&self) -> (Issuer, String) {
        let issuer = Issuer::start().await;
        let body = json!({
            "preset": "custom", "issuer": issuer.server.url, "client_id": CLIENT, "client_secret": SECRET,
            "mail_domain": "elm.example"
        });
        let id = self.provider(&body).await;
        (issuer, id)
    }

    /// A request of a browser that is not signed in.
    async fn browse(&self, path: &str, cookie: Option<&str>) -> Answer {
        let ask = self.ask("", "GET", path).without("authorization").without("purpose-of-use");
        // By its address to begin with, and back by another site's doing.
        let site = if path.contains("/start") { "none" } else { "cross-site" };
        let ask = ask.header("sec-fetch-site", site);
        match cookie {
            Some(cookie) => ask.header("cookie", cookie).send().await,
            None => ask.send().await,
        }
    }

    async fn away(&self, provider: &str, more: &str) -> Away {
        let answer = self.browse(&format!("/v1/auth/oidc/{provider}/start{more}"), None).await.is(303);
        let away = Away::of(&answer, answer.header("location"));
        assert_eq!(away.parameter("redirect_uri"), format!("{ORIGIN}/v1/auth/oidc/{provider}/callback"));
        away
    }

    async fn back(&self, away: &Away, pairs: &[(&str, &str)]) -> Answer {
        let back = away.parameter("redirect_uri");
        let path = back.strip_prefix(ORIGIN).expect("of ours");
        self.browse(&format!("{path}?{}", query(pairs)), Some(&away.cookie)).await
    }

    /// The whole way.
    async fn comes_in(&self, issuer: &Issuer, provider: &str) -> Answer {
        let away = self.away(provider, "").await;
        let code = issuer.signs_in(&away, self.now());
        self.back(&away, &[("code", &code), ("state", &away.parameter("state")), ("iss", &issuer.server.url)])
            .await
    }

    /// Who the cookies of an answer are good for.
    async fn session_of(&self, answer: &Answer) -> Value {
        let asking =
            self.ask("", "GET", "/v1/auth/sessions").without("authorization").without("purpose-of-use");
        let sessions = asking.header("cookie", &jar(answer)).send().await.is(200).json();
        let own = sessions["data"].as_array().expect("a list").iter().find(|one| one["current"] == true);
        own.expect("the one that asks").clone()
    }

    fn robin(&self) -> Somebody {
        self.staff("robin@elm.example", &[Role::Provider])
    }
}

#[tokio::test]
async fn who_shows_a_verified_address_comes_in_and_is_known_from_then_on() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, provider) = world.with_issuer().await;
    let away = world.away(&provider, "?return_to=%2Fdocs%2F%3Fa%3D1").await;
    let code = issuer.signs_in(&away, world.now());
    let pairs =
        [("code", &*code), ("state", &away.parameter("state")), ("iss", &issuer.server.url), ("scope", "x")];
    let answer = world.back(&away, &pairs).await.is(200);
    assert!(answer.text().contains("content=\"0;url=/docs/?a=1\""), "{}", answer.text());
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!((answer.header("cache-control"), answer.header("referrer-policy")), ("no-store", "no-referrer"));
    let lines: Vec<&str> =
        answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text")).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[..2].iter().all(|line| line.contains("; SameSite=Strict") && line.contains("; HttpOnly")));
    assert!(lines[2].starts_with("__Host-domicile-flow=; Max-Age=0"), "the flow is over");
    let session = world.session_of(&answer).await;
    assert_eq!((&session["user"], &session["assurance"]), (&json!(robin.user.to_string()), &json!(1)));

    // The next time no address is needed; and without the link it would be.
    issuer.script().claims = |claims| claims["email"] = Value::Null;
    world.comes_in(&issuer, &provider).await.is(200);
    issuer.script().claims = |claims| {
        claims["email"] = Value::Null;
        claims["sub"] = json!("subject-2");
    };
    world.comes_in(&issuer, &provider).await.is(401);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_gets_the_same_401() {
    let world = World::new().await;
    world.robin();
    let (issuer, provider) = world.with_issuer().await;
    let claims: [Wrong; 13] = [
        ("another nonce", |c| c["nonce"] = json!("other")),
        ("no nonce", |c| c["nonce"] = Value::Null),
        ("another audience", |c| c["aud"] = json!("other")),
        ("a second audience", |c| c["aud"] = json!([CLIENT, "other"])),
        ("another party", |c| c["azp"] = json!("other")),
        ("another issuer", |c| c["iss"] = json!("https://other.example")),
        ("over", |c| c["exp"] = json!(c["iat"].as_i64().expect("a time") - 1)),
        ("from the future", |c| c["iat"] = json!(c["iat"].as_i64().expect("a time") + 301)),
        ("an address that is not verified", |c| c["email_verified"] = json!(false)),
        ("an address of which that is not said", |c| c["email_verified"] = Value::Null),
        ("an address of another domain", |c| c["email"] = json!("robin@oak.example")),
        ("somebody who does not work here", |c| c["email"] = json!("casey@elm.example")),
        ("an address that is no login name", |c| c["email"] = json!("robin o'neil@elm.example")),
    ];
    for (what, wrong) in claims {
        issuer.script().claims = wrong;
        let answer = world.comes_in(&issuer, &provider).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.header("set-cookie").split(';').next(), Some("__Host-domicile-flow="), "{what}");
        answer.problem("unauthenticated");
    }
    issuer.script().claims = |_| {};
    let headers: [Wrong; 4] = [
        ("no signature", |h| h["alg"] = json!("none")),
        ("the client's own secret", |h| h["alg"] = json!("HS256")),
        ("another algorithm", |h| h["alg"] = json!("RS256")),
        ("another key", |h| h["kid"] = json!("other")),
    ];
    for (what, wrong) in headers {
        issuer.script().header = wrong;
        let answer = world.comes_in(&issuer, &provider).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    }
    issuer.script().header = |_| {};
    assert_eq!(world.book.state.lock().expect("a lock").signin().sessions().len(), 0);
    world.comes_in(&issuer, &provider).await.is(200);
}

#[tokio::test]
async fn a_browser_comes_back_with_what_it_was_given_once_and_in_time() {
    let world = World::new().await;
    world.robin();
    let (issuer, provider) = world.with_issuer().await;
    let url = issuer.server.url.clone();
    let other = world.away(&provider, "").await;
    let away = world.away(&provider, "").await;
    let code = issuer.signs_in(&away, world.now());
    let state = away.parameter("state");
    for (what, with, pairs) in [
        ("another state", &away, vec![("code", &*code), ("state", "other"), ("iss", &url)]),
        ("no state", &away, vec![("code", &*code), ("iss", &url)]),
        ("two states", &away, vec![("code", &*code), ("state", &state), ("state", &state), ("iss", &url)]),
        (
            "another issuer (RFC 9207)",
            &away,
            vec![("code", &*code), ("state", &state), ("iss", "https://other.example")],
        ),
        ("no issuer", &away, vec![("code", &*code), ("state", &state)]),
        ("no code", &away, vec![("state", &state), ("iss", &url)]),
        ("the provider's refusal", &away, vec![("error", "access_denied"), ("state", &state), ("iss", &url)]),
        ("another code", &away, vec![("code", "other"), ("state", &state), ("iss", &url)]),
        ("another browser's flow", &other, vec![("code", &*code), ("state", &state), ("iss", &url)]),
        // Its own state, so that only PKCE tells that the code is somebody else's.
        (
            "another's code",
            &other,
            vec![("code", &*code), ("state", &*other.parameter("state").leak()), ("iss", &url)],
        ),
    ] {
        let answer = world.back(with, &pairs).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    }
    let pairs = [("code", &*code), ("state", &state), ("iss", &url)];
    let path = format!("/v1/auth/oidc/{provider}/callback?{}", query(&pairs));
    for cookie in [None, Some("__Host-domicile-flow="), Some("__Host-domicile-flow=AAAA")] {
        world.browse(&path, cookie).await.is(401);
    }
    issuer.script().forgiving = true;
    world.back(&away, &pairs).await.is(200);
    world.back(&away, &pairs).await.is(401).problem("unauthenticated");
    let away = world.away(&provider, "").await;
    let code = issuer.signs_in(&away, world.now());
    world.later(600);
    let state = away.parameter("state");
    world.back(&away, &[("code", &code), ("state", &state), ("iss", &url)]).await.is(401);
}

#[tokio::test]
async fn a_code_of_one_provider_is_never_taken_to_another() {
    let world = World::new().await;
    world.robin();
    let (issuer, provider) = world.with_issuer().await;
    let (_other_issuer, other) = world.with_issuer().await;
    let away = world.away(&provider, "").await;
    let code = issuer.signs_in(&away, world.now());
    let state = away.parameter("state");
    // As from an issuer that does not say who it is.
    for pairs in [
        vec![("code", &*code), ("state", &*state)],
        vec![("code", &*code), ("state", &*state), ("iss", &*issuer.server.url)],
    ] {
        let path = format!("/v1/auth/oidc/{other}/callback?{}", query(&pairs));
        world.browse(&path, Some(&away.cookie)).await.is(401).problem("unauthenticated");
    }
    world.back(&away, &[("code", &code), ("state", &state), ("iss", &issuer.server.url)]).await.is(200);
}

#[tokio::test]
async fn another_sites_page_signs_nobody_in() {
    let world = World::new().await;
    world.robin();
    let (_issuer, provider) = world.with_issuer().await;
    let from = |site: &'static str| {
        let ask = world.ask("", "GET", &format!("/v1/auth/oidc/{provider}/start"));
        ask.without("authorization").without("purpose-of-use").header("sec-fetch-site", site).send()
    };
    for site in ["cross-site", "same-site"] {
        from(site).await.is(403).problem("cross-site");
    }
    for site in ["same-origin", "none"] {
        from(site).await.is(303);
    }
}

#[tokio::test]
async fn new_keys_of_an_issuer_are_asked_for_but_not_all_day() {
    let world = World::new().await;
    world.robin();
    let (issuer, provider) = world.with_issuer().await;
    world.comes_in(&issuer, &provider).await.is(200);
    issuer.script().seed = [8; 32];
    world.comes_in(&issuer, &provider).await.is(401);
    world.later(10);
    world.comes_in(&issuer, &provider).await.is(200);
}

#[tokio::test]
async fn a_provider_that_is_out_of_order_is_503_and_never_500() {
    let world = World::new().await;
    world.robin();
    let (issuer, provider) = world.with_issuer().await;
    let start = format!("/v1/auth/oidc/{provider}/start");
    issuer.script().out_of_order = Some(502);
    world.browse(&start, None).await.is(503).problem("identity-provider-unavailable");
    issuer.script().out_of_order = None;
    // So long it is not asked again.
    world.later(5);
    issuer.script().names_itself = Some("https://other.example".to_owned());
    world.browse(&start, None).await.is(503).problem("identity-provider-unavailable");
    issuer.script().names_itself = None;
    world.later(5);
    let away = world.away(&provider, "").await;
    let code = issuer.signs_in(&away, world.now());
    let state = away.parameter("state");
    let pairs = [("code", &*code), ("state", &*state), ("iss", &*issuer.server.url)];
    // What it said is remembered; now the code cannot be traded.
    issuer.script().out_of_order = Some(500);
    let answer = world.back(&away, &pairs).await.is(503);
    answer.problem("identity-provider-unavailable");
    world.browse(&start, None).await.is(303);
    // An hour later it is asked again.
    world.later(3_600);
    world.browse(&start, None).await.is(503);
    issuer.script().out_of_order = None;
    world.later(5);
    world.comes_in(&issuer, &provider).await.is(200);
}

#[tokio::test]
async fn the_way_back_leads_to_this_server_only() {
    let world = World::new().await;
    world.robin();
    let (_issuer, provider) = world.with_issuer().await;
    for wrong in [
        "//evil.example",
        "/%2Fevil.example",
        "/\\evil.example",
        "https://evil.example",
        "/%09/evil.example",
        "javascript:alert(1)",
        "",
        "/.//evil.example",
    ] {
        let path = format!("/v1/auth/oidc/{provider}/start?{}", query(&[("return_to", wrong)]));
        world.browse(&path, None).await.is(400).problem("bad-parameter");
    }
    for (more, status) in [("?role=owner", 400), ("?more=1", 400), ("?return_to=/a&return_to=/b", 400)] {
        assert_eq!(world.browse(&format!("/v1/auth/oidc/{provider}/start{more}"), None).await.status, status);
    }
    let nobody = "00000000-0000-4000-8000-000000000000";
    for id in [nobody, "nonsense"] {
        world.browse(&format!("/v1/auth/oidc/{id}/start"), None).await.is(404);
    }
}
