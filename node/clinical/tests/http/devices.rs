//! Known devices over HTTP: bound by what signs somebody in, asked for by the organisation, admitted by its administrators.

use residency_control::Command;
use residency_control::signin::{SignInChange, SignInSettings};
use residency_policy::{OrgId, Role};
use serde_json::{Value, json};

use crate::authenticators::{code, enrolled};
use crate::signin::{PASSWORD, Somebody, shown};
use crate::support::{Answer, World};

const COOKIE: &str = "__Host-domicile-device=";

impl World {
    pub(crate) fn known_devices_only(&self, known_devices_only: bool) {
        let expected = self.here.directory.settings(self.org).map_or(0, |known| known.version);
        let settings = SignInSettings { known_devices_only, ..SignInSettings::unset(self.org) };
        self.done(Command::SignIn(SignInChange::PutSettings { settings, expected }));
    }

    /// Signs in with the next code of an authenticator, on a device or on a new one.
    pub(crate) async fn on(&self, who: &Somebody, secret: &str, device: Option<&str>, tokens: &str) -> Answer {
        self.later(30);
        let code = code(secret, self.here.clock.now().as_second());
        self.shows(who, Some(&code), device, tokens).await
    }

    /// Signs in with the password and perhaps a code, on a device or on a new one.
    async fn shows(&self, who: &Somebody, code: Option<&str>, device: Option<&str>, tokens: &str) -> Answer {
        let mut body = shown(who, PASSWORD);
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        body["tokens"] = json!(tokens);
        let ask = self.ask("", "POST", "/v1/auth/login").without("authorization").json(&body);
        let ask = if let Some(device) = device { ask.header("cookie", device) } else { ask };
        ask.send().await
    }

    pub(crate) async fn devices(&self, key: &str) -> Vec<Value> {
        let path = format!("/v1/orgs/{}/devices", self.org);
        let answer = self.ask(key, "GET", &path).without("purpose-of-use").send().await.is(200);
        answer.json()["data"].as_array().expect("a list").clone()
    }

    pub(crate) async fn with_device(&self, key: &str, method: &str, below: &str, whose: &Somebody) -> Answer {
        self.at_devices(key, method, &format!("{below}?user={}", whose.user)).await
    }

    async fn at_devices(&self, key: &str, method: &str, below: &str) -> Answer {
        let path = format!("/v1/orgs/{}/devices/{below}", self.org);
        self.ask(key, method, &path).without("purpose-of-use").send().await
    }
}

/// The cookie that a device is to keep.
pub(crate) fn device(answer: &Answer) -> Option<String> {
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
    let admission = format!("{id}/admission");
    let refused = world.with_device("org_admin", "PUT", &admission, &who).await.is(403);
    assert_eq!(refused.problem("forbidden")["reason"], "step-up-required");
    let other = OrgId::from_bytes([9; 16]);
    world.surely("other_admin", other, Role::OrgAdmin);
    world.with_device("other_admin", "PUT", &admission, &who).await.is(404);
    for query in ["", "?user=", "?user=robin", "?who=robin"] {
        let below = format!("{admission}{query}");
        world.at_devices("sure_admin", "PUT", &below).await.is(400).problem("bad-parameter");
    }
    world.with_device("sure_admin", "PUT", &admission, &who).await.is(204);
    world.on(&who, &secret, Some(&second), "body").await.is(200);

    // A forged secret under a known id is another device.
    let forged = format!("{}{}", &second[..second.len() - 8], "AAAAAAAA");
    world.on(&who, &secret, Some(&forged), "body").await.is(401);
    world.with_device("provider", "DELETE", &id, &who).await.is(403);
    world.at_devices("org_admin", "DELETE", &id).await.is(400).problem("bad-parameter");
    world.with_device("org_admin", "DELETE", &id, &who).await.is(204);
    assert_eq!(world.here.directory.signins().sessions().len(), 0, "its holder's sessions end");
    world.with_device("org_admin", "DELETE", &id, &who).await.is(404);
    world.on(&who, &secret, Some(&second), "body").await.is(403).problem("device-not-admitted");
    world.on(&who, &secret, Some(&first), "cookies").await.is(200);
}

#[tokio::test]
async fn who_has_no_authenticator_waits_with_the_password_alone_and_comes_in_once_admitted() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let signed_in = world.shows(&who, None, None, "cookies").await.is(200);
    assert_eq!(device(&signed_in), None, "nobody asks for devices yet, and one factor binds none");
    world.known_devices_only(true);
    world.login(&who, "wrong").await.is(401).problem("unauthenticated");
    assert_eq!(world.devices("org_admin").await, Vec::<Value>::new());
    let refused = world.shows(&who, None, None, "cookies").await.is(403);
    let own = device(&refused).expect("what it is to keep");
    refused.problem("device-not-admitted");
    world.shows(&who, None, Some(&own), "cookies").await.is(403).problem("device-not-admitted");
    let waiting = world.devices("org_admin").await;
    assert_eq!((waiting.len(), &waiting[0]["admitted"]), (1, &json!(false)));
    let id = waiting[0]["id"].as_str().expect("an id");
    world.with_device("sure_admin", "PUT", &format!("{id}/admission"), &who).await.is(204);
    let signed_in = world.shows(&who, None, Some(&own), "cookies").await.is(200);
    assert_eq!((&signed_in.json()["assurance"], device(&signed_in)), (&json!(1), None));
    // The control: on no other device.
    world.shows(&who, None, None, "body").await.is(403).problem("device-not-admitted");
}

#[tokio::test]
async fn who_has_an_authenticator_shows_a_code_before_a_device_waits_and_each_code_once() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (_, secret, codes) = enrolled(&world, &who).await;
    world.known_devices_only(true);
    world.shows(&who, None, None, "body").await.is(401).problem("second-factor-required");
    world.shows(&who, Some("nonsense"), None, "body").await.is(401).problem("unauthenticated");
    assert_eq!(world.devices("org_admin").await, Vec::<Value>::new());
    world.later(30);
    let now = code(&secret, world.here.clock.now().as_second());
    for code in [&now, &codes[0]] {
        world.shows(&who, Some(code), None, "body").await.is(403).problem("device-not-admitted");
        world.shows(&who, Some(code), None, "body").await.is(401).problem("unauthenticated");
    }
    assert_eq!(world.devices("org_admin").await.len(), 2, "no code that was used has a device wait");
}

#[tokio::test]
async fn a_ninth_device_waits_once_one_of_eight_was_forgotten() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    world.known_devices_only(true);
    let first = |listed: &[Value]| listed[0]["id"].as_str().expect("an id").to_owned();
    for _ in 0..8 {
        world.shows(&who, None, None, "body").await.is(403);
        let waiting = first(&world.devices("org_admin").await);
        world.with_device("sure_admin", "PUT", &format!("{waiting}/admission"), &who).await.is(204);
    }
    let refused = world.shows(&who, None, None, "body").await.is(403);
    let ninth = device(&refused).expect("what it is to keep");
    refused.problem("device-not-admitted");
    let all = world.devices("org_admin").await;
    assert!(all.len() == 8 && all.iter().all(|one| one["admitted"] == true), "{all:?}");
    world.with_device("org_admin", "DELETE", &first(&all), &who).await.is(204);
    world.shows(&who, None, Some(&ninth), "body").await.is(403).problem("device-not-admitted");
    let all = world.devices("org_admin").await;
    assert_eq!((all.len(), &all[0]["admitted"]), (8, &json!(false)));
}

#[tokio::test]
async fn two_people_who_share_a_browser_are_admitted_each_for_themselves() {
    let world = World::new().await;
    let robin = world.staff("robin@elm.example", &[Role::Provider]);
    let casey = world.staff("casey@elm.example", &[Role::Provider]);
    world.known_devices_only(true);
    let shared = device(&world.shows(&robin, None, None, "cookies").await.is(403)).expect("it is kept");
    let refused = world.shows(&casey, None, Some(&shared), "cookies").await.is(403);
    assert_eq!(device(&refused), None, "it is kept already");
    let waiting = world.devices("org_admin").await;
    assert_eq!((waiting.len(), &waiting[0]["id"]), (2, &waiting[1]["id"]), "one cookie, and two who have it");
    assert_ne!(waiting[0]["user"], waiting[1]["user"]);
    let id = waiting[0]["id"].as_str().expect("an id");
    let admission = format!("{id}/admission");

    world.with_device("sure_admin", "PUT", &admission, &casey).await.is(204);
    world.shows(&casey, None, Some(&shared), "cookies").await.is(200);
    world.shows(&robin, None, Some(&shared), "cookies").await.is(403).problem("device-not-admitted");
    world.with_device("sure_admin", "PUT", &admission, &robin).await.is(204);
    world.shows(&robin, None, Some(&shared), "cookies").await.is(200);

    world.with_device("org_admin", "DELETE", id, &robin).await.is(204);
    world.shows(&robin, None, Some(&shared), "cookies").await.is(403).problem("device-not-admitted");
    world.shows(&casey, None, Some(&shared), "cookies").await.is(200);
    assert_eq!(
        world.here.directory.signins().sessions_of(casey.org, casey.user).count(),
        2,
        "the other's go on"
    );
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
