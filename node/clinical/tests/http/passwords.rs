//! Changing one's own password over HTTP, and what no password may be.

use residency_policy::Role;
use serde_json::{Value, json};

use crate::authenticators::{code, enrolled};
use crate::signin::{PASSWORD, Somebody, shown, text};
use crate::support::{Answer, World};

const NEXT: &str = "seven lamps over a quiet canal";

impl World {
    async fn change_password(&self, token: &str, body: &Value) -> Answer {
        self.ask(token, "PUT", "/v1/auth/password").without("purpose-of-use").json(body).send().await
    }

    async fn token_by(&self, who: &Somebody) -> String {
        text(&self.login(who, PASSWORD).await.is(200), "access_token")
    }
}

fn change(current: &str, new: &str) -> Value {
    json!({ "current_password": current, "new_password": new })
}

#[tokio::test]
async fn whoever_knows_the_current_password_changes_it_and_their_other_sessions_end() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let casey = world.staff("casey@elm.example", &[Role::Provider]);
    let (other, mine, caseys) =
        (world.token_by(&who).await, world.token_by(&who).await, world.token_by(&casey).await);
    world.change_password(&mine, &change("wrong", NEXT)).await.is(401).problem("unauthenticated");
    world.counted(&who, 1).await;
    assert_eq!(world.status_of(&other).await, 200, "nothing was changed");
    let answer = world.change_password(&mine, &change(PASSWORD, NEXT)).await.is(204);
    assert!(!answer.header("x-log-index").is_empty());
    let statuses =
        (world.status_of(&mine).await, world.status_of(&other).await, world.status_of(&caseys).await);
    assert_eq!(statuses, (200, 401, 200));
    assert_eq!(world.failures(&who), 0);
    world.login(&who, PASSWORD).await.is(401);
    world.login(&who, NEXT).await.is(200);
    world.login(&casey, PASSWORD).await.is(200);
}

#[tokio::test]
async fn a_session_guesses_the_password_no_faster_than_a_stranger() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let token = world.token_by(&who).await;
    for failures in 1..=5 {
        world.change_password(&token, &change("wrong", NEXT)).await.is(401);
        world.counted(&who, failures).await;
    }
    world.change_password(&token, &change(PASSWORD, NEXT)).await.is(401).problem("unauthenticated");
    world.login(&who, PASSWORD).await.is(401);
    world.later(31);
    world.change_password(&token, &change(PASSWORD, NEXT)).await.is(204);
}

#[tokio::test]
async fn a_code_is_asked_for_where_an_authenticator_is_enrolled_and_is_good_once() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (token, secret, codes) = enrolled(&world, &who).await;
    world.later(30);
    let mut body = change(PASSWORD, NEXT);
    world.change_password(&token, &body).await.is(401).problem("second-factor-required");
    body["code"] = json!("000000000");
    world.change_password(&token, &body).await.is(401).problem("unauthenticated");
    world.counted(&who, 1).await;
    let now = code(&secret, world.here.clock.now().as_second());
    body["code"] = json!(now);
    world.change_password(&token, &body).await.is(204);
    let mut again = change(NEXT, "five blue herons wait for rain");
    again["code"] = json!(now);
    world.change_password(&token, &again).await.is(401);
    world.counted(&who, 1).await;
    again["code"] = json!(codes[2]);
    world.change_password(&token, &again).await.is(204);
    let mut login = shown(&who, "five blue herons wait for rain");
    login["code"] = json!(codes[2]);
    world.post("/v1/auth/login", &login).await.is(401);
    login["code"] = json!(codes[3]);
    assert_eq!(world.post("/v1/auth/login", &login).await.is(200).json()["assurance"], 2);
}

#[tokio::test]
async fn a_new_password_that_others_guess_is_refused_and_the_old_one_stays() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let token = world.token_by(&who).await;
    // The organisation is Elm Street Clinic, the user Robin Sample.
    for wrong in
        ["passwordpassword", "domicile domicile", "ElmStreetClinic2026", "sample robin elm", &"a".repeat(256)]
    {
        let answer = world.change_password(&token, &change(PASSWORD, wrong)).await.is(422);
        let problem = answer.problem("invalid");
        let error = &problem["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!("/new_password"), &json!("guessable")));
        assert!(error["detail"].as_str().is_some_and(|detail| detail.contains("several words")), "{error}");
        assert!(!problem.to_string().contains(wrong), "it does not repeat the password");
    }
    let short = world.change_password(&token, &change(PASSWORD, "14 characters.")).await.is(422);
    assert_eq!(short.problem("invalid")["errors"][0]["code"], "format");
    let both = world.change_password(&token, &json!({})).await.is(422).problem("invalid");
    assert_eq!(both["errors"].as_array().map(Vec::len), Some(2));
    let mut more = change(PASSWORD, NEXT);
    more["user"] = json!(who.user.to_string());
    world.change_password(&token, &more).await.is(422);
    assert_eq!(world.failures(&who), 0, "whoever knows the password guessed nothing");
    world.login(&who, PASSWORD).await.is(200);
    world.change_password(&token, &change(PASSWORD, NEXT)).await.is(204);
}

#[tokio::test]
async fn a_key_and_nobody_have_no_password_to_change() {
    let world = World::new().await;
    world.staff("robin@elm.example", &[Role::Provider]);
    world.change_password("provider", &change(PASSWORD, NEXT)).await.is(409).problem("illegal-transition");
    let asking = world.ask("", "PUT", "/v1/auth/password").without("authorization");
    asking.without("purpose-of-use").json(&change(PASSWORD, NEXT)).send().await.is(401);
}

#[tokio::test]
async fn a_browser_that_signs_in_again_has_one_session() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let elsewhere = world.token_by(&who).await;
    let mut body = shown(&who, PASSWORD);
    body["tokens"] = json!("cookies");
    let jar = |answer: &Answer| {
        let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text"));
        lines.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
    };
    let first = jar(&world.post("/v1/auth/login", &body).await.is(200));
    let ask = |method: &str, path: &str, cookie: &str, site: &str| {
        let asking = world.ask("", method, path).without("authorization").without("purpose-of-use");
        asking.header("cookie", cookie).header("sec-fetch-site", site)
    };
    let known = async |jar: &str| ask("GET", "/v1/regions", jar, "same-origin").send().await.status.as_u16();
    let login =
        async |body: &Value, site: &str| ask("POST", "/v1/auth/login", &first, site).json(body).send().await;
    let mut wrong = body.clone();
    wrong["password"] = json!("wrong");
    login(&wrong, "same-origin").await.is(401);
    login(&body, "cross-site").await.is(403).problem("cross-site");
    // A program says where its tokens go, and its sessions are its own business.
    let mut program = body.clone();
    program["tokens"] = json!("body");
    login(&program, "same-origin").await.is(200);
    assert_eq!(known(&first).await, 200);
    let second = jar(&login(&body, "same-origin").await.is(200));
    assert_eq!((known(&first).await, known(&second).await), (401, 200));
    assert_eq!(world.status_of(&elsewhere).await, 200, "another browser's goes on");
}
