//! What takes a second factor asks for one that was shown within the hour.

use residency_control::Command;
use residency_control::signin::{SignInChange, SignInSettings};
use residency_policy::Role;
use serde_json::{Value, json};

use crate::authenticators::{code, enrolled};
use crate::signin::{PASSWORD, Somebody, shown, text};
use crate::support::{Answer, World};

/// A session that goes on: its access token, and what it is refreshed with.
struct Held<'w> {
    world: &'w World,
    access: String,
    refresh: String,
}

impl<'w> Held<'w> {
    async fn begun(world: &'w World, who: &Somebody, secret: &str) -> Self {
        let mut body = shown(who, PASSWORD);
        body["code"] = json!(code(secret, world.here.clock.now().as_second()));
        let answer = world.post("/v1/auth/login", &body).await.is(200);
        Self { world, access: text(&answer, "access_token"), refresh: text(&answer, "refresh_token") }
    }

    /// Time goes on, and the session is refreshed before it would be over.
    async fn later(&mut self, mut seconds: i64) {
        while seconds > 0 {
            let some = seconds.min(1_800);
            self.world.later(some);
            let body = json!({ "refresh_token": self.refresh });
            let answer = self.world.post("/v1/auth/refresh", &body).await.is(200);
            (self.access, self.refresh) = (text(&answer, "access_token"), text(&answer, "refresh_token"));
            seconds -= some;
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let ask =
            self.world.ask(&self.access, "POST", path).without("purpose-of-use").without("idempotency-key");
        ask.json(body).send().await
    }

    /// An empty order for a key is refused for what it lacks by whoever may order one.
    async fn may(&self) -> bool {
        let answer = self.post(&format!("/v1/orgs/{}/api-keys", self.world.org), &json!({})).await;
        if answer.status == 422 {
            return true;
        }
        let refused = answer.is(403).problem("forbidden");
        assert_eq!(refused["reason"], "step-up-required");
        assert!(refused["detail"].as_str().is_some_and(|how| how.contains("/v1/auth/step-up")), "{refused}");
        false
    }

    async fn step_up(&self, code: &str) -> Answer {
        self.post("/v1/auth/step-up", &json!({ "code": code })).await
    }
}

#[tokio::test]
async fn a_second_factor_counts_for_an_hour_and_is_shown_again_in_the_same_session() {
    let world = World::new().await;
    let admin = world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let (_, secret, _) = enrolled(&world, &admin).await;
    world.later(30);
    let mut held = Held::begun(&world, &admin, &secret).await;
    assert!(held.may().await, "the control");
    held.later(3_599).await;
    assert!(held.may().await, "a second before the hour is over");
    held.later(1).await;
    assert!(!held.may().await, "refreshing shows no factor");
    // An organisation that asks everybody for a second factor asks for no more than that one was shown.
    let settings = SignInSettings { second_factor_required: true, ..SignInSettings::unset(world.org) };
    world.done(Command::SignIn(SignInChange::PutSettings { settings, expected: 0 }));
    assert_eq!(world.status_of(&held.access).await, 200);

    let now = world.here.clock.now().as_second();
    held.step_up(&code(&secret, now + 300)).await.is(401).problem("unauthenticated");
    world.counted(&admin, 1).await;
    assert!(!held.may().await, "a wrong code is none");
    let right = code(&secret, now);
    let done = held.step_up(&right).await.is(204);
    assert!(!done.header("x-log-index").is_empty());
    assert!(held.may().await);
    held.step_up(&right).await.is(401).problem("unauthenticated");
    held.later(3_599).await;
    assert!(held.may().await, "a second before the hour is over");
    held.later(1).await;
    assert!(!held.may().await);
}

#[tokio::test]
async fn only_what_an_authenticator_shows_counts_and_only_of_whoever_has_one() {
    let world = World::new().await;
    let admin = world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let without = world.staff("casey@elm.example", &[Role::OrgAdmin]);
    let (_, secret, codes) = enrolled(&world, &admin).await;
    world.later(30);
    let mut held = Held::begun(&world, &admin, &secret).await;
    held.later(3_600).await;
    for wrong in [codes[0].as_str(), "12345", "1234567", "12345x", ""] {
        let refused = held.step_up(wrong).await.is(422).problem("invalid");
        assert_eq!(refused["errors"][0]["pointer"], "/code", "{wrong:?}");
    }
    assert!(!held.may().await);
    let one = text(&world.login(&without, PASSWORD).await.is(200), "access_token");
    for token in [one.as_str(), "org_admin"] {
        let ask = world.ask(token, "POST", "/v1/auth/step-up").without("purpose-of-use");
        ask.json(&json!({ "code": "123456" })).send().await.is(409).problem("illegal-transition");
    }
}

/// As at the sign-in: whoever found a session open guesses no faster than a stranger.
#[tokio::test]
async fn a_session_guesses_codes_no_faster_than_a_stranger() {
    let world = World::new().await;
    let admin = world.staff("robin@elm.example", &[Role::OrgAdmin]);
    let (_, secret, _) = enrolled(&world, &admin).await;
    world.later(30);
    let mut held = Held::begun(&world, &admin, &secret).await;
    held.later(3_600).await;
    let now = world.here.clock.now().as_second();
    for failures in 1..=5 {
        held.step_up(&code(&secret, now + 300)).await.is(401);
        world.counted(&admin, failures).await;
    }
    held.step_up(&code(&secret, now)).await.is(401).problem("unauthenticated");
    assert!(!held.may().await);
    world.later(31);
    held.step_up(&code(&secret, world.here.clock.now().as_second())).await.is(204);
    assert!(held.may().await);
}
