//! Invitations over HTTP: who gives one out, and what comes of it.

use residency_policy::Role;
use serde_json::json;

use crate::authenticators::enrolled;
use crate::signin::{PASSWORD, Somebody, text};
use crate::support::{Answer, World};

const CHOSEN: &str = "a long sentence is a good one";

async fn invite(world: &World, by: &str, user: &str, login: &str) -> Answer {
    let asking = world.ask(by, "POST", &format!("/v1/users/{user}/invitations"));
    asking.without("purpose-of-use").json(&json!({ "login": login })).send().await
}

async fn accept(world: &World, invitation: &str, password: &str) -> Answer {
    world.post("/v1/auth/invitations/accept", &json!({ "invitation": invitation, "password": password })).await
}

#[tokio::test]
async fn whoever_is_invited_chooses_a_password_once_and_in_time() {
    let world = World::new().await;
    let user = world.colleague(&[Role::Provider]);
    let who = Somebody { org: world.org, user, login: "robin@elm.example".to_owned() };
    let first = text(&invite(&world, "org_admin", &user.to_string(), &who.login).await.is(201), "invitation");
    let answer = invite(&world, "org_admin", &user.to_string(), &who.login).await.is(201);
    assert_eq!(answer.json()["login"], "robin@elm.example");
    let second = text(&answer, "invitation");
    accept(&world, &first, CHOSEN).await.is(401).problem("unauthenticated");
    let short = accept(&world, &second, "14 characters.").await.is(422).problem("invalid");
    assert_eq!(short["errors"][0]["pointer"], "/password");
    for guessed in ["passwordpassword", "Elm Street Clinic!", "robin@elm.example", "domicile-domicile"] {
        let answer = accept(&world, &second, guessed).await.is(422).problem("invalid");
        let error = &answer["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!("/password"), &json!("guessable")));
        accept(&world, &first, guessed).await.is(401).problem("unauthenticated");
    }
    let before = world.desk.hashing.hashed();
    let other_end = if second.ends_with('A') { 'E' } else { 'A' };
    for wrong in ["", "di_", "nonsense", &format!("{}{other_end}", &second[..second.len() - 1])] {
        accept(&world, wrong, CHOSEN).await.is(401);
    }
    assert_eq!(world.desk.hashing.hashed(), before, "a guess takes nobody's time");
    world.later(3 * 86_400 - 1);
    accept(&world, &second, CHOSEN).await.is(204);
    accept(&world, &second, CHOSEN).await.is(401);
    world.login(&who, CHOSEN).await.is(200);

    let late = text(&invite(&world, "org_admin", &user.to_string(), &who.login).await.is(201), "invitation");
    world.later(3 * 86_400);
    accept(&world, &late, CHOSEN).await.is(401);
}

#[tokio::test]
async fn one_factor_invites_nobody_once_an_administrator_has_two() {
    let world = World::new().await;
    let (clinician, administrator) = (
        world.staff("robin@elm.example", &[Role::Provider]),
        world.staff("ash@elm.example", &[Role::OrgAdmin]),
    );
    let new = world.colleague(&[Role::OrgAdmin]).to_string();
    enrolled(&world, &clinician).await;
    invite(&world, "org_admin", &new, "new@elm.example").await.is(201);
    enrolled(&world, &administrator).await;
    for user in [new.clone(), administrator.user.to_string()] {
        let refused = invite(&world, "org_admin", &user, "new@elm.example").await.is(403).problem("forbidden");
        assert_eq!(refused["reason"], "step-up-required");
    }
    invite(&world, "sure_admin", &new, "new@elm.example").await.is(201);
}

#[tokio::test]
async fn one_factor_gives_nobody_a_role_once_an_administrator_has_two() {
    let world = World::new().await;
    let administrator = world.staff("ash@elm.example", &[Role::OrgAdmin]);
    let users = format!("/v1/orgs/{}/users", world.org);
    let add = async |by: &str, role: &str| {
        let body = json!({ "name": "Robin Sample", "roles": [role] });
        world.ask(by, "POST", &users).without("purpose-of-use").json(&body).send().await
    };
    // Somebody has to be the first.
    let first = add("org_admin", "org_admin").await.is(201).header("location").to_owned();
    enrolled(&world, &administrator).await;
    for role in ["org_admin", "provider"] {
        let refused = add("org_admin", role).await.is(403).problem("forbidden");
        assert_eq!(refused["reason"], "step-up-required", "{role}");
        add("sure_admin", role).await.is(201);
    }
    // Nor is somebody who is there already given another role.
    for (by, status) in [("org_admin", 403), ("sure_admin", 200)] {
        let ask = world.ask(by, "PATCH", &first).without("purpose-of-use").header("if-match", "\"1\"");
        let answer = ask.json(&json!({ "roles": ["org_admin", "provider"] })).send().await.is(status);
        assert_eq!(status == 403, answer.text().contains("step-up-required"), "{by}");
    }
}

#[tokio::test]
async fn a_new_invitation_ends_what_signed_in_before_when_it_is_taken_up() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let access = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    let answer = invite(&world, "org_admin", &who.user.to_string(), &who.login).await.is(201);
    assert_eq!(world.status_of(&access).await, 200, "an invitation alone changes nothing");
    world.login(&who, PASSWORD).await.is(200);
    accept(&world, &text(&answer, "invitation"), CHOSEN).await.is(204);
    assert_eq!(world.status_of(&access).await, 401);
    world.login(&who, PASSWORD).await.is(401);
    world.login(&who, CHOSEN).await.is(200);
}

#[tokio::test]
async fn only_administrators_invite_and_only_who_works_there() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let other = world.colleague(&[Role::Provider]);
    let (who_id, other_id) = (who.user.to_string(), other.to_string());
    invite(&world, "provider", &who_id, &who.login).await.is(403).problem("forbidden");
    invite(&world, "stranger", &who_id, &who.login).await.is(403);
    invite(&world, "org_admin", "00000000-0000-4000-8000-000000000000", "a@b")
        .await
        .is(404)
        .problem("not-found");
    invite(&world, "org_admin", &other_id, &who.login).await.is(409).problem("already-exists");
    invite(&world, "org_admin", &who_id, "another@elm.example").await.is(409).problem("already-exists");
    for wrong in ["", "robin", "Robin@elm.example", "a b@c"] {
        invite(&world, "org_admin", &other_id, wrong).await.is(422).problem("invalid");
    }
    invite(&world, "org_admin", &other_id, "other@elm.example").await.is(201);
}
