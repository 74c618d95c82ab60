//! Authenticators over HTTP: enrolled, asked for, and each code good once.

use data_encoding::BASE32_NOPAD;
use residency_policy::Role;
use ring::hmac;
use serde_json::{Value, json};

use crate::signin::{PASSWORD, Somebody, shown, text};
use crate::support::{Answer, World};

/// A code of RFC 6238, computed here by the letter of RFC 4226 section 5.3, so that it is not the program's own word.
pub(crate) fn code(secret: &str, at: i64) -> String {
    let key = BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let step = u64::try_from(at / 30).expect("after the epoch");
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 0x0f);
    let word = u32::from_be_bytes(tag[offset..offset + 4].try_into().expect("four bytes")) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

impl World {
    async fn with_token(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.ask(token, "POST", path).without("purpose-of-use").json(body).send().await
    }

    async fn login_with(&self, who: &Somebody, code: &str) -> Answer {
        let mut body = shown(who, PASSWORD);
        body["code"] = json!(code);
        self.post("/v1/auth/login", &body).await
    }

    fn second(&self) -> i64 {
        self.here.clock.now().as_second()
    }
}

/// Somebody with a confirmed authenticator: their session, its secret, and the codes that stand in for it.
pub(crate) async fn enrolled(world: &World, who: &Somebody) -> (String, String, Vec<String>) {
    let token = text(&world.login(who, PASSWORD).await.is(200), "access_token");
    let answer = world.with_token(&token, "/v1/auth/totp", &json!({ "password": PASSWORD })).await.is(201);
    let secret = text(&answer, "secret");
    assert!(text(&answer, "uri").contains(&secret) && text(&answer, "uri").starts_with("otpauth://totp/"));
    let codes = answer.json()["recovery_codes"].as_array().expect("codes").clone();
    let codes = codes.iter().map(|code| code.as_str().expect("text").to_owned()).collect();
    // Nobody has shown a code of it yet.
    world.login(who, PASSWORD).await.is(200);
    let wrong = json!({ "code": code(&secret, world.second() + 300) });
    world.with_token(&token, "/v1/auth/totp/confirm", &wrong).await.is(422);
    let right = json!({ "code": code(&secret, world.second()) });
    world.with_token(&token, "/v1/auth/totp/confirm", &right).await.is(204);
    (token, secret, codes)
}

#[tokio::test]
async fn an_authenticator_is_asked_for_and_each_code_is_good_once() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let before = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    let (token, secret, codes) = enrolled(&world, &who).await;
    assert_eq!((world.status_of(&before).await, world.status_of(&token).await), (401, 200), "the others ended");
    let listed = world.ask(&token, "GET", "/v1/auth/sessions").without("purpose-of-use").send().await.is(200);
    assert_eq!(listed.json()["data"][0]["assurance"], 2);

    let asked = world.login(&who, PASSWORD).await.is(401);
    assert!(asked.header("www-authenticate").starts_with("Bearer"));
    asked.problem("second-factor-required");
    world.login(&who, "wrong").await.is(401).problem("unauthenticated");
    world.counted(&who, 1).await;
    world.login_with(&who, &code(&secret, world.second())).await.is(401).problem("unauthenticated");
    world.counted(&who, 2).await;

    world.later(30);
    let next = code(&secret, world.second());
    let answer = world.login_with(&who, &next).await.is(200);
    assert_eq!(answer.json()["assurance"], 2);
    world.login_with(&who, &next).await.is(401).problem("unauthenticated");
    world.counted(&who, 1).await;
    world.login_with(&who, &codes[4]).await.is(200);
    world.login_with(&who, &codes[4]).await.is(401);
    world.login_with(&who, &codes[5].to_lowercase().replace('-', "")).await.is(200);
    world.login_with(&who, "not a code").await.is(401);
}

#[tokio::test]
async fn one_code_at_two_doors_opens_one() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (_, secret, _) = enrolled(&world, &who).await;
    world.later(30);
    let next = code(&secret, world.second());
    let (one, other) = tokio::join!(world.login_with(&who, &next), world.login_with(&who, &next));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn only_who_is_signed_in_and_knows_the_password_enrols() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let token = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    let enrol = async |token: &str, password: &str| {
        world.with_token(token, "/v1/auth/totp", &json!({ "password": password })).await
    };
    enrol("provider", PASSWORD).await.is(409).problem("illegal-transition");
    enrol(&token, "wrong").await.is(401);
    world.counted(&who, 1).await;
    let none = world.with_token(&token, "/v1/auth/totp/confirm", &json!({ "code": "123456" })).await;
    none.is(409).problem("illegal-transition");
    let (token, ..) = enrolled(&world, &who).await;
    enrol(&token, PASSWORD).await.is(409).problem("illegal-transition");
}
