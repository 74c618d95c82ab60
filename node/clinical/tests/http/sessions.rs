//! Sessions over HTTP: how they go on, and how they end.

use node_signin::Issuer;
use residency_control::signin::SignInChange;
use residency_control::{Command, Membership, Memberships, User};
use residency_policy::{Role, UserId};
use residency_tokens::{Claims, Verifier};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::signin::{PASSWORD, Somebody, shown, text};
use crate::support::{Answer, CLUSTER, World};

const DAY: i64 = 86_400;

async fn refresh(world: &World, token: &str) -> Answer {
    world.post("/v1/auth/refresh", &json!({ "refresh_token": token })).await
}

async fn signed_in(world: &World, who: &Somebody) -> (String, String) {
    let answer = world.login(who, PASSWORD).await.is(200);
    (text(&answer, "access_token"), text(&answer, "refresh_token"))
}

async fn sessions(world: &World, token: &str) -> Vec<Value> {
    let answer = world.ask(token, "GET", "/v1/auth/sessions").without("purpose-of-use").send().await.is(200);
    answer.json()["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_ends_its_session_when_it_comes_again() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (first_access, first) = signed_in(&world, &who).await;
    let second = refresh(&world, &first).await.is(200);
    let (second_access, second) = (text(&second, "access_token"), text(&second, "refresh_token"));
    assert_ne!(first, second);
    for token in [&first_access, &second_access] {
        assert_eq!(world.status_of(token).await, 200);
    }
    // A guess at the half that stays ends nothing.
    let guess = format!("{}{}", &second[..40], "A".repeat(second.len() - 40));
    refresh(&world, &guess).await.is(401);
    assert_eq!(world.status_of(&second_access).await, 200);

    refresh(&world, &first).await.is(401).problem("unauthenticated");
    for token in [&first_access, &second_access] {
        assert_eq!(world.status_of(token).await, 401, "the whole session has ended");
    }
    refresh(&world, &second).await.is(401);
}

#[tokio::test]
async fn two_who_refresh_at_once_are_found_out() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (_, token) = signed_in(&world, &who).await;
    let (one, other) = tokio::join!(refresh(&world, &token), refresh(&world, &token));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    assert!(world.book.state.lock().expect("a lock").signin().sessions().is_empty());
}

#[tokio::test]
async fn a_session_ends_with_its_time_however_often_it_is_refreshed() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (_, idle) = signed_in(&world, &who).await;
    let (_, mut token) = signed_in(&world, &who).await;
    for _ in 0..12 {
        world.later(3_599);
        let next = refresh(&world, &token).await.is(200);
        token = text(&next, "refresh_token");
    }
    refresh(&world, &idle).await.is(401);
    world.later(12);
    refresh(&world, &token).await.is(401);
}

#[tokio::test]
async fn whoever_signs_out_is_nobody_from_then_on() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (stays, _) = signed_in(&world, &who).await;
    let (access, token) = signed_in(&world, &who).await;
    world.ask(&access, "POST", "/v1/auth/logout").json(&json!({})).send().await.is(204);
    assert_eq!(world.status_of(&access).await, 401);
    refresh(&world, &token).await.is(401);
    // With what is left when the access token is over.
    let (access, token) = signed_in(&world, &who).await;
    world.later(901);
    world.post("/v1/auth/logout", &json!({ "refresh_token": token })).await.is(204);
    refresh(&world, &token).await.is(401);
    assert_eq!(
        (world.status_of(&access).await, world.status_of(&stays).await),
        (401, 401),
        "their time was over"
    );
    world.post("/v1/auth/logout", &json!({})).await.is(204);
    assert_eq!(world.book.state.lock().expect("a lock").signin().sessions().len(), 1, "the other one goes on");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_whose_they_are_and_by_administrators() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let admin = world.staff("morgan@elm.example", &[Role::OrgAdmin]);
    let (mine, _) = signed_in(&world, &who).await;
    let (lost, _) = signed_in(&world, &who).await;
    let (boss, _) = signed_in(&world, &admin).await;
    let listed = sessions(&world, &mine).await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed.iter().filter(|one| one["current"] == true).count(), 1);
    let id = |token: String| async {
        let all = sessions(&world, &{ token }).await;
        let current = all.into_iter().find(|one| one["current"] == true).expect("its own");
        current["id"].as_str().expect("an id").to_owned()
    };
    let (lost_id, boss_id, mine_id) = (id(lost.clone()).await, id(boss.clone()).await, id(mine.clone()).await);
    let end = |token: &str, id: &str| {
        let asking = world.ask(token, "DELETE", &format!("/v1/auth/sessions/{id}"));
        asking.without("purpose-of-use").send()
    };
    end(&mine, &boss_id).await.is(404).problem("not-found");
    end("stranger", &mine_id).await.is(404).problem("not-found");
    let whose = format!("/v1/auth/sessions?user={}", admin.user);
    world.ask(&mine, "GET", &whose).without("purpose-of-use").send().await.is(404);
    end(&mine, &lost_id).await.is(204);
    assert_eq!((world.status_of(&lost).await, world.status_of(&mine).await), (401, 200));
    let theirs =
        world.ask(&boss, "GET", &format!("/v1/auth/sessions?user={}", who.user)).without("purpose-of-use");
    assert_eq!(theirs.send().await.is(200).json()["data"].as_array().map(Vec::len), Some(1));
    end(&boss, &mine_id).await.is(204);
    assert_eq!(world.status_of(&mine).await, 401);
    end(&boss, &mine_id).await.is(404);
    assert_eq!(sessions(&world, "provider").await, Vec::<Value>::new(), "a key has no sessions");
}

#[tokio::test]
async fn a_suspension_ends_what_somebody_holds_for_good() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (access, token) = signed_in(&world, &who).await;
    let user = |active| User {
        id: who.user,
        name: "Robin Sample".parse().expect("a name"),
        memberships: Memberships::new(vec![Membership { org: who.org, roles: Role::Provider.into(), active }])
            .expect("one"),
        active: true,
        version: 1,
    };
    world.done(Command::ChangeUser { user: user(false), expected: 1 });
    assert_eq!(world.status_of(&access).await, 401);
    world.login(&who, PASSWORD).await.is(401);
    world.done(Command::ChangeUser { user: user(true), expected: 2 });
    assert_eq!(world.status_of(&access).await, 401);
    refresh(&world, &token).await.is(401);
    world.login(&who, PASSWORD).await.is(200);
}

/// Keys come and go without a break, and a token of a key that is gone, or of another cluster, is nobody's.
#[tokio::test]
async fn signing_keys_are_shown_and_change_without_a_break() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let jwks = async || {
        let answer =
            world.ask("", "GET", "/.well-known/jwks.json").without("authorization").send().await.is(200);
        answer.json()["keys"].as_array().expect("keys").clone()
    };
    let before = jwks().await;
    assert_eq!(before.len(), 1);
    assert_eq!((before[0]["kty"].as_str(), before[0]["alg"].as_str()), (Some("OKP"), Some("EdDSA")));
    let (access, _) = signed_in(&world, &who).await;
    let now = world.here.clock.now().as_second();
    let another = tempfile::tempdir().expect("a folder");
    let region = world.here.region;
    let issuer = Issuer::open(CLUSTER.to_owned(), region, another.path()).expect("opens");
    let [key] = &issuer.tend(now, &TestEntropy::default()).expect("a key")[..] else { panic!("one key") };
    let claims = || {
        let public = world.book.state.lock().expect("a lock").signin().clone();
        let key = |id| public.signing_key(id).cloned();
        Verifier::new(CLUSTER).claims(&access, now, key).expect("its claims")
    };
    let unpublished = issuer.sign(&claims(), |_| true).expect("signs");
    assert_eq!(world.status_of(&unpublished).await, 401, "nobody has heard of its key");
    assert_eq!(issuer.sign(&claims(), |_| false), None, "which is why a node does not use it");
    world.done(Command::SignIn(SignInChange::AddSigningKey(key.clone())));
    assert_eq!(jwks().await.len(), 2);
    assert_eq!(world.status_of(&unpublished).await, 200, "the control");
    let other = "domicile:other";
    for (iss, aud) in [(other, CLUSTER), (CLUSTER, other), (other, other), ("", CLUSTER), (CLUSTER, "")] {
        let claims = Claims { iss: iss.to_owned(), aud: aud.to_owned(), ..claims() };
        let elsewhere = issuer.sign(&claims, |_| true).expect("signs");
        assert_eq!(world.status_of(&elsewhere).await, 401, "by {iss:?}, for {aud:?}");
    }
    let mut longer = claims();
    longer.exp = key.not_after + 1;
    assert_eq!(
        world.status_of(&issuer.sign(&longer, |_| true).expect("signs")).await,
        401,
        "it outlives its key"
    );

    // The next key is there a day before it signs; both are good then.
    let near = issuer.tend(now + 29 * DAY, &TestEntropy::default()).expect("keys");
    assert_eq!(near.len(), 2);
    let next = near.iter().find(|one| one.id != key.id).expect("another one");
    assert_eq!((next.not_before, next.not_after), (now + 30 * DAY, now + 61 * DAY));
    assert_eq!(issuer.tend(now + 29 * DAY, &TestEntropy::default()).expect("keys"), near, "once");
    let again = Issuer::open(CLUSTER.to_owned(), region, another.path()).expect("opens");
    let mut kept = again.tend(now + 29 * DAY, &TestEntropy::default()).expect("keys");
    kept.sort_unstable_by_key(|one| one.not_before);
    assert_eq!(kept, near, "they are on disk");
    let left = again.tend(now + 31 * DAY, &TestEntropy::default()).expect("keys");
    assert_eq!(left, std::slice::from_ref(next), "and what nothing can be good of is forgotten");
    assert_eq!(std::fs::read_dir(another.path()).expect("a folder").count(), 1);
}

#[tokio::test]
async fn without_a_quorum_nobody_signs_in_and_whoever_is_signed_in_goes_on() {
    let world = World::new().await;
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (access, token) = signed_in(&world, &who).await;
    world.book.quorum.store(false, std::sync::atomic::Ordering::SeqCst);
    world.login(&who, PASSWORD).await.is(503).problem("control-unavailable");
    refresh(&world, &token).await.is(503).problem("control-unavailable");
    assert_eq!(world.status_of(&access).await, 200);
    let stranger = Somebody { user: UserId::from_bytes([7; 16]), login: "x@y".to_owned(), ..who };
    let before = world.desk.hashing.hashed();
    world.post("/v1/auth/login", &shown(&stranger, PASSWORD)).await.is(503).problem("control-unavailable");
    assert_eq!(world.desk.hashing.hashed(), before, "nobody guesses where failures cannot be counted");
}
