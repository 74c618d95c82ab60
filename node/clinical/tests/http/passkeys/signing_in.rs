//! Signing in with passkeys.

use data_encoding::BASE64URL_NOPAD;
use residency_control::Command;
use residency_policy::Role;
use serde_json::{Value, json};

use super::authenticator::{Authenticator, MAY_BE_COPIED, PRESENT, RP_ID, Says, VERIFIED};
use super::holder;
use crate::devices::device;
use crate::signin::{PASSWORD, text};
use crate::support::{ORIGIN, World};

#[tokio::test]
async fn a_passkey_signs_its_holder_in_with_two_factors() {
    let world = World::new().await;
    let (who, token, passkey) = holder(&world, "robin@elm.example", 7).await;
    let challenge = world.challenge().await;
    let options = challenge["options"].as_object().expect("options");
    let names: Vec<&str> = options.keys().map(String::as_str).collect();
    assert_eq!(names, ["challenge", "timeout", "rpId", "userVerification"], "nobody's name and no passkey");
    assert_eq!((&options["rpId"], &options["userVerification"]), (&json!(RP_ID), &json!("required")));
    let answer = world.brings(&challenge, &passkey.signs(&challenge["options"], &Says::so(2))).await.is(200);
    let body = answer.json();
    assert_eq!((&body["user"], &body["assurance"]), (&json!(who.user.to_string()), &json!(2)));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(world.status_of(&text(&answer, "access_token")).await, 200);
    assert_eq!(world.status_of(&token).await, 200, "the session before goes on");
    let own = world.own(&token).await;
    assert!(own[0]["last_used_at"].is_string());

    // A browser gets cookies, and gives the session before up.
    let in_cookies = async |before: Option<&str>, counter: u32| {
        let challenge = world.challenge().await;
        let credential = passkey.signs(&challenge["options"], &Says::so(counter));
        let body = json!({ "ceremony": challenge["ceremony"], "credential": credential });
        let ask = world.ask("", "POST", "/v1/auth/passkeys").without("authorization").json(&body);
        let ask = ask.header("sec-fetch-site", "same-origin");
        if let Some(before) = before { ask.header("cookie", before) } else { ask }.send().await
    };
    let first = in_cookies(None, 3).await.is(200);
    let lines: Vec<String> = first
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().expect("text").to_owned())
        .collect();
    assert!(lines.iter().any(|line| line.starts_with("__Host-domicile-access=") && line.contains("HttpOnly")));
    assert!(device(&first).is_some(), "the browser is known from now on");
    let refresh = lines.iter().find(|line| line.starts_with("__Host-domicile-refresh=")).expect("a cookie");
    let held = world.here.directory.signins().sessions().len();
    in_cookies(refresh.split(';').next(), 4).await.is(200);
    assert_eq!(world.here.directory.signins().sessions().len(), held);
}

#[tokio::test]
async fn whatever_is_wrong_about_a_passkey_gets_the_same_401() {
    let world = World::new().await;
    let (_, _, passkey) = holder(&world, "robin@elm.example", 7).await;
    let (_, _, caseys) = holder(&world, "casey@elm.example", 8).await;
    let right = Says::so(5);
    let other = world.challenge().await["options"]["challenge"].as_str().map(str::to_owned);
    let mut first: Option<Value> = None;
    let mut same = |what: &str, answer: crate::support::Answer| {
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert!(!answer.headers.contains_key("set-cookie"), "{what}");
        let mut problem = answer.problem("unauthenticated");
        problem["request_id"] = Value::Null;
        problem["instance"] = Value::Null;
        assert_eq!(*first.get_or_insert_with(|| problem.clone()), problem, "{what}");
    };
    for (what, says) in [
        ("another origin", Says { origin: "https://evil.example".to_owned(), ..right.clone() }),
        ("another scheme", Says { origin: ORIGIN.replace("https", "http"), ..right.clone() }),
        ("a frame elsewhere", Says { cross_origin: true, ..right.clone() }),
        ("another relying party", Says { rp_id: "evil.example", ..right.clone() }),
        ("nobody verified", Says { flags: PRESENT, ..right.clone() }),
        ("nobody there", Says { flags: VERIFIED, ..right.clone() }),
        ("it may be copied now", Says { flags: PRESENT | VERIFIED | MAY_BE_COPIED, ..right.clone() }),
        ("another challenge", Says { challenge: other, ..right.clone() }),
        ("an enrolment", Says { kind: Some("webauthn.create"), ..right.clone() }),
        ("the counter stands still", Says::so(1)),
        ("the counter goes back", Says::so(0)),
    ] {
        same(what, world.with_passkey(&passkey, &says).await);
    }
    let mut unknown = Authenticator::new(&[9; 20]);
    unknown.handle.clone_from(&passkey.handle);
    same("an unknown passkey", world.with_passkey(&unknown, &right).await);
    let mut stranger = Authenticator::new(&passkey.id);
    stranger.handle.clone_from(&passkey.handle);
    same("another key under a known id", world.with_passkey(&stranger, &right).await);

    let challenge = world.challenge().await;
    let made = passkey.signs(&challenge["options"], &right);
    let with = |pointer: &str, value: Value| {
        let mut other = made.clone();
        *other.pointer_mut(pointer).expect("a member") = value;
        other
    };
    let data = made["response"]["authenticatorData"].as_str().expect("text");
    let mut data = BASE64URL_NOPAD.decode(data.as_bytes()).expect("base64url");
    data[36] += 1;
    for (what, wrong) in [
        ("another's handle", with("/response/userHandle", json!(BASE64URL_NOPAD.encode(&caseys.handle)))),
        ("no handle", with("/response/userHandle", Value::Null)),
        (
            "another counter than was signed",
            with("/response/authenticatorData", json!(BASE64URL_NOPAD.encode(&data))),
        ),
        ("no signature", with("/response/signature", json!(""))),
        ("no data", with("/response/authenticatorData", json!("AA"))),
        ("no JSON", with("/response/clientDataJSON", json!("AA"))),
        ("another type", with("/type", json!("password"))),
        ("a text that has no end", with("/response/signature", json!("A".repeat(20_000)))),
        ("a number", with("/rawId", json!(1))),
        ("no object", json!([])),
    ] {
        same(what, world.brings(&challenge, &wrong).await);
    }
    for (what, ceremony) in
        [("no ceremony", json!("")), ("a number", json!(1)), ("a long one", json!("A".repeat(13_000)))]
    {
        same(what, world.brings(&json!({ "ceremony": ceremony }), &made).await);
    }
    let body = |more: Value| {
        let mut body = json!({ "ceremony": challenge["ceremony"], "credential": made, "tokens": "body" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    for wrong in [
        json!({}),
        body(json!({ "more": 1 })),
        body(json!({ "tokens": "mail" })),
        body(json!({ "role": "boss" })),
        body(json!({ "credential": { "more": 1 } })),
    ] {
        world.post("/v1/auth/passkeys", &wrong).await.is(422).problem("invalid");
    }
    let huge = with("/response/signature", json!("A".repeat(300_000)));
    world.brings(&challenge, &huge).await.is(413);
    same(
        "a role that they do not have",
        world.post("/v1/auth/passkeys", &body(json!({ "role": "org_admin" }))).await,
    );
    // The control: nothing of that used the challenge up.
    world.brings(&challenge, &made).await.is(200);
    same("the challenge again", world.brings(&challenge, &made).await);
}

#[tokio::test]
async fn a_challenge_is_good_once_and_for_five_minutes() {
    let world = World::new().await;
    let (_, token, passkey) = holder(&world, "robin@elm.example", 7).await;
    // An authenticator that does not count relies on the challenge alone.
    let mut uncounted = Authenticator::new(&[9; 20]);
    let challenge = world.challenge_for(&token).await;
    let made = uncounted.makes(&challenge["options"], &Says::so(0));
    world.adds(&token, &challenge, &made).await.is(201);

    let challenge = world.challenge().await;
    let made = uncounted.signs(&challenge["options"], &Says::so(0));
    world.brings(&challenge, &made).await.is(200);
    world.brings(&challenge, &made).await.is(401).problem("unauthenticated");
    world.with_passkey(&uncounted, &Says::so(0)).await.is(200);
    // Another answer to the same challenge is one answer too many.
    let other = passkey.signs(&challenge["options"], &Says::so(2));
    world.brings(&challenge, &other).await.is(401).problem("unauthenticated");

    let challenge = world.challenge().await;
    let made = uncounted.signs(&challenge["options"], &Says::so(0));
    world.later(300);
    world.brings(&challenge, &made).await.is(401).problem("unauthenticated");
    let challenge = world.challenge().await;
    let made = uncounted.signs(&challenge["options"], &Says::so(0));
    world.later(299);
    let (one, other) = tokio::join!(world.brings(&challenge, &made), world.brings(&challenge, &made));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "one order decides");
    // What adds a passkey signs nobody in.
    let token = text(&world.with_passkey(&uncounted, &Says::so(0)).await.is(200), "access_token");
    let enrolment = world.challenge_for(&token).await;
    let made = uncounted.signs(&enrolment["options"], &Says::so(0));
    world.brings(&enrolment, &made).await.is(401);
}

#[tokio::test]
async fn who_may_not_come_in_does_not_with_a_passkey() {
    let world = World::new().await;
    let (who, _, passkey) = holder(&world, "robin@elm.example", 7).await;
    let user = world.here.directory.user(who.user).expect("a user");
    let change = |active: bool, expected: u64| {
        let user = residency_control::User { active, ..residency_control::User::clone(&user) };
        world.done(Command::ChangeUser { user, expected });
    };
    change(false, 1);
    world.with_passkey(&passkey, &Says::so(2)).await.is(401).problem("unauthenticated");
    change(true, 2);
    world.with_passkey(&passkey, &Says::so(2)).await.is(200);

    world.known_devices_only(true);
    let challenge = world.challenge().await;
    let made = passkey.signs(&challenge["options"], &Says::so(3));
    let refused = world.brings(&challenge, &made).await.is(403);
    assert!(device(&refused).is_some());
    refused.problem("device-not-admitted");
    world.brings(&challenge, &made).await.is(401).problem("unauthenticated");
    world.known_devices_only(false);

    world.asks_for(false, &["192.0.2.0/24"]);
    world.with_passkey(&passkey, &Says::so(4)).await.is(403).problem("address-not-allowed");
}

#[tokio::test]
async fn who_guesses_passwords_keeps_no_passkeys_holder_out() {
    let world = World::new().await;
    let (who, _, passkey) = holder(&world, "robin@elm.example", 7).await;
    for failures in 1..=5 {
        world.login(&who, "wrong").await.is(401);
        world.counted(&who, failures).await;
    }
    world.login(&who, PASSWORD).await.is(401).problem("unauthenticated");
    world.with_passkey(&passkey, &Says::so(0)).await.is(401);
    assert_eq!(world.failures(&who), 5, "a wrong passkey is no guess");
    world.with_passkey(&passkey, &Says::so(2)).await.is(200);
    assert_eq!(world.failures(&who), 5, "and a right one forgives none");
}

#[tokio::test]
async fn who_has_several_roles_says_which() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider, Role::OrgAdmin]);
    let mut body = crate::signin::shown(&who, PASSWORD);
    body["role"] = json!("provider");
    let token = text(&world.post("/v1/auth/login", &body).await.is(200), "access_token");
    let mut passkey = Authenticator::new(&[7; 20]);
    let challenge = world.challenge_for(&token).await;
    let made = passkey.makes(&challenge["options"], &Says::so(1));
    world.adds(&token, &challenge, &made).await.is(201);
    let challenge = world.challenge().await;
    let made = passkey.signs(&challenge["options"], &Says::so(2));
    let asked = world.brings(&challenge, &made).await.is(422);
    assert_eq!(asked.problem("invalid")["errors"][0]["pointer"], "/role");
    let body = json!({
        "ceremony": challenge["ceremony"], "credential": made, "role": "org_admin", "tokens": "body"
    });
    assert_eq!(world.post("/v1/auth/passkeys", &body).await.is(200).json()["role"], "org_admin");
}
