//! Who may come in, and who not any more.

use residency_control::Command;
use residency_control::signin::SignInChange;
use residency_control::snapshot::encode;
use residency_policy::Role;
use serde_json::{Value, json};

use super::issuer::SECRET;
use super::{Away, Issuer};
use crate::authenticators::{code, enrolled};
use crate::devices::device;
use crate::signin::{PASSWORD, Somebody, text};
use crate::support::{Answer, World};

impl World {
    /// The rest of the way of somebody whom a body sent away.
    async fn goes_on(&self, sent: &Answer, issuer: &Issuer) -> Answer {
        let location = sent.json()["authorization_url"].as_str().expect("an address").to_owned();
        let away = Away::of(sent, &location);
        let code = issuer.signs_in(&away, self.now());
        let pairs = [("code", &*code), ("state", &*away.parameter("state")), ("iss", &issuer.server.url)];
        self.back(&away, &pairs).await
    }

    async fn token_of(&self, who: &Somebody) -> String {
        text(&self.login(who, PASSWORD).await.is(200), "access_token")
    }
}

/// Somebody with no address that anybody vouches for.
fn nameless(claims: &mut Value) {
    claims["email"] = Value::Null;
}

#[tokio::test]
async fn an_invitation_is_taken_up_without_a_password() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, provider) = world.with_issuer().await;
    issuer.script().claims = nameless;
    let path = format!("/v1/users/{}/invitations", robin.user);
    let body = json!({ "login": robin.login });
    let invited = world.ask("org_admin", "POST", &path).without("purpose-of-use").json(&body).send().await;
    let token = text(&invited.is(201), "invitation");
    let start = format!("/v1/auth/oidc/{provider}/start");
    // Another secret in every case.
    let other = if token.as_bytes()[60] == b'A' { "B" } else { "A" };
    let guessed = format!("{}{other}{}", &token[..60], &token[61..]);
    for wrong in ["di_wrong", &token[..token.len() - 2], &guessed] {
        world.post(&start, &json!({ "invitation": wrong })).await.is(401);
    }
    for wrong in
        [json!({}), json!({"invitation": token, "return_to": "//evil.example"}), json!({"invitation": 1})]
    {
        world.post(&start, &wrong).await.is(422);
    }
    let sent = world.post(&start, &json!({ "invitation": token, "return_to": "/docs/" })).await.is(200);
    let answer = world.goes_on(&sent, &issuer).await.is(200);
    assert_eq!(world.session_of(&answer).await["user"], robin.user.to_string());
    world.login(&robin, PASSWORD).await.is(401);
    world.post(&start, &json!({ "invitation": token })).await.is(401);
    world.comes_in(&issuer, &provider).await.is(200);
}

#[tokio::test]
async fn a_session_links_whoever_knows_the_password() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, provider) = world.with_issuer().await;
    issuer.script().claims = nameless;
    world.comes_in(&issuer, &provider).await.is(401);
    let token = world.token_of(&robin).await;
    let link = format!("/v1/auth/oidc/{provider}/link");
    let ask = |body: Value| world.ask(&token, "POST", &link).without("purpose-of-use").json(&body).send();
    ask(json!({})).await.is(401);
    ask(json!({ "password": "wrong" })).await.is(401);
    let sent = ask(json!({ "password": PASSWORD })).await.is(200);
    // A key is nobody, and another organisation's provider is none.
    let key = world.ask("provider", "POST", &link).without("purpose-of-use").json(&json!({})).send().await;
    key.is(409);
    world.ask("stranger", "POST", &link).without("purpose-of-use").json(&json!({})).send().await.is(404);
    let answer = world.goes_on(&sent, &issuer).await.is(200);
    assert_eq!(world.status_of(&token).await, 401, "the new session took its place");
    assert_eq!(world.session_of(&answer).await["user"], robin.user.to_string());
    world.comes_in(&issuer, &provider).await.is(200);
    // What is linked to one is linked to nobody else.
    let casey = world.staff("casey@elm.example", &[Role::Provider]);
    let other = world.token_of(&casey).await;
    let body = json!({ "password": PASSWORD });
    let sent = world.ask(&other, "POST", &link).without("purpose-of-use").json(&body).send().await.is(200);
    world.goes_on(&sent, &issuer).await.is(401);
}

#[tokio::test]
async fn who_is_suspended_or_leaves_comes_in_no_more() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, provider) = world.with_issuer().await;
    let answer = world.comes_in(&issuer, &provider).await.is(200);
    let session = world.session_of(&answer).await["id"].as_str().expect("an id").to_owned();
    let user = world.here.directory.user(robin.user).expect("a user");
    let asleep = residency_control::User { active: false, ..(*user).clone() };
    world.done(Command::ChangeUser { user: asleep, expected: user.version });
    assert!(world.here.directory.signins().session(session.parse().expect("an id")).is_none());
    world.comes_in(&issuer, &provider).await.is(401).problem("unauthenticated");
    let awake = residency_control::User { active: true, ..(*user).clone() };
    world.done(Command::ChangeUser { user: awake, expected: user.version + 1 });
    world.comes_in(&issuer, &provider).await.is(200);
    let org = world.here.directory.organisation(world.org).expect("an organisation");
    assert!(org.active);
}

#[tokio::test]
async fn who_has_an_authenticator_needs_a_second_factor_of_the_provider() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, provider) = world.with_issuer().await;
    world.comes_in(&issuer, &provider).await.is(200);
    let token = world.token_of(&robin).await;
    let ask = |path: &'static str, body: Value| {
        world.ask(&token, "POST", path).without("purpose-of-use").json(&body).send()
    };
    let enrolled = ask("/v1/auth/totp", json!({ "password": PASSWORD })).await.is(201);
    let code = code(&text(&enrolled, "secret"), world.now());
    ask("/v1/auth/totp/confirm", json!({ "code": code })).await.is(204);
    world.comes_in(&issuer, &provider).await.is(401).problem("second-factor-required");
    issuer.script().claims = |claims| claims["amr"] = json!(["pwd", "mfa"]);
    let answer = world.comes_in(&issuer, &provider).await.is(200);
    assert_eq!(world.session_of(&answer).await["assurance"], 2);
}

#[tokio::test]
async fn who_comes_on_a_device_that_waits_comes_in_once_it_is_admitted() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, provider) = world.with_issuer().await;
    world.known_devices_only(true);
    let refused = world.comes_in(&issuer, &provider).await.is(403);
    let own = device(&refused).expect("what it is to keep");
    refused.problem("device-not-admitted");
    let waiting = world.devices("org_admin").await;
    let admission = format!("{}/admission", waiting[0]["id"].as_str().expect("an id"));
    world.with_device("sure_admin", "PUT", &admission, &robin).await.is(204);
    world.comes_in(&issuer, &provider).await.is(403).problem("device-not-admitted");
    let mut away = world.away(&provider, "").await;
    away.cookie = format!("{}; {own}", away.cookie);
    let code = issuer.signs_in(&away, world.now());
    let state = away.parameter("state");
    let pairs = [("code", &*code), ("state", &*state), ("iss", &*issuer.server.url)];
    let answer = world.back(&away, &pairs).await.is(200);
    assert_eq!(world.session_of(&answer).await["assurance"], 1);
}

#[tokio::test]
async fn linking_takes_a_code_of_whoever_has_an_authenticator_and_uses_it_up() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, provider) = world.with_issuer().await;
    issuer.script().claims = |claims| {
        nameless(claims);
        claims["amr"] = json!(["pwd", "mfa"]);
    };
    let (token, secret, _) = enrolled(&world, &robin).await;
    world.later(30);
    let link = format!("/v1/auth/oidc/{provider}/link");
    let ask = |body: Value| world.ask(&token, "POST", &link).without("purpose-of-use").json(&body).send();
    ask(json!({ "password": PASSWORD })).await.is(401).problem("second-factor-required");
    for wrong in [json!("000000000"), json!(null), json!(7)] {
        ask(json!({ "password": PASSWORD, "code": wrong })).await.is(401).problem("unauthenticated");
    }
    let now = code(&secret, world.now());
    ask(json!({ "password": "wrong", "code": now })).await.is(401);
    world.counted(&robin, 4).await;
    let sent = ask(json!({ "password": PASSWORD, "code": now })).await.is(200);
    ask(json!({ "password": PASSWORD, "code": now })).await.is(401).problem("unauthenticated");
    let answer = world.goes_on(&sent, &issuer).await.is(200);
    assert_eq!(world.session_of(&answer).await["user"], robin.user.to_string());
}

#[tokio::test]
async fn who_has_several_roles_says_which() {
    let world = World::new().await;
    world.staff("robin@elm.example", &[Role::Provider, Role::OrgAdmin]);
    let (issuer, provider) = world.with_issuer().await;
    world.comes_in(&issuer, &provider).await.is(422);
    for (role, status) in [("org_admin", 200), ("auditor", 401)] {
        let away = world.away(&provider, &format!("?role={role}")).await;
        let code = issuer.signs_in(&away, world.now());
        let pairs = [("code", &*code), ("state", &*away.parameter("state")), ("iss", &issuer.server.url)];
        let answer = world.back(&away, &pairs).await.is(status);
        if status == 200 {
            assert_eq!(world.session_of(&answer).await["role"], role);
        }
    }
}

#[tokio::test]
async fn the_log_holds_neither_the_clients_secret_nor_the_subject() {
    let world = World::new().await;
    world.robin();
    let (issuer, provider) = world.with_issuer().await;
    world.comes_in(&issuer, &provider).await.is(200);
    let holds = |text: &str| {
        let state = encode(&world.book.state.lock().expect("a lock")).expect("encodes");
        state.windows(text.len()).any(|some| some == text.as_bytes())
    };
    assert!(!holds(SECRET) && !holds("subject-1"));
    assert!(holds(&issuer.server.url), "the control");
    // A secret that was moved to another provider opens for none.
    let signins = world.here.directory.signins();
    let known = signins.federation().provider(provider.parse().expect("an id")).cloned().expect("a provider");
    let id = residency_policy::IdentityProviderId::from_bytes([9; 16]);
    let moved = residency_control::signin::IdentityProvider { id, ..(*known).clone() };
    world.done(Command::SignIn(SignInChange::AddIdentityProvider(moved)));
    world.comes_in(&issuer, &id.to_string()).await.is(503);
}
