//! Without a quorum of the control plane, a region's own patients are served and registered all the same; what needs
//! the quorum is refused, and says so.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use tests::clinic;
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::{Signal, send, wait_until};

const HOME: &str = "US-TX";

/// Longer than a view of the directory counts as fresh by default.
const LONG_WITHOUT: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_region_goes_on_by_itself_and_changes_of_the_directory_are_refused() {
    let _turn = turn().await;
    let wish = Wish { name: "no-quorum", people: 6, more: Vec::new() };
    let cluster = Cluster::start(&wish).expect("it starts");
    let doctor = cluster.client_at("tx", "provider", HOME);
    let admin = cluster.client_at("tx", "org_admin", HOME);
    let before = clinic::register(&doctor, HOME, &clinic::somebody(HOME, 1)).await.expect("it is registered");
    let others: Vec<u32> = ["ca", "ny"].map(|r| cluster.region(r).pid).to_vec();
    for pid in &others {
        send(Signal::Stop, *pid).expect("a signal");
    }
    let began = Instant::now();

    let body = json!({ "name": "Nobody Agrees", "type": "provider", "serves": [HOME] });
    let key = clinic::fresh().to_string();
    let add = || admin.ask(Method::POST, "/v1/orgs").header("idempotency-key", &key).json(&body);
    let refused = add().send().await.expect("an answer");
    assert_eq!(refused.problem(503).expect("a problem"), "control-unavailable");
    assert!(refused.header("retry-after").parse::<u32>().is_ok(), "{:?}", refused.headers);

    // Who may practise where is known without asking anybody; that nobody knows better is another question.
    let search = "/v1/providers?state=TX&specialty=207Q00000X";
    let known = admin.get(search).await.and_then(|a| a.expect(200)).expect("a list");
    assert!(known.json()["data"].as_array().is_some_and(|all| !all.is_empty()), "{}", known.text());
    let best = admin.get(&format!("{search}&consistency=linearizable")).await.expect("an answer");
    assert_eq!(best.problem(503).expect("a problem"), "control-unavailable");
    let clinician = json!({ "npi": "1234567893", "name": "Nobody Agrees", "taxonomy": ["207Q00000X"] });
    let refused = admin.post("/v1/providers", &clinician).await.expect("an answer");
    assert_eq!(refused.problem(503).expect("a problem"), "control-unavailable");

    // Round after round, until the view is old by any measure; a region that lives by itself lives for long.
    let mut registered = Vec::new();
    let mut round = 0;
    while began.elapsed() < LONG_WITHOUT || round < 3 {
        round += 1;
        let age = began.elapsed();
        let person = clinic::somebody(HOME, 100 + round);
        let patient = clinic::register(&doctor, HOME, &person)
            .await
            .unwrap_or_else(|e| panic!("register after {age:?}: {e:#}"));
        let read =
            clinic::read(&doctor, &patient.path).await.unwrap_or_else(|e| panic!("read after {age:?}: {e:#}"));
        doctor
            .patch(&patient.path, &read.etag, &json!({ "email": null }))
            .await
            .and_then(|a| a.expect(200))
            .unwrap_or_else(|e| panic!("write after {age:?}: {e:#}"));
        let visit = clinic::open_encounter(&doctor, &patient, HOME, "cough", "none").await;
        visit.unwrap_or_else(|e| panic!("open an encounter after {age:?}: {e:#}"));
        doctor.get(&format!("/v1/patients?home={HOME}")).await.and_then(|a| a.expect(200)).expect("a list");
        registered.push(patient);
    }
    // Through the router too, as long as its view may be used for it.
    clinic::read(&cluster.client("provider", HOME), &before.path).await.expect("the router forwards");
    // Of a region that does not answer, the router says so.
    let away = cluster.client("provider", "US-CA").get("/v1/patients?home=US-CA").await.expect("an answer");
    assert_eq!(away.problem(503).expect("a problem"), "home-unavailable");
    assert!(away.header("retry-after").parse::<u32>().is_ok(), "{:?}", away.headers);

    for pid in &others {
        send(Signal::Continue, *pid).expect("a signal");
    }
    let added =
        wait_until("changes to be taken again", async || add().send().await.ok().filter(|a| a.status == 201))
            .await
            .expect("they are taken");
    let listed = clinic::walk(&admin, "/v1/orgs", 200).await.expect("a list");
    let named = listed.iter().filter(|o| o["name"] == "Nobody Agrees").count();
    assert_eq!(named, 1, "what was asked for many times with one key was done once: {}", added.text());
    let router = cluster.client("provider", HOME);
    for patient in &registered {
        clinic::read(&router, &patient.path).await.expect("it is there");
    }
}
