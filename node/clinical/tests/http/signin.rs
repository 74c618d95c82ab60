//! Signing in over HTTP: what is answered, to whom, and what it costs.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use node_signin::hashing::{Password, make_here};
use residency_control::machine::apply;
use residency_control::signin::{Account, LoginName, SignInChange};
use residency_control::{Command, Membership, Memberships, Organisation, Outcome, User};
use residency_policy::{OrgId, OrgType, Role, UserId};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::support::{Answer, World, jurisdiction, random};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody with an account.
pub(crate) struct Somebody {
    pub(crate) org: OrgId,
    pub(crate) user: UserId,
    pub(crate) login: String,
}

impl World {
    /// Has a command done.
    #[track_caller]
    pub(crate) fn done(&self, command: Command) {
        assert_eq!(apply(&mut self.book.state.lock().expect("a lock"), command), Outcome::Done);
    }

    /// Somebody with an account and no password yet.
    fn invited(&self, login: &str) -> Somebody {
        let user = self.colleague(&[Role::Provider]);
        let name = login.parse().expect("a login name");
        let account = Account::new(self.org, user, name);
        self.done(Command::SignIn(SignInChange::AddAccount(account)));
        Somebody { org: self.org, user, login: login.to_owned() }
    }

    /// Somebody with these roles at an organisation that is active.
    pub(crate) fn colleague(&self, roles: &[Role]) -> UserId {
        self.done(Command::PutOrganisation(Organisation {
            id: self.org,
            name: "Elm Street Clinic".parse().expect("a name"),
            org_type: OrgType::Provider,
            serves: [jurisdiction("US-TX")].into_iter().collect(),
            active: true,
        }));
        let user: UserId = UserId::from_bytes(random::<[u8; 16]>());
        let there = Membership { org: self.org, roles: roles.iter().copied().collect(), active: true };
        self.done(Command::AddUser(User {
            id: user,
            name: "Robin Sample".parse().expect("a name"),
            memberships: Memberships::new(vec![there]).expect("one"),
            active: true,
            version: 1,
        }));
        user
    }

    /// Somebody with these roles, who has an account.
    pub(crate) fn staff(&self, login: &str, roles: &[Role]) -> Somebody {
        let user = self.colleague(roles);
        let name: LoginName = login.parse().expect("a login name");
        let password = make_here(&Password::new(PASSWORD).expect("one"), &TestEntropy::default());
        let account = Account { password, ..Account::new(self.org, user, name) };
        self.done(Command::SignIn(SignInChange::AddAccount(account)));
        Somebody { org: self.org, user, login: login.to_owned() }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("", "POST", path).without("authorization").json(body).send().await
    }

    pub(crate) async fn login(&self, who: &Somebody, password: &str) -> Answer {
        self.post("/v1/auth/login", &shown(who, password)).await
    }

    /// The status that a token gets.
    pub(crate) async fn status_of(&self, token: &str) -> u16 {
        self.ask(token, "GET", "/v1/regions").send().await.status.as_u16()
    }

    pub(crate) fn failures(&self, who: &Somebody) -> u32 {
        let state = self.book.state.lock().expect("a lock");
        state.signin().account(who.org, who.user).map_or(0, |account| account.failures)
    }

    /// Waits until failures were counted, which is after the answer.
    pub(crate) async fn counted(&self, who: &Somebody, failures: u32) {
        while self.failures(who) < failures {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn later(&self, seconds: i64) {
        let now = self.here.clock.now().as_second() + seconds;
        self.region.clock.set(Timestamp::from_second(now).expect("a time"));
    }
}

pub(crate) fn shown(who: &Somebody, password: &str) -> Value {
    json!({ "organisation": who.org.to_string(), "login": who.login, "password": password, "tokens": "body" })
}

pub(crate) fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().expect("text").to_owned()
}

/// Everything of an answer but its id.
fn shape(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = answer.header("x-request-id").to_owned();
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers, answer.text().replace(&id, "ID"))
}

#[tokio::test]
async fn who_shows_the_password_gets_a_token_that_stands_for_them() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let answer = world.login(&who, PASSWORD).await.is(200);
    let body = answer.json();
    assert_eq!((body["role"].as_str(), body["assurance"].as_u64()), (Some("provider"), Some(1)));
    assert_eq!((body["access_seconds"].as_i64(), body["refresh_seconds"].as_i64()), (Some(900), Some(3_600)));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.headers.contains_key("set-cookie"));
    let token = text(&answer, "access_token");
    assert_eq!(world.status_of(&token).await, 200);
    // As what they signed in, and nothing more.
    let users = world.ask(&token, "GET", &format!("/v1/orgs/{}/users", who.org)).send().await;
    users.is(403).problem("forbidden");
    world.later(899);
    assert_eq!(world.status_of(&token).await, 200);
    world.later(1);
    assert_eq!(world.status_of(&token).await, 401);
}

#[tokio::test]
async fn whatever_is_wrong_gets_the_same_bytes_and_costs_as_much() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let invited = world.invited("casey@elm.example");
    let right = shown(&who, PASSWORD);
    let with = |name: &str, value: Value| {
        let mut body = right.clone();
        body[name] = value;
        body
    };
    let hashes = |before: u64| world.desk.hashing.hashed() - before;
    let mut first = None;
    for (what, body, cost) in [
        ("a wrong password", with("password", json!("wrong")), 1),
        ("an unknown name", with("login", json!("nobody@elm.example")), 1),
        ("an unknown organisation", with("organisation", json!("00000000-0000-4000-8000-000000000000")), 1),
        ("no password yet", with("login", json!("casey@elm.example")), 1),
        ("a role that they do not have", with("role", json!("org_admin")), 1),
        ("no name", with("login", json!("no name")), 0),
        ("no organisation", with("organisation", json!("elm")), 0),
        ("a password that is too long", with("password", json!("a".repeat(257))), 0),
        ("a password that is no text", with("password", json!(["a"])), 0),
    ] {
        let before = world.desk.hashing.hashed();
        let answer = world.post("/v1/auth/login", &body).await;
        assert_eq!(hashes(before), cost, "{what}");
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let shape = shape(&answer);
        assert_eq!(*first.get_or_insert_with(|| shape.clone()), shape, "{what}");
    }
    world.counted(&who, 1).await;
    world.counted(&invited, 1).await;
    assert_eq!(
        (world.failures(&who), world.failures(&invited)),
        (1, 1),
        "each where it was made, and no other"
    );
    for (body, code) in [(json!({}), 422), (with("tokens", json!("mail")), 422), (with("more", json!(1)), 422)]
    {
        assert_eq!(world.post("/v1/auth/login", &body).await.status, code);
    }
    // The controls.
    world.login(&who, PASSWORD).await.is(200);
    world.post("/v1/auth/login", &with("login", json!("ROBIN@elm.example"))).await.is(200);
}

#[tokio::test]
async fn failures_lock_out_for_a_while_whatever_is_shown() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    for n in 1..=5 {
        world.login(&who, "wrong").await.is(401);
        world.counted(&who, n).await;
    }
    let before = world.desk.hashing.hashed();
    let locked = world.login(&who, PASSWORD).await.is(401);
    assert_eq!(world.desk.hashing.hashed() - before, 1, "it costs as much as ever");
    assert_eq!(shape(&locked), shape(&world.login(&who, "wrong").await));
    world.later(29);
    world.login(&who, PASSWORD).await.is(401);
    assert_eq!(world.failures(&who), 5, "nothing is counted meanwhile");
    world.later(1);
    world.login(&who, "wrong").await.is(401);
    world.counted(&who, 6).await;
    world.later(59);
    world.login(&who, PASSWORD).await.is(401);
    world.later(1);
    world.login(&who, PASSWORD).await.is(200);
    assert_eq!(world.failures(&who), 0);
}

#[tokio::test]
async fn who_has_several_roles_says_which() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider, Role::OrgAdmin]);
    let asked = world.login(&who, PASSWORD).await.is(422).problem("invalid");
    assert_eq!(asked["errors"][0]["pointer"], "/role");
    let mut body = shown(&who, PASSWORD);
    body["role"] = json!("org_admin");
    let token = text(&world.post("/v1/auth/login", &body).await.is(200), "access_token");
    let path = format!("/v1/orgs/{}/users", who.org);
    world.ask(&token, "GET", &path).without("purpose-of-use").send().await.is(200);
}

#[tokio::test]
async fn a_browser_gets_cookies_that_no_script_reads_and_changes_come_from_our_own_page() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let mut body = shown(&who, PASSWORD);
    body["tokens"] = json!("cookies");
    let answer = world.post("/v1/auth/login", &body).await.is(200);
    assert!(answer.json()["access_token"].is_null() && answer.json()["refresh_token"].is_null());
    let lines: Vec<&str> =
        answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text")).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(line.starts_with("__Host-domicile-"), "{line}");
        for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Max-Age="] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("Domain"), "{line}");
    }
    let jar = lines.iter().filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ");
    let ask = |method: &str, path: &str| {
        let asking = world.ask("", method, path).without("authorization").without("purpose-of-use");
        asking.header("cookie", &jar)
    };
    ask("GET", "/v1/regions").send().await.is(200);
    // Who says `Authorization` means that.
    ask("GET", "/v1/regions").header("authorization", "Bearer wrong").send().await.is(401);
    for site in ["cross-site", "same-site", "none"] {
        for path in ["/v1/auth/refresh", "/v1/auth/logout", "/v1/orgs"] {
            let answer = ask("POST", path).header("sec-fetch-site", site).json(&json!({})).send().await;
            answer.is(403).problem("cross-site");
        }
    }
    ask("POST", "/v1/auth/refresh").json(&json!({})).send().await.is(403).problem("cross-site");
    let own = ask("POST", "/v1/auth/refresh").header("sec-fetch-site", "same-origin");
    let next = own.json(&json!({})).send().await.is(200);
    assert_eq!(next.headers.get_all("set-cookie").iter().count(), 2);
    let out = ask("POST", "/v1/auth/logout").header("sec-fetch-site", "same-origin");
    let out = out.json(&json!({})).send().await.is(204);
    assert!(
        out.headers.get_all("set-cookie").iter().all(|line| line.to_str().expect("text").contains("Max-Age=0"))
    );
    ask("GET", "/v1/regions").send().await.is(401).problem("unauthenticated");
    // Whoever comes with what is good no more is told to keep it no longer.
    let late = ask("POST", "/v1/auth/refresh").header("sec-fetch-site", "same-origin");
    let late = late.json(&json!({})).send().await.is(401);
    let gone: Vec<&str> =
        late.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text")).collect();
    assert!(gone.len() == 2 && gone.iter().all(|line| line.contains("Max-Age=0")), "{gone:?}");
}

fn reencoded(part: &str, change: impl Fn(&mut Value)) -> String {
    let mut value: Value =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url")).expect("JSON");
    change(&mut value);
    BASE64URL_NOPAD.encode(value.to_string().as_bytes())
}

#[tokio::test]
async fn a_token_that_was_tampered_with_is_nobodys() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let token = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    let public = world.book.state.lock().expect("a lock").signin().signing_keys().next().expect("a key").public;
    let hs256 = {
        let header = reencoded(header, |h| h["alg"] = json!("HS256"));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
        let tag = ring::hmac::sign(&key, format!("{header}.{claims}").as_bytes());
        format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
    };
    for (what, wrong) in [
        ("alg none", format!("{}.{claims}.", reencoded(header, |h| h["alg"] = json!("none")))),
        (
            "alg none, signed",
            format!("{}.{claims}.{signature}", reencoded(header, |h| h["alg"] = json!("none"))),
        ),
        ("HS256 with the public key", hs256),
        ("no kid", format!("{}.{claims}.{signature}", reencoded(header, |h| h["kid"] = Value::Null))),
        (
            "an unknown kid",
            format!("{}.{claims}.{signature}", reencoded(header, |h| h["kid"] = json!(who.user.to_string()))),
        ),
        (
            "another role",
            format!("{header}.{}.{signature}", reencoded(claims, |c| c["role"] = json!("auditor"))),
        ),
        (
            "a later end",
            format!("{header}.{}.{signature}", reencoded(claims, |c| c["exp"] = json!(9_999_999_999_i64))),
        ),
        ("no signature", format!("{header}.{claims}.")),
        ("cut off", token[..token.len() - 2].to_owned()),
        ("very long", format!("{token}{}", "A".repeat(2_000))),
        ("nothing", "..".to_owned()),
    ] {
        assert_eq!(world.status_of(&wrong).await, 401, "{what}");
    }
    assert_eq!(world.status_of(&token).await, 200, "the control");
}
