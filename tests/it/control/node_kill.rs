//! A node is killed in the middle of writes: what was acknowledged is there afterwards, exactly once.

use std::collections::BTreeMap;
use std::time::Instant;

use http::Method;
use tests::client::Client;
use tests::clinic;
use tests::cluster::turn;
use tests::faults::{DEADLINE, Signal, send};

use super::start;

const HOME: &str = "US-TX";

/// Repeats a registration until it is acknowledged, and returns its id and the person's address.
async fn acknowledged(doctor: Client, number: u64) -> (String, String) {
    let person = clinic::somebody(HOME, 7_000 + number);
    let key = clinic::fresh().to_string();
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        let asking = doctor.ask(Method::POST, "/v1/patients?home=US-TX").header("idempotency-key", &key);
        let Ok(answer) = asking.json(&person).send().await else { continue };
        if answer.status == 201 {
            return (answer.json()["id"].as_str().expect("an id").to_owned(), person.email);
        }
        assert!(matches!(answer.status.as_u16(), 409 | 502 | 503), "{} {}", answer.status, answer.text());
    }
    panic!("registration {number} is not acknowledged");
}

#[tokio::test]
async fn every_acknowledged_registration_survives_exactly_once() {
    let _turn = turn().await;
    let cluster = start("node-kill");
    let doctor = cluster.client("provider", HOME);
    let first_pid = cluster.region("tx").pid;

    // Each registration is repeated with its own key until it is acknowledged, as a client must.
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..40_u64 {
        let doctor = doctor.clone();
        writers.spawn(acknowledged(doctor, number));
    }
    let mut done = BTreeMap::new();
    let mut killed = false;
    while let Some(ended) = writers.join_next().await {
        let (id, email) = ended.expect("a writer ends well");
        done.insert(id, email);
        if !killed && done.len() == 5 {
            send(Signal::Kill, first_pid).expect("a signal");
            killed = true;
        }
    }
    assert!(killed);
    assert_eq!(done.len(), 40, "every registration has an id of its own");

    for (id, email) in &done {
        clinic::read(&doctor, &format!("/v1/patients/{id}")).await.expect("it is there");
        let found = doctor
            .ask(Method::POST, "/v1/patients/search?home=US-TX")
            .json(&serde_json::json!({ "email": email }))
            .send()
            .await
            .and_then(|a| a.expect(200))
            .expect("a search")
            .json();
        let ids: Vec<_> = found["data"].as_array().into_iter().flatten().map(|p| p["id"].as_str()).collect();
        assert_eq!(ids, [Some(id.as_str())], "{email} is there exactly once");
    }
    let now = cluster.now().expect("cluster.json").regions.into_iter().find(|r| r.name == "tx").expect("tx");
    assert_ne!(now.pid, first_pid, "the supervisor started it again");
}
