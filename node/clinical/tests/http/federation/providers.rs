//! What administrators do with identity providers.

use std::sync::Arc;

use jiff::Timestamp;
use residency_policy::OrgId;
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use super::issuer::{CLIENT, Issuer, SECRET};
use crate::support::{Answer, Ask, World};

impl World {
    fn administers(&self, method: &str, below: &str) -> Ask<'_> {
        let path = format!("/v1/orgs/{}/identity-providers{below}", self.org);
        self.ask("sure_admin", method, &path).without("purpose-of-use")
    }

    async fn browse_to(&self, path: String) -> Answer {
        self.browse(&path, None).await
    }

    async fn tries(&self, provider: &str) -> Value {
        self.administers("POST", &format!("/{provider}/test")).send().await.is(200).json()
    }
}

fn new(issuer: &Issuer) -> Value {
    json!({ "preset": "custom", "issuer": issuer.server.url, "client_id": CLIENT, "client_secret": SECRET })
}

fn etag(answer: &Answer) -> String {
    answer.header("etag").to_owned()
}

#[tokio::test]
async fn a_provider_is_added_changed_and_removed_and_its_secret_never_shown() {
    let world = World::new().await;
    world.robin();
    let issuer = Issuer::start().await;
    let key = "5b6a2f1e-8f0e-4a55-9a35-0d3c4a4f3f10";
    let create = |body: Value| world.administers("POST", "").header("idempotency-key", key).json(&body).send();
    let added = create(new(&issuer)).await.is(201);
    let (body, version) = (added.json(), etag(&added));
    assert_eq!(
        (&body["has_secret"], &body["active"], &body["preset"]),
        (&json!(true), &json!(true), &json!("custom"))
    );
    assert!(!added.text().contains(SECRET));
    assert_eq!(create(new(&issuer)).await.is(201).json(), body, "the same key is the same provider");
    let mut other = new(&issuer);
    other["client_id"] = json!("other");
    create(other).await.is(422).problem("idempotency-reused");
    assert_eq!(world.administers("GET", "").send().await.is(200).json(), json!({ "data": [body] }));

    let id = body["id"].as_str().expect("an id");
    let patch = |version: &str, body: Value| {
        world.administers("PATCH", &format!("/{id}")).header("if-match", version).json(&body).send()
    };
    for wrong in [
        json!({"client_secret": ""}),
        json!({"mail_domain": "elm"}),
        json!({"active": 1}),
        json!({"issuer": "a"}),
    ] {
        patch(&version, wrong.clone()).await.is(422);
    }
    let changed = patch(&version, json!({ "mail_domain": "elm.example" })).await.is(200);
    assert_eq!(changed.json()["mail_domain"], "elm.example");
    patch(&version, json!({ "active": false })).await.is(412);
    world.comes_in(&issuer, id).await.is(200);
    let wrong = patch(&etag(&changed), json!({ "client_secret": "another" })).await.is(200);
    world.comes_in(&issuer, id).await.is(401);
    let right = patch(&etag(&wrong), json!({ "client_secret": SECRET })).await.is(200);
    world.comes_in(&issuer, id).await.is(200);
    let asleep = patch(&etag(&right), json!({ "active": false })).await.is(200);
    assert_eq!(world.here.directory.signins().sessions().len(), 0);
    world.browse(&format!("/v1/auth/oidc/{id}/start"), None).await.is(404);
    let delete =
        |version: &str| world.administers("DELETE", &format!("/{id}")).header("if-match", version).send();
    delete(&version).await.is(412);
    delete(&etag(&asleep)).await.is(204);
    delete(&etag(&asleep)).await.is(404);
    assert_eq!(world.administers("GET", "").send().await.is(200).json(), json!({ "data": [] }));
}

#[tokio::test]
async fn another_organisations_provider_is_nobodys() {
    let world = World::new().await;
    world.robin();
    let (_issuer, id) = world.with_issuer().await;
    let other = OrgId::random(&TestEntropy::default());
    world.surely("other_admin", other, residency_policy::Role::OrgAdmin);
    for org in [world.org, other] {
        for (method, below) in [("DELETE", ""), ("PATCH", ""), ("POST", "/test")] {
            let path = format!("/v1/orgs/{org}/identity-providers/{id}{below}");
            let ask =
                world.ask("other_admin", method, &path).without("purpose-of-use").header("if-match", "\"1\"");
            let ask = if method == "PATCH" { ask.json(&json!({ "active": false })) } else { ask };
            let answer = ask.send().await;
            assert_eq!(answer.status, 404, "{method} {below}: {}", answer.text());
        }
    }
    let path = format!("/v1/orgs/{}/identity-providers", world.org);
    world.ask("other_admin", "GET", &path).without("purpose-of-use").send().await.is(404);
    world.ask("provider", "GET", &path).without("purpose-of-use").send().await.is(403);
    assert!(world.tries(&id).await["usable"].as_bool().expect("a flag"), "the control");
}

#[tokio::test]
async fn what_is_no_provider_is_refused_field_by_field() {
    let world = World::new().await;
    world.robin();
    let issuer = Issuer::start().await;
    for (member, value) in [
        ("preset", json!("ldap")),
        ("issuer", json!("http://idp.example")),
        ("issuer", json!("https://idp.example/?a=b")),
        ("issuer", Value::Null),
        ("client_id", json!("a b")),
        ("client_secret", json!("a".repeat(127))),
        ("mail_domain", json!("Elm Street")),
    ] {
        let mut body = new(&issuer);
        body[member] = value;
        let problem = world.administers("POST", "").json(&body).send().await.is(422).problem("invalid");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{member}"), "{problem}");
    }
    for n in 0..8 {
        let mut body = new(&issuer);
        body["client_id"] = json!(format!("client-{n}"));
        world.administers("POST", "").json(&body).send().await.is(201);
    }
    world.administers("POST", "").json(&new(&issuer)).send().await.is(409).problem("illegal-transition");
}

#[tokio::test]
async fn trying_a_provider_says_what_is_wrong_with_it() {
    let world = World::new().await;
    world.robin();
    let (issuer, id) = world.with_issuer().await;
    assert_eq!(world.tries(&id).await, json!({ "usable": true }));
    issuer.script().names_itself = Some("https://other.example".to_owned());
    assert_eq!(world.tries(&id).await, json!({ "usable": false, "reason": "another-issuer" }));
    issuer.script().out_of_order = Some(503);
    assert_eq!(world.tries(&id).await["reason"], "out-of-order");
    // Nothing inside the network is asked, whoever names it.
    let mut inside = new(&issuer);
    for (named, reason) in [("https://10.0.0.1", "address-not-asked"), ("https://localhost:1", "unreachable")] {
        inside["issuer"] = json!(named);
        let id = world.provider(&inside).await;
        assert_eq!(world.tries(&id).await["reason"], reason, "{named}");
        world.browse(&format!("/v1/auth/oidc/{id}/start"), None).await.is(503);
    }
}

#[tokio::test]
async fn one_person_is_unlinked_and_the_others_stay() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, id) = world.with_issuer().await;
    world.comes_in(&issuer, &id).await.is(200);
    let held = || world.here.directory.signins().sessions().len();
    assert_eq!(held(), 1);
    let unlink = |user: &str| world.administers("DELETE", &format!("/{id}/links/{user}")).send();
    let nobody = "00000000-0000-4000-8000-000000000000";
    unlink(nobody).await.is(404);
    let other = OrgId::random(&TestEntropy::default());
    world.surely("other_admin", other, residency_policy::Role::OrgAdmin);
    let path = format!("/v1/orgs/{}/identity-providers/{id}/links/{}", world.org, robin.user);
    world.ask("other_admin", "DELETE", &path).without("purpose-of-use").send().await.is(404);
    let refused = world.ask("org_admin", "DELETE", &path).without("purpose-of-use").send().await;
    assert_eq!(refused.is(403).problem("forbidden")["reason"], "step-up-required");
    assert_eq!(held(), 1, "the control");
    let user = robin.user.to_string();
    unlink(&user).await.is(204);
    assert_eq!(held(), 0, "who came in through it is out");
    unlink(&user).await.is(404);
    // A verified address links them anew, as if they had never been.
    world.comes_in(&issuer, &id).await.is(200);
}

/// What decides who comes in takes a second factor, and says how to show one.
#[tokio::test]
async fn dangerous_acts_take_a_second_factor_and_say_how_to_show_one() {
    let world = World::new().await;
    let robin = world.robin();
    let (_issuer, id) = world.with_issuer().await;
    let (org, user) = (world.org, robin.user);
    for (method, path) in [
        ("POST", format!("/v1/orgs/{org}/identity-providers")),
        ("PATCH", format!("/v1/orgs/{org}/identity-providers/{id}")),
        ("DELETE", format!("/v1/orgs/{org}/identity-providers/{id}")),
        ("DELETE", format!("/v1/orgs/{org}/identity-providers/{id}/links/{user}")),
        ("PUT", format!("/v1/orgs/{org}/sign-in-settings")),
        ("PUT", format!("/v1/orgs/{id}/legal-basis")),
        ("DELETE", format!("/v1/orgs/{id}/legal-basis")),
        ("POST", format!("/v1/orgs/{org}/api-keys")),
        ("POST", format!("/v1/orgs/{org}/api-keys/{id}/rotate")),
        ("PATCH", format!("/v1/users/{user}")),
        ("DELETE", format!("/v1/users/{user}")),
    ] {
        let ask = |key| {
            let ask = world.ask(key, method, &path).without("purpose-of-use").header("if-match", "\"99\"");
            ask.json(&json!({})).send()
        };
        let problem = ask("org_admin").await.is(403).problem("forbidden");
        assert_eq!(problem["reason"], "step-up-required", "{method} {path}");
        let how = problem["detail"].as_str().expect("what to do");
        assert!(how.contains("/v1/auth/login") && how.contains("/v1/auth/totp"), "{how}");
        let sure = ask("sure_admin").await;
        assert_ne!(sure.status, 403, "the control: {method} {path}: {}", sure.text());
    }
}

#[tokio::test]
async fn an_issuer_is_asked_once_whoever_waits_and_a_failure_is_remembered_for_a_little_while() {
    let world = World::new().await;
    world.robin();
    let (issuer, id) = world.with_issuer().await;
    let start = || world.browse_to(format!("/v1/auth/oidc/{id}/start"));
    let answers = futures::future::join_all((0..20).map(|_| start())).await;
    assert!(answers.iter().all(|answer| answer.status == 303));
    assert_eq!(issuer.script().discovered, 1, "one asks, and the others wait for what comes of it");

    // What was said is old, and nothing is said any more.
    world.later(3_600);
    issuer.script().out_of_order = Some(503);
    let answers = futures::future::join_all((0..20).map(|_| start())).await;
    assert!(answers.iter().all(|answer| answer.status == 503));
    assert_eq!(issuer.script().discovered, 2);
    issuer.script().out_of_order = None;
    world.later(4);
    assert_eq!(start().await.status, 503, "it is not asked again yet");
    assert_eq!(issuer.script().discovered, 2);
    world.later(1);
    assert_eq!(start().await.status, 303);
    assert_eq!(issuer.script().discovered, 3);

    // One that takes long to say nothing has not said it before it did.
    world.later(3_600);
    issuer.script().out_of_order = Some(503);
    let (clock, late) = (Arc::clone(&world.region.clock), world.now() + 6);
    issuer.script().meanwhile = Box::new(move || clock.set(Timestamp::from_second(late).expect("a time")));
    assert_eq!(start().await.status, 503);
    issuer.script().out_of_order = None;
    assert_eq!(start().await.status, 503, "it is not asked again yet");
    assert_eq!(issuer.script().discovered, 4);
    world.later(5);
    issuer.script().meanwhile = Box::new(|| {});
    assert_eq!(start().await.status, 303);
}
