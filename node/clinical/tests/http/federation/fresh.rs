//! When a second factor was shown at a provider, and for how long it counts here.

use jiff::Timestamp;
use residency_policy::Role;
use serde_json::{Value, json};

use super::{Away, Issuer, jar};
use crate::support::{Answer, World};

fn time(claims: &Value) -> i64 {
    claims["iat"].as_i64().expect("a time")
}

/// A second factor, shown so many seconds before the token was made.
fn shown<const SECONDS: i64>(claims: &mut Value) {
    claims["amr"] = json!(["pwd", "mfa"]);
    claims["auth_time"] = json!(time(claims) - SECONDS);
}

/// A second factor, shown nobody knows when.
fn timeless(claims: &mut Value) {
    claims["amr"] = json!(["pwd", "mfa"]);
}

/// One factor, shown now.
fn alone(claims: &mut Value) {
    claims["amr"] = json!(["pwd"]);
    claims["auth_time"] = json!(time(claims));
}

impl World {
    /// The status that something dangerous gets of a browser that came in: 412 where a second factor counts.
    async fn decides(&self, came_in: &Answer, provider: &str) -> u16 {
        let path = format!("/v1/orgs/{}/identity-providers/{provider}", self.org);
        let ask = self.ask("", "DELETE", &path).without("authorization").without("purpose-of-use");
        let ask = ask.header("sec-fetch-site", "same-origin").header("cookie", &jar(came_in));
        let answer = ask.header("if-match", "\"99\"").send().await;
        if answer.status == 403 {
            assert_eq!(answer.json()["reason"], "step-up-required", "{}", answer.text());
        }
        answer.status.as_u16()
    }

    async fn comes_back(&self, away: &Away, issuer: &Issuer) -> Answer {
        let code = issuer.signs_in(away, self.now());
        let pairs = [("code", &*code), ("state", &*away.parameter("state")), ("iss", &issuer.server.url)];
        self.back(away, &pairs).await
    }
}

#[tokio::test]
async fn a_second_factor_of_a_provider_counts_from_when_it_was_shown_there() {
    let world = World::new().await;
    world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let (issuer, provider) = world.with_issuer().await;
    // The control: one that was shown now.
    issuer.script().claims = shown::<0>;
    let answer = world.comes_in(&issuer, &provider).await.is(200);
    assert_eq!(world.decides(&answer, &provider).await, 412);

    // Whoever is signed in there comes back without being asked anything.
    issuer.script().claims = shown::<3_000>;
    let answer = world.comes_in(&issuer, &provider).await.is(200);
    assert_eq!(world.decides(&answer, &provider).await, 412, "ten minutes are left of the hour");
    world.later(600);
    assert_eq!(world.decides(&answer, &provider).await, 403, "the hour is over");
    for wrong in [shown::<3_600> as fn(&mut Value), shown::<86_400>, timeless, alone] {
        issuer.script().claims = wrong;
        let answer = world.comes_in(&issuer, &provider).await.is(200);
        assert_eq!(world.decides(&answer, &provider).await, 403);
        assert_eq!(world.session_of(&answer).await["second_factor_until"], Value::Null);
    }

    // Clocks differ, but not by more than five minutes; and a clock that is ahead makes nothing count for longer.
    issuer.script().claims = shown::<-301>;
    world.comes_in(&issuer, &provider).await.is(401).problem("unauthenticated");
    issuer.script().claims = shown::<-300>;
    let answer = world.comes_in(&issuer, &provider).await.is(200);
    let session = world.session_of(&answer).await;
    assert_eq!(session["amr"], json!(["mfa"]));
    let until = Timestamp::from_second(world.now() + 3_600).expect("a time").to_string();
    assert_eq!(session["second_factor_until"], until);
    let session = session["id"].as_str().expect("an id").parse().expect("an id");
    let signins = world.here.directory.signins();
    let held = signins.session(session).expect("a session");
    assert_eq!(signins.assured_at(held), world.now());
}

#[tokio::test]
async fn a_step_up_through_a_provider_asks_it_to_ask_anew_and_takes_nothing_old() {
    let world = World::new().await;
    world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let (issuer, provider) = world.with_issuer().await;
    let plain = world.away(&provider, "").await;
    assert_eq!((plain.parameter("max_age"), plain.parameter("prompt")), (String::new(), String::new()));
    let cases: [(&str, fn(&mut Value), &str); 5] = [
        ("no time", timeless, "unauthenticated"),
        ("before it was sent away", shown::<301>, "unauthenticated"),
        ("long before", shown::<86_400>, "unauthenticated"),
        ("from the future", shown::<-301>, "unauthenticated"),
        ("one factor", alone, "second-factor-required"),
    ];
    for (what, claims, slug) in cases {
        issuer.script().claims = claims;
        let away = world.away(&provider, "?step_up=true").await;
        assert_eq!((&*away.parameter("max_age"), &*away.parameter("prompt")), ("0", "login"), "{what}");
        let answer = world.comes_back(&away, &issuer).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        answer.problem(slug);
        // The control: it may still be a sign-in.
        if !what.contains("future") {
            world.comes_in(&issuer, &provider).await.is(200);
        }
    }
    issuer.script().claims = shown::<0>;
    let away = world.away(&provider, "?step_up=true").await;
    let answer = world.comes_back(&away, &issuer).await.is(200);
    assert_eq!(world.decides(&answer, &provider).await, 412);

    let path = format!("/v1/auth/oidc/{provider}/start?step_up=1");
    world.browse(&path, None).await.is(400).problem("bad-parameter");
    let github = json!({ "preset": "github", "client_id": "Iv1.test", "client_secret": "gh-secret" });
    let github = world.provider(&github).await;
    let path = format!("/v1/auth/oidc/{github}/start");
    world.browse(&path, None).await.is(303);
    world.browse(&format!("{path}?step_up=true"), None).await.is(400).problem("bad-parameter");
}

#[tokio::test]
async fn an_administrator_who_showed_a_second_factor_at_a_provider_has_two() {
    let world = World::new().await;
    let robin = world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let (issuer, provider) = world.with_issuer().await;
    let invitations = format!("/v1/users/{}/invitations", world.colleague(&[Role::Provider]));
    let invite = |by: &str| {
        let ask = world.ask(by, "POST", &invitations).without("purpose-of-use");
        ask.json(&json!({ "login": "new@elm.example" })).send()
    };
    // Nobody knows when they showed it, so they could never show a fresh one.
    for claims in [alone as fn(&mut Value), timeless] {
        issuer.script().claims = claims;
        world.comes_in(&issuer, &provider).await.is(200);
        invite("org_admin").await.is(201);
    }
    // Once they did, a key is not enough, whatever they show afterwards.
    for claims in [shown::<0> as fn(&mut Value), alone] {
        issuer.script().claims = claims;
        world.comes_in(&issuer, &provider).await.is(200);
        let refused = invite("org_admin").await.is(403).problem("forbidden");
        assert_eq!(refused["reason"], "step-up-required");
        invite("sure_admin").await.is(201);
    }
    let link = format!("/v1/orgs/{}/identity-providers/{provider}/links/{}", world.org, robin.user);
    world.ask("sure_admin", "DELETE", &link).without("purpose-of-use").send().await.is(204);
    invite("org_admin").await.is(201);
}
