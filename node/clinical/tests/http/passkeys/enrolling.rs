//! Adding passkeys, showing and removing them.

use residency_control::signin::SignIns;
use residency_policy::Role;
use serde_json::{Value, json};

use super::authenticator::{Authenticator, COPIED, MAY_BE_COPIED, PRESENT, RP_ID, Says, VERIFIED};
use super::holder;
use crate::authenticators::enrolled;
use crate::signin::{PASSWORD, shown, text};
use crate::support::World;

#[tokio::test]
async fn whoever_knows_their_password_adds_a_passkey_and_a_password_alone_signs_them_in_no_more() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let before = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    let token = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    for (body, status) in [
        (json!({ "password": "wrong" }), 401),
        (json!({}), 422),
        (json!({ "password": PASSWORD, "more": 1 }), 422),
    ] {
        world.as_holder(&token, "POST", "/options", Some(&body)).await.is(status);
    }
    world.counted(&who, 1).await;
    let key = world.as_holder("provider", "POST", "/options", Some(&json!({ "password": PASSWORD }))).await;
    key.is(409).problem("illegal-transition");

    let challenge = world.challenge_for(&token).await;
    let options = &challenge["options"];
    assert_eq!(options["rp"], json!({ "id": RP_ID, "name": "Domicile" }));
    assert_eq!(options["user"]["name"], "robin@elm.example");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    let mut passkey = Authenticator::new(&[7; 20]);
    let says = Says { flags: PRESENT | VERIFIED | MAY_BE_COPIED | COPIED, ..Says::so(0) };
    let answer = world.adds(&token, &challenge, &passkey.makes(options, &says)).await.is(201);
    assert!(!answer.header("x-log-index").is_empty());
    assert_eq!((world.status_of(&before).await, world.status_of(&token).await), (401, 200), "the others ended");
    let own = world.own(&token).await;
    assert_eq!((own.len(), &own[0]), (1, &answer.json()));
    assert_eq!((&own[0]["backed_up"], own[0].get("last_used_at")), (&json!(true), None));
    let sessions = world.ask(&token, "GET", "/v1/auth/sessions").without("purpose-of-use").send().await;
    assert_eq!(sessions.is(200).json()["data"][0]["assurance"], 2);

    // No way back to a password alone; a code of an authenticator that is not there is a wrong one.
    world.login(&who, PASSWORD).await.is(401).problem("second-factor-required");
    let mut body = shown(&who, PASSWORD);
    body["code"] = json!("123456");
    world.post("/v1/auth/login", &body).await.is(401).problem("unauthenticated");
    world.with_passkey(&passkey, &says).await.is(200);

    // An authenticator has one passkey of an account.
    let next = world.challenge_for(&token).await;
    let excluded = next["options"]["excludeCredentials"].as_array().expect("a list");
    assert_eq!(excluded.len(), 1);
    let again = passkey.makes(&next["options"], &says);
    world.adds(&token, &next, &again).await.is(422).problem("invalid");
}

#[tokio::test]
async fn what_an_authenticator_was_not_asked_for_is_not_added() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let token = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    let mut passkey = Authenticator::new(&[7; 20]);
    let right = Says::so(1);
    let other = world.challenge_for(&token).await["options"]["challenge"].as_str().map(str::to_owned);
    for (what, says) in [
        ("another origin", Says { origin: "https://evil.example".to_owned(), ..right.clone() }),
        ("another port", Says { origin: "https://clinic.example:8443".to_owned(), ..right.clone() }),
        ("a subdomain", Says { origin: "https://a.clinic.example".to_owned(), ..right.clone() }),
        ("a frame elsewhere", Says { cross_origin: true, ..right.clone() }),
        ("another relying party", Says { rp_id: "evil.example", ..right.clone() }),
        ("nobody verified", Says { flags: PRESENT, ..right.clone() }),
        ("nobody there", Says { flags: VERIFIED, ..right.clone() }),
        ("a copy of what may not be copied", Says { flags: PRESENT | VERIFIED | COPIED, ..right.clone() }),
        ("another challenge", Says { challenge: other, ..right.clone() }),
        ("an assertion", Says { kind: Some("webauthn.get"), ..right.clone() }),
    ] {
        let challenge = world.challenge_for(&token).await;
        let made = passkey.makes(&challenge["options"], &says);
        let refused = world.adds(&token, &challenge, &made).await;
        assert_eq!(refused.status, 422, "{what}: {}", refused.text());
        assert_eq!(refused.problem("invalid")["errors"][0]["pointer"], "/credential", "{what}");
    }
    for (len, status) in [(15, 422), (256, 422)] {
        let mut odd = Authenticator::new(&vec![7; len]);
        let challenge = world.challenge_for(&token).await;
        let made = odd.makes(&challenge["options"], &right);
        world.adds(&token, &challenge, &made).await.is(status);
    }
    let challenge = world.challenge_for(&token).await;
    let made = passkey.makes(&challenge["options"], &right);
    let with = |pointer: &str, value: Value| {
        let mut other = made.clone();
        *other.pointer_mut(pointer).expect("a member") = value;
        other
    };
    for wrong in [
        with("/type", json!("password")),
        with("/response/attestationObject", json!("oA")),
        with("/response/attestationObject", json!("A".repeat(20_000))),
        with("/response/clientDataJSON", json!(1)),
        with("/response", json!([])),
        with("/response", json!({ "more": 1 })),
        json!({ "more": 1 }),
        json!("text"),
    ] {
        world.adds(&token, &challenge, &wrong).await.is(422).problem("invalid");
    }
    let huge = with("/response/attestationObject", json!("A".repeat(300_000)));
    world.adds(&token, &challenge, &huge).await.is(413);
    assert_eq!(world.own(&token).await.len(), 0);
    // The control.
    world.adds(&token, &challenge, &made).await.is(201);
}

#[tokio::test]
async fn a_challenge_adds_one_passkey_in_time_and_for_the_session_that_asked() {
    let world = World::new().await;
    let (who, token, mut passkey) = holder(&world, "robin@elm.example", 7).await;
    let casey = world.staff("casey@elm.example", &[Role::Provider]);
    let caseys = text(&world.login(&casey, PASSWORD).await.is(200), "access_token");
    let lapsed = async |token: &str, challenge: &Value, made: &Value| {
        let refused = world.adds(token, challenge, made).await.is(422);
        assert_eq!(refused.problem("invalid")["errors"][0]["pointer"], "/ceremony");
    };

    let challenge = world.challenge_for(&token).await;
    let mut second = Authenticator::new(&[8; 20]);
    let made = second.makes(&challenge["options"], &Says::so(1));
    lapsed(&caseys, &challenge, &made).await;
    let other = text(&world.with_passkey(&passkey, &Says::so(2)).await.is(200), "access_token");
    lapsed(&other, &challenge, &made).await;
    // What begins a sign-in adds nothing.
    let sign_in = world.challenge().await;
    let options = json!({ "challenge": sign_in["options"]["challenge"], "user": challenge["options"]["user"] });
    lapsed(&token, &sign_in, &second.makes(&options, &Says::so(1))).await;
    for text in ["", "A", &challenge["ceremony"].as_str().expect("text")[..60]] {
        lapsed(&token, &json!({ "ceremony": text }), &made).await;
    }
    world.later(300);
    lapsed(&token, &challenge, &made).await;

    let challenge = world.challenge_for(&token).await;
    let made = second.makes(&challenge["options"], &Says::so(1));
    world.adds(&token, &challenge, &made).await.is(201);
    lapsed(&token, &challenge, &made).await;
    assert_eq!(world.own(&token).await.len(), 2);
    // Two passkeys that are called the same are none, whoever has the other.
    let challenge = world.challenge_for(&caseys).await;
    let same = passkey.makes(&challenge["options"], &Says::so(1));
    world.adds(&caseys, &challenge, &same).await.is(409).problem("already-exists");
    assert_eq!(world.here.directory.signins().passkeys_of(who.org, who.user).count(), 2);
}

#[tokio::test]
async fn there_are_eight_at_most_and_whoever_has_an_authenticator_shows_a_code() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (token, _, codes) = enrolled(&world, &who).await;
    let ask = async |code: Option<&str>| {
        let mut body = json!({ "password": PASSWORD });
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        world.as_holder(&token, "POST", "/options", Some(&body)).await
    };
    ask(None).await.is(401).problem("second-factor-required");
    ask(Some("000000000")).await.is(401).problem("unauthenticated");
    for (n, code) in codes.iter().enumerate().take(SignIns::PASSKEYS_EACH_MAX) {
        let challenge = ask(Some(code)).await.is(200).json();
        let mut passkey = Authenticator::new(&[u8::try_from(n).expect("is small"); 16]);
        let made = passkey.makes(&challenge["options"], &Says::so(0));
        world.adds(&token, &challenge, &made).await.is(201);
    }
    ask(Some(&codes[7])).await.is(401);
    ask(Some(&codes[8])).await.is(409).problem("illegal-transition");
    // The authenticator and its codes go on.
    let mut login = shown(&who, PASSWORD);
    login["code"] = json!(codes[9]);
    world.post("/v1/auth/login", &login).await.is(200);
}

#[tokio::test]
async fn a_holder_removes_a_passkey_in_a_fresh_session_and_it_signs_nobody_in_any_more() {
    let world = World::new().await;
    let (_, token, passkey) = holder(&world, "robin@elm.example", 7).await;
    let (_, caseys, _) = holder(&world, "casey@elm.example", 8).await;
    let id = world.own(&token).await[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/{id}");
    for (who, status) in [(caseys.as_str(), 404), ("provider", 409), ("stranger", 409)] {
        world.as_holder(who, "DELETE", &path, None).await.is(status);
    }
    let nobodys = "/00000000-0000-4000-8000-000000000000";
    world.as_holder(&token, "DELETE", nobodys, None).await.is(404).problem("not-found");
    world.later(899);
    let fresh = text(&world.with_passkey(&passkey, &Says::so(2)).await.is(200), "access_token");
    world.later(1);
    let stale = text(&world.with_passkey(&passkey, &Says::so(3)).await.is(200), "access_token");
    // The access token ended with the quarter of an hour; so did the time in which the session may remove anything.
    world.as_holder(&token, "DELETE", &path, None).await.is(401);
    world.as_holder(&fresh, "DELETE", &path, None).await.is(204);
    world.as_holder(&fresh, "DELETE", &path, None).await.is(404);
    assert_eq!((world.status_of(&fresh).await, world.status_of(&stale).await), (200, 401), "the others ended");
    assert_eq!(world.own(&fresh).await, Vec::<Value>::new());
    world.with_passkey(&passkey, &Says::so(4)).await.is(401).problem("unauthenticated");
}

#[tokio::test]
async fn a_session_that_was_left_open_removes_nothing() {
    let world = World::new().await;
    let (_, _, passkey) = holder(&world, "robin@elm.example", 7).await;
    let answer = world.with_passkey(&passkey, &Says::so(2)).await.is(200);
    let id = world.own(&text(&answer, "access_token")).await[0]["id"].as_str().expect("an id").to_owned();
    world.later(900);
    let refreshed = json!({ "refresh_token": text(&answer, "refresh_token") });
    let token = text(&world.post("/v1/auth/refresh", &refreshed).await.is(200), "access_token");
    let refused = world.as_holder(&token, "DELETE", &format!("/{id}"), None).await.is(403);
    assert_eq!(refused.problem("forbidden")["reason"], "step-up-required");
    assert_eq!(world.own(&token).await.len(), 1);
}

#[tokio::test]
async fn an_invitation_that_is_taken_up_forgets_the_passkeys() {
    let world = World::new().await;
    let (who, _, passkey) = holder(&world, "robin@elm.example", 7).await;
    let path = format!("/v1/users/{}/invitations", who.user);
    let body = json!({ "login": who.login });
    let invited = world.ask("org_admin", "POST", &path).without("purpose-of-use").json(&body).send().await;
    let invitation = text(&invited.is(201), "invitation");
    world.with_passkey(&passkey, &Says::so(2)).await.is(200);
    let next = "seven lamps over a quiet canal";
    let accepted = json!({ "invitation": invitation, "password": next });
    world.post("/v1/auth/invitations/accept", &accepted).await.is(204);
    world.with_passkey(&passkey, &Says::so(3)).await.is(401).problem("unauthenticated");
    world.login(&who, next).await.is(200);
}

#[tokio::test]
async fn who_has_passkeys_alone_changes_their_password_in_a_session_that_was_begun_with_one() {
    let world = World::new().await;
    let (who, _, passkey) = holder(&world, "robin@elm.example", 7).await;
    let token = text(&world.with_passkey(&passkey, &Says::so(2)).await.is(200), "access_token");
    let next = "seven lamps over a quiet canal";
    let change = |current: &str| json!({ "current_password": current, "new_password": next });
    let put = async |body: &Value| {
        world.ask(&token, "PUT", "/v1/auth/password").without("purpose-of-use").json(body).send().await
    };
    put(&change("wrong")).await.is(401);
    world.counted(&who, 1).await;
    put(&change(PASSWORD)).await.is(204);
    world.login(&who, next).await.is(401).problem("second-factor-required");
}
