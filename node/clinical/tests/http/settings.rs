//! What an organisation asks of everybody who signs in there: set by its administrators, and kept by every route.

use http::Method;
use residency_control::Command;
use residency_control::signin::{Networks, SignInChange, SignInSettings};
use residency_policy::Role;
use serde_json::{Value, json};

use crate::authenticators::{code, enrolled};
use crate::signin::{PASSWORD, shown, text};
use crate::support::{Answer, Ask, World};

const INSIDE: &str = "203.0.113.7";
const OUTSIDE: &str = "198.51.100.7";

impl World {
    fn settings(&self, token: &str, method: &str) -> Ask<'_> {
        let path = format!("/v1/orgs/{}/sign-in-settings", self.org);
        self.ask(token, method, &path).without("purpose-of-use")
    }

    async fn set(&self, token: &str, version: &str, from: &str, body: &Value) -> Answer {
        self.settings(token, "PUT").header("if-match", version).from(from).json(body).send().await
    }

    /// Sets the settings as the control plane has them, whoever asked for them.
    pub(crate) fn asks_for(&self, second_factor_required: bool, networks: &[&str]) {
        let networks = networks.iter().map(|one| one.parse().expect("a network")).collect();
        let networks = Networks::new(networks).expect("networks");
        let expected = self.here.directory.settings(self.org).map_or(0, |known| known.version);
        let settings = SignInSettings { second_factor_required, networks, ..SignInSettings::unset(self.org) };
        self.done(Command::SignIn(SignInChange::PutSettings { settings, expected }));
    }

    async fn from(&self, token: &str, from: Option<&str>) -> Answer {
        let ask = self.ask(token, "GET", "/v1/regions").without("purpose-of-use");
        match from {
            Some(from) => ask.from(from).send().await,
            None => ask.send().await,
        }
    }
}

fn wanted(second: bool, addresses: &[&str]) -> Value {
    json!({ "second_factor_required": second, "known_devices_only": false, "addresses": addresses })
}

#[tokio::test]
async fn an_administrator_with_a_second_factor_sets_them_and_nobody_else() {
    let world = World::new().await;
    let admin = world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let none = world.settings("org_admin", "GET").send().await.is(200);
    assert_eq!((none.json(), none.header("etag")), (wanted(false, &[]), "\"0\""));
    let one = text(&world.login(&admin, PASSWORD).await.is(200), "access_token");
    for token in ["org_admin", &one] {
        let refused = world.set(token, "\"0\"", INSIDE, &wanted(true, &[])).await.is(403).problem("forbidden");
        assert_eq!(refused["reason"], "step-up-required");
    }
    world.settings("provider", "GET").send().await.is(403);

    let (token, _, _) = enrolled(&world, &admin).await;
    let body = wanted(true, &["203.0.113.0/24", "2001:db8:7::/48"]);
    let set = world.set(&token, "\"0\"", INSIDE, &body).await.is(200);
    assert_eq!((set.json(), set.header("etag")), (body.clone(), "\"1\""));
    assert!(!set.header("x-log-index").is_empty());
    world.set(&token, "\"0\"", INSIDE, &body).await.is(412).problem("precondition-failed");
    let read = world.settings(&token, "GET").from(INSIDE).send().await.is(200);
    assert_eq!((read.json(), read.header("etag")), (body, "\"1\""));
    let path = "/v1/orgs/00000000-0000-4000-8000-000000000000/sign-in-settings";
    let ask = |method| world.ask(&token, method, path).without("purpose-of-use").from(INSIDE);
    ask("GET").send().await.is(404);
    ask("PUT").header("if-match", "\"0\"").json(&wanted(false, &[])).send().await.is(404);
}

#[tokio::test]
async fn what_is_no_setting_is_refused_field_by_field_and_so_is_locking_oneself_out() {
    let world = World::new().await;
    let admin = world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let (token, _, _) = enrolled(&world, &admin).await;
    let many: Vec<String> = (0..65).map(|n| format!("10.{n}.0.0/16")).collect();
    for (pointer, body) in [
        ("/addresses", json!({ "second_factor_required": true, "known_devices_only": false })),
        ("/known_devices_only", json!({ "second_factor_required": true, "addresses": [] })),
        ("/second_factor_required", json!({ "addresses": [], "known_devices_only": false })),
        (
            "/second_factor_required",
            json!({ "second_factor_required": "yes", "known_devices_only": false, "addresses": [] }),
        ),
        ("/addresses", wanted(true, &["203.0.113.7/24"])),
        ("/addresses", wanted(true, &["203.0.113.0/24", "203.0.113.0/24"])),
        (
            "/addresses",
            json!({ "second_factor_required": true, "known_devices_only": false, "addresses": many }),
        ),
        (
            "/addresses",
            json!({ "second_factor_required": true, "known_devices_only": false, "addresses": [7] }),
        ),
        (
            "/addresses",
            json!({ "second_factor_required": true, "known_devices_only": false, "addresses": "203.0.113.7" }),
        ),
    ] {
        let problem = world.set(&token, "\"0\"", INSIDE, &body).await.is(422).problem("invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    for from in [OUTSIDE, "2001:db8::1"] {
        let body = wanted(false, &["203.0.113.0/24"]);
        let problem = world.set(&token, "\"0\"", from, &body).await.is(422).problem("invalid");
        assert_eq!(problem["errors"][0]["code"], "locks-out", "{problem}");
    }
    let unknown = world.settings(&token, "PUT").header("if-match", "\"0\"");
    unknown.json(&wanted(false, &["203.0.113.0/24"])).send().await.is(422);
    world.settings(&token, "PUT").json(&wanted(true, &[])).send().await.is(428);
    world.set(&token, "\"0\"", INSIDE, &wanted(false, &["203.0.113.0/24"])).await.is(200);
}

#[tokio::test]
async fn from_elsewhere_nobody_signs_in_or_goes_on_and_no_session_or_key_is_good() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let before = world.login(&who, PASSWORD).await.is(200);
    let (token, next) = (text(&before, "access_token"), text(&before, "refresh_token"));
    world.asks_for(false, &["203.0.113.0/24", "2001:db8:7::/48"]);
    let hashed = world.desk.hashing.hashed();
    for from in [Some(OUTSIDE), None] {
        for key in [token.as_str(), "provider", "org_admin"] {
            world.from(key, from).await.is(403).problem("address-not-allowed");
        }
        for (path, body) in [
            ("/v1/auth/login", shown(&who, PASSWORD)),
            ("/v1/auth/login", shown(&who, "wrong")),
            ("/v1/auth/refresh", json!({ "refresh_token": next })),
        ] {
            let ask = world.ask("", "POST", path).without("authorization").json(&body);
            let ask = if let Some(from) = from { ask.from(from) } else { ask };
            ask.send().await.is(403).problem("address-not-allowed");
        }
    }
    assert_eq!(world.desk.hashing.hashed(), hashed, "nothing that was shown was looked at");
    // Nor is a patient's path, before anything of the patient is.
    let path = "/v1/patients/00000000-0000-4000-8000-000000000000";
    world.ask("provider", "GET", path).from(OUTSIDE).send().await.is(403).problem("address-not-allowed");
    let forged = world.ask("provider", "GET", "/v1/regions").from(OUTSIDE);
    let forged = forged.header("domicile-client", INSIDE).header("x-forwarded-for", INSIDE);
    forged.send().await.is(403).problem("address-not-allowed");

    // The controls: from there, and others from anywhere.
    for from in [INSIDE, "::ffff:203.0.113.9", "2001:db8:7:1::9"] {
        world.from(&token, Some(from)).await.is(200);
        world.from("provider", Some(from)).await.is(200);
    }
    world.from("stranger", Some(OUTSIDE)).await.is(200);
    let login = world.ask("", "POST", "/v1/auth/login").without("authorization").from(INSIDE);
    login.json(&shown(&who, PASSWORD)).send().await.is(200);
    let refresh = world.ask("", "POST", "/v1/auth/refresh").without("authorization").from(INSIDE);
    refresh.json(&json!({ "refresh_token": next })).send().await.is(200);
    // Whoever is elsewhere may still leave.
    let out = world.ask(&token, "POST", "/v1/auth/logout").from(OUTSIDE).json(&json!({})).send().await;
    out.is(204);
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_ends_its_session_from_wherever_it_comes() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let first = text(&world.login(&who, PASSWORD).await.is(200), "refresh_token");
    world.post("/v1/auth/refresh", &json!({ "refresh_token": first })).await.is(200);
    world.asks_for(false, &["203.0.113.0/24"]);
    assert_eq!(world.here.directory.signins().sessions().len(), 1, "the control");
    let again = world.ask("", "POST", "/v1/auth/refresh").without("authorization").from(OUTSIDE);
    let again = again.json(&json!({ "refresh_token": first })).send().await;
    again.is(401).problem("unauthenticated");
    assert_eq!(world.here.directory.signins().sessions().len(), 0);
}

#[tokio::test]
async fn who_has_to_enrol_a_second_factor_does_that_and_nothing_else() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    world.asks_for(true, &[]);
    let token = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    let id = "00000000-0000-4000-8000-000000000000";
    for (method, path) in [
        (Method::GET, "/v1/regions".to_owned()),
        (Method::GET, "/v1/auth/sessions".to_owned()),
        (Method::GET, format!("/v1/patients/{id}")),
        (Method::GET, "/v1/patients?home=US-TX".to_owned()),
        (Method::DELETE, format!("/v1/auth/sessions/{id}")),
    ] {
        let problem = world.ask(&token, method.as_str(), &path).send().await.is(403);
        let problem = problem.problem("second-factor-to-enrol");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("/v1/auth/totp")), "{path}");
        // Also where a purpose is missing: what is to be done first is said first.
        let bare = world.ask(&token, method.as_str(), &path).without("purpose-of-use").send().await;
        bare.is(403).problem("second-factor-to-enrol");
    }
    // Keys are no sessions: what they may do is their own.
    world.from("provider", None).await.is(200);
    let post = |path: &'static str, body: Value| {
        world.ask(&token, "POST", path).without("purpose-of-use").json(&body).send()
    };
    let secret = text(&post("/v1/auth/totp", json!({ "password": PASSWORD })).await.is(201), "secret");
    world.from(&token, None).await.is(403);
    let now = world.here.clock.now().as_second();
    post("/v1/auth/totp/confirm", json!({ "code": code(&secret, now) })).await.is(204);
    world.from(&token, None).await.is(200);
}
