//! Signing in at a running cluster: known everywhere at once, ended everywhere within a second, and never in a log.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use tests::client::{Answer, Client};
use tests::clinic;
use tests::cluster::{Credential, shared};
use tests::faults::wait_until;

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
