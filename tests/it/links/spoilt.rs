//! Packets are lost, doubled and overtaken, and every request is answered as if they were not.

use std::sync::Arc;

use anyhow::{Result, ensure};
use links::Change;
use links::fabric::Counts;
use serde_json::json;
use tests::client::Client;
use tests::namespaces::{change, show};
use tests::{clinic, cluster::Cluster};
use tokio::task::JoinSet;

use super::{REGIONS, over_links};

const WORKERS: u64 = 5;
const ROUNDS: u64 = 10;
/// A registration, a read, a change and a read of what was changed.
const REQUESTS: u64 = 4;

fn sum(cluster: &Cluster) -> Counts {
    show(cluster).expect("is shown").iter().fold(Counts::default(), |mut sum, row| {
        sum.sent += row.counts.sent;
        sum.lost += row.counts.lost;
        sum.twice += row.counts.twice;
        sum.held += row.counts.held;
        sum
    })
}

async fn round(doctor: &Client, home: &str, seed: u64) -> Result<()> {
    let person = clinic::somebody(home, seed);
    let patient = clinic::register(doctor, home, &person).await?;
    let read = clinic::read(doctor, &patient.path).await?;
    ensure!(read.body["family_name"] == person.family_name, "{}", read.body);
    let changed = doctor.patch(&patient.path, &read.etag, &json!({ "email": "new@example.com" })).await?;
    changed.expect(200)?;
    let again = clinic::read(doctor, &patient.path).await?;
    ensure!(again.body["email"] == "new@example.com" && again.etag != read.etag, "{}", again.body);
    Ok(())
}

#[tokio::test]
async fn two_hundred_requests_are_answered_right_over_links_that_lose_double_and_disorder() {
    let Some((cluster, _turn)) = over_links("requests over bad links").await else { return };
    let bad = Change {
        jitter_us: Some(5_000),
        loss_ppm: Some(50_000),
        duplicate_ppm: Some(20_000),
        reorder_ppm: Some(50_000),
        ..Change::default()
    };
    for side in REGIONS {
        change(cluster, side, false, bad).expect("is spoilt");
    }
    let before = sum(cluster);
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let home = ["US-TX", "US-NY"][usize::try_from(worker % 2).unwrap_or(0)];
        let doctor = Arc::new(cluster.client("provider", home));
        workers.spawn(async move {
            for number in 0..ROUNDS {
                round(&doctor, home, 1_000 * (worker + 1) + number).await?;
            }
            anyhow::Ok(ROUNDS * REQUESTS)
        });
    }
    let mut answered = 0;
    while let Some(done) = workers.join_next().await {
        answered += done.expect("it ends").expect("every answer is right");
    }
    assert_eq!(answered, 200);

    // The control: the packets under these requests did meet with all of it.
    let after = sum(cluster);
    let sent = after.sent - before.sent;
    let per_mille = |count: u64| count * 1_000 / sent.max(1);
    assert!(sent > 500, "{after:?}");
    assert!((30..70).contains(&per_mille(after.lost - before.lost)), "{before:?} {after:?}");
    assert!((8..35).contains(&per_mille(after.twice - before.twice)), "{before:?} {after:?}");
    assert!((30..70).contains(&per_mille(after.held - before.held)), "{before:?} {after:?}");
}
