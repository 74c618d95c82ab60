//! Known devices over HTTP: bound by a second factor, asked for by the organisation, admitted by its administrators.

use residency_control::Command;
use residency_control::signin::{SignInChange, SignInSettings};
use residency_policy::{OrgId, Role};
use serde_json::{Value, json};

use crate::authenticators::{code, enrolled};
use crate::signin::{PASSWORD, Somebody, shown};
use crate::support::{Answer, World};

const COOKIE: &str = "__Host-domicile-device=";

impl World {
    fn known_devices_only(&self, known_devices_only: bool) {
        let expected = self.here.directory.settings(self.org).map_or(0, |known| known.version);
        let settings = SignInSettings { known_devices_only, ..SignInSettings::unset(self.org) };
        self.done(Command::SignIn(SignInChange::PutSettings { settings, expected }));
    }

    /// Signs in with the next code of an authenticator, on a device or on a new one.
    async fn on(&self, who: &Somebody, secret: &str, device: Option<&str>, tokens: &str) -> Answer {
        self.later(30);
        let mut body = shown(who, PASSWORD);
        body["code"] = json!(code(secret, self.here.clock.now().as_second()));
        body["tokens"] = json!(tokens);
        let ask = self.ask("", "POST", "/v1/auth/login").without("authorization").json(&body);
        let ask = if let Some(device) = device { ask.header("cookie", device) } else { ask };
        ask.send().await
    }

    async fn devices(&self, key: &str) -> Vec<Value> {
        let path = format!("/v1/orgs/{}/devices", self.org);
        let answer = self.ask(key, "GET", &path).without("purpose-of-use").send().await.is(200);
        answer.json()["data"].as_array().expect("a list").clone()
    }

    async fn with_device(&self, key: &str, method: &str, below: &str) -> Answer {
        let path = format!("/v1/orgs/{}/devices/{below}", self.org);
        self.ask(key, method, &path).without("purpose-of-use").send().await
    }
}

/// The cookie that a device is to keep.
fn device(answer: &Answer) -> Option<String> {
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text"));
    let mut lines = lines.filter(|line| line.starts_with(COOKIE));
    let line = lines.next()?;
    for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Max-Age=34560000"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(lines.next().is_none());
    line.split(';').next().map(str::to_owned)
}

#[tokio::test]
async fn a_new_device_waits_until_an_administrator_admits_it() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (_, secret, _) = enrolled(&world, &who).await;
    // Before it is asked for, a browser on which a second factor was shown is known at once, and a program is not bound.
    let first = device(&world.on(&who, &secret, None, "cookies").await.is(200)).expect("it is bound");
    assert_eq!(device(&world.on(&who, &secret, Some(&first), "cookies").await.is(200)), None, "it has it");
    assert_eq!(device(&world.on(&who, &secret, None, "body").await.is(200)), None);
    assert_eq!(world.devices("org_admin").await.len(), 1);

    world.known_devices_only(true);
    world.on(&who, &secret, Some(&first), "cookies").await.is(200);
    let refused = world.on(&who, &secret, None, "body").await.is(403);
    let second = device(&refused).expect("what it is to keep");
    refused.problem("device-not-admitted");
    let waiting = world.devices("org_admin").await;
    assert_eq!(
        (waiting.len(), &waiting[0]["admitted"], &waiting[1]["admitted"]),
        (2, &json!(false), &json!(true))
    );
    world.on(&who, &secret, Some(&second), "body").await.is(403).problem("device-not-admitted");
    assert_eq!(world.devices("org_admin").await.len(), 2, "it is the same one");

    let id = waiting[0]["id"].as_str().expect("an id").to_owned();
    let refused = world.with_device("org_admin", "PUT", &format!("{id}/admission")).await.is(403);
    assert_eq!(refused.problem("forbidden")["reason"], "step-up-required");
    let other = OrgId::from_bytes([9; 16]);
    world.surely("other_admin", other, Role::OrgAdmin);
    world.with_device("other_admin", "PUT", &format!("{id}/admission")).await.is(404);
    world.with_device("sure_admin", "PUT", &format!("{id}/admission")).await.is(204);
    world.on(&who, &secret, Some(&second), "body").await.is(200);

    // A forged secret under a known id is another device.
    let forged = format!("{}{}", &second[..second.len() - 8], "AAAAAAAA");
    world.on(&who, &secret, Some(&forged), "body").await.is(401);
    world.with_device("provider", "DELETE", &id).await.is(403);
    world.with_device("org_admin", "DELETE", &id).await.is(204);
    assert_eq!(world.here.directory.signins().sessions().len(), 0, "its holder's sessions end");
    world.with_device("org_admin", "DELETE", &id).await.is(404);
    world.on(&who, &secret, Some(&second), "body").await.is(403).problem("device-not-admitted");
    world.on(&who, &secret, Some(&first), "cookies").await.is(200);
}

#[tokio::test]
async fn without_a_second_factor_no_device_is_bound_and_none_lets_anybody_in() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let mut body = shown(&who, PASSWORD);
    body["tokens"] = json!("cookies");
    assert_eq!(device(&world.post("/v1/auth/login", &body).await.is(200)), None);
    world.known_devices_only(true);
    world.post("/v1/auth/login", &body).await.is(403).problem("device-not-admitted");
    assert_eq!(world.devices("org_admin").await, Vec::<Value>::new());
    world.login(&who, "wrong").await.is(401).problem("unauthenticated");
}

#[tokio::test]
async fn who_asks_for_known_devices_does_so_on_one() {
    let world = World::new().await;
    let admin = world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let (_, secret, _) = enrolled(&world, &admin).await;
    let signed_in = world.on(&admin, &secret, None, "cookies").await.is(200);
    let own = device(&signed_in).expect("it is bound");
    let token = crate::signin::text(&world.on(&admin, &secret, None, "body").await.is(200), "access_token");
    let path = format!("/v1/orgs/{}/sign-in-settings", world.org);
    let body = json!({ "second_factor_required": true, "known_devices_only": true, "addresses": [] });
    let put = |cookie: &str| {
        let ask = world.ask(&token, "PUT", &path).without("purpose-of-use").header("if-match", "\"0\"");
        ask.header("cookie", cookie).json(&body).send()
    };
    let problem = put("a=b").await.is(422).problem("invalid");
    assert_eq!(
        (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
        (&json!("/known_devices_only"), &json!("locks-out"))
    );
    assert_eq!(put(&own).await.is(200).json(), body);
}
