//! Links that are cut: one way, and all of a region's.

use std::collections::BTreeMap;

use http::Method;
use links::Change;
use links::fabric::Row;
use serde_json::json;
use tests::faults::wait_until;
use tests::namespaces::{be, change, show};
use tests::{clinic, operate};

use super::{REGIONS, over_links};
use crate::control::{add_org, knows};

const CUT: Change = Change {
    delay_us: None,
    jitter_us: None,
    loss_ppm: None,
    duplicate_ppm: None,
    reorder_ppm: None,
    rate_kbit: None,
    cut: Some(true),
};

/// How many packets of each side met with a cut so far.
fn cut_by_sender(rows: &[Row]) -> BTreeMap<String, u64> {
    let mut cut = BTreeMap::new();
    for row in rows {
        *cut.entry(row.from.clone()).or_default() += row.counts.cut;
    }
    cut
}

#[tokio::test]
async fn a_leader_that_only_hears_is_replaced_and_follows_when_it_is_heard_again() {
    let Some((cluster, _turn)) = over_links("a one-way cut of the leader").await else { return };
    let leads = async |among: &[&str]| {
        wait_until("a leader", async || operate::leader(cluster, among).await).await.expect("one leads")
    };
    let first = leads(&REGIONS).await;
    let others: Vec<&str> = REGIONS.into_iter().filter(|r| **r != *first).collect();
    let home = cluster.region(others[0]).jurisdiction.clone();
    let admin = cluster.client_at(others[0], "org_admin", &home);
    let mut acknowledged = Vec::new();
    for number in 0..5 {
        acknowledged.push(add_org(&admin, &format!("Before The Cut {number}")).await.expect("it is added"));
    }

    let cut_before = cut_by_sender(&show(cluster).expect("is shown"));
    change(cluster, &first, true, CUT).expect("is cut");
    let second = leads(&others).await;
    for number in 0..5 {
        acknowledged.push(add_org(&admin, &format!("During The Cut {number}")).await.expect("changes go on"));
    }
    assert!(acknowledged.windows(2).all(|w| w[0].1 < w[1].1), "the log's indexes rise: {acknowledged:?}");
    for (from, cut) in cut_by_sender(&show(cluster).expect("is shown")) {
        assert_eq!(
            cut > cut_before[&from],
            from == first,
            "only what {first} says is cut, and it speaks: {from}"
        );
    }

    be(cluster, "us").expect("heals");
    for region in REGIONS {
        let reader = cluster.client_at(region, "auditor", &cluster.region(region).jurisdiction);
        for (org, _) in &acknowledged {
            knows(&reader, org).await.unwrap_or_else(|e| panic!("{region} {org}: {e}"));
        }
    }
    let status = operate::status(cluster, &first).await.expect("it answers");
    assert_ne!(status["leader"].as_u64(), None, "{first} follows after {second}: {status}");
}

#[tokio::test]
async fn a_region_that_is_alone_serves_its_own_and_changes_of_the_directory_are_refused() {
    const HOME: &str = "US-TX";
    let Some((cluster, _turn)) = over_links("a region that is cut off").await else { return };
    let doctor = cluster.client_at("tx", "provider", HOME);
    let admin = cluster.client_at("tx", "org_admin", HOME);
    let before = clinic::register(&doctor, HOME, &clinic::somebody(HOME, 21)).await.expect("it is registered");
    clinic::read(&cluster.client("provider", HOME), &before.path).await.expect("the router reaches it");
    change(cluster, "tx", false, CUT).expect("is cut");

    let body = json!({ "name": "Nobody Hears", "type": "provider", "serves": [HOME] });
    let key = clinic::fresh().to_string();
    let add = || admin.ask(Method::POST, "/v1/orgs").header("idempotency-key", &key).json(&body);
    let refused = add().send().await.expect("an answer");
    assert_eq!(refused.problem(503).expect("a problem"), "control-unavailable");

    let mut registered = Vec::new();
    for number in 0..5 {
        let person = clinic::somebody(HOME, 30 + number);
        let patient = clinic::register(&doctor, HOME, &person).await.expect("registration goes on");
        let read = clinic::read(&doctor, &patient.path).await.expect("reads go on");
        let changed = doctor.patch(&patient.path, &read.etag, &json!({ "email": null })).await;
        changed.and_then(|a| a.expect(200)).expect("writes go on");
        registered.push(patient);
    }
    // The others are served all the while, and of this one the router says that it is away.
    let elsewhere = cluster.client("provider", "US-NY");
    clinic::register(&elsewhere, "US-NY", &clinic::somebody("US-NY", 40)).await.expect("New York goes on");
    let away = cluster.client("provider", HOME).get(&before.path).await.expect("an answer");
    assert_eq!(away.problem(503).expect("a problem"), "home-unavailable");

    be(cluster, "us").expect("heals");
    wait_until("changes to be taken again", async || add().send().await.ok().filter(|a| a.status == 201))
        .await
        .expect("the control: with its links it is taken");
    let router = cluster.client("provider", HOME);
    for patient in &registered {
        wait_until("the router to reach it", async || clinic::read(&router, &patient.path).await.ok())
            .await
            .expect("it is there");
    }
}
