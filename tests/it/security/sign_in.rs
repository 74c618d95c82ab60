//! Signing in at a running cluster: known everywhere at once, ended everywhere within a second, and never in a log.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use tests::client::{Answer, Client};
use tests::clinic;
use tests::cluster::{Credential, shared};
use tests::faults::wait_until;

/// Tries for the search, each with a password of its own.
const CANARIES: usize = 100;

/// The router, and every region's own door.
fn doors() -> Vec<Client> {
    let regions = shared().described().regions.iter().map(|region| shared().nobody().at(&region.url));
    [shared().nobody()].into_iter().chain(regions).collect()
}

fn shown(who: &Credential) -> Value {
    let login = who.user.as_ref().and_then(|user| user.login.as_ref()).expect("they sign in");
    json!({ "organisation": who.org, "login": login.name, "password": login.password, "tokens": "body" })
}

async fn sign_in(door: &Client, body: &Value) -> Answer {
    door.post("/v1/auth/login", body).await.expect("an answer")
}

fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", answer.text())).to_owned()
}

async fn status(door: &Client, token: &str) -> u16 {
    door.key(token).get("/v1/regions").await.expect("an answer").status.as_u16()
}

#[tokio::test]
async fn a_session_is_known_everywhere_at_once_and_ended_everywhere_within_a_second() {
    let who = shared().credential("provider", "US-TX");
    for door in doors() {
        let answer = sign_in(&door, &shown(who)).await.expect(200).expect("they sign in");
        let (token, session) = (text(&answer, "access_token"), text(&answer, "session"));
        for other in doors() {
            assert_eq!(status(&other, &token).await, 200, "{} after {}", other.url(), door.url());
        }
        let asking = door.key(&token);
        let asking = asking.ask(Method::DELETE, &format!("/v1/auth/sessions/{session}"));
        asking.send().await.expect("an answer").expect(204).expect("it ends");
        let ended = Instant::now();
        for other in doors() {
            wait_until("the session to be refused", async || {
                (status(&other, &token).await == 401).then_some(())
            })
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", other.url()));
        }
        let took = ended.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test]
async fn whoever_signed_in_reads_a_patient_through_the_router() {
    let who = shared().credential("provider", "US-CA");
    let token = text(&sign_in(&shared().nobody(), &shown(who)).await, "access_token");
    let doctor = shared().nobody().key(&token);
    let person = clinic::somebody("US-CA", 931);
    let patient = clinic::register(&doctor, "US-CA", &person).await.expect("it is registered");
    clinic::read(&doctor, &patient.path).await.expect("it is read");
    // As what they are, and no more.
    let region = shared().region("ca");
    let operate = shared().nobody().at(&region.url).key(&token);
    let users = operate.get(&format!("/v1/orgs/{}/users", who.org)).await.expect("an answer");
    assert_eq!(users.problem(403).expect("a problem"), "forbidden");
}

#[tokio::test]
async fn the_keys_that_sign_are_shown_by_all_alike() {
    let mut seen = Vec::new();
    for door in doors() {
        let answer = door.get("/.well-known/jwks.json").await.expect("an answer").expect(200).expect("keys");
        seen.push(answer.json());
    }
    let keys = seen[0]["keys"].as_array().expect("keys").len();
    assert_eq!(keys, shared().described().regions.len(), "one for each node");
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
}

/// Passwords that are wrong and right, and every token, are in no log and no metric of anybody.
#[tokio::test]
async fn no_password_and_no_token_is_ever_told() {
    let who = shared().credential("lab_tech", "US-TX");
    let mut secrets = vec![who.user.as_ref().and_then(|u| u.login.as_ref()).expect("a login").password.clone()];
    let doors = doors();
    for n in 0..CANARIES {
        let door = &doors[n % doors.len()];
        let canary = format!("zzpassword-{}", clinic::fresh().simple());
        let mut body = shown(who);
        body["login"] = json!(format!("nobody-{n}@juniper.example"));
        body["password"] = json!(canary);
        assert_eq!(sign_in(door, &body).await.problem(401).expect("a problem"), "unauthenticated");
        assert_eq!(status(door, &canary).await, 401);
        secrets.push(canary);
        if n % 10 == 0 {
            let answer = sign_in(door, &shown(who)).await.expect(200).expect("they sign in");
            let refresh = json!({ "refresh_token": text(&answer, "refresh_token") });
            let next = door
                .post("/v1/auth/refresh", &refresh)
                .await
                .expect("an answer")
                .expect(200)
                .expect("it goes on");
            for answer in [&answer, &next] {
                secrets.extend(["access_token", "refresh_token"].map(|name| text(answer, name)));
            }
        }
    }
    let mut told = String::new();
    for door in &doors {
        told += &door.get("/metrics").await.expect("an answer").text();
    }
    let logs = shared().described().regions.iter().map(|region| region.log.clone());
    for log in logs.chain([shared().home().join("router/router.log")]) {
        told += &std::fs::read_to_string(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
    }
    assert!(told.contains("/v1/auth/login"), "the logs were read");
    // A token is looked for by its last part, which no other text has.
    let found =
        |told: &str| secrets.iter().filter(|secret| told.contains(&secret[secret.len() - 20..])).count();
    assert_eq!(found(&told), 0);
    assert_eq!(found(&format!("{told} {}", secrets[7])), 1, "the control: one that is there is found");
}
