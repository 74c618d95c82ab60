//! A node that stood still while the log was cut gets a snapshot, without a restart, while everybody is served.

use tests::cluster::turn;
use tests::faults::{Signal, lives, send, wait_until};
use tests::{clinic, operate, steady};

use super::snapshot::fill;
use super::{REGIONS, knows, leader, start};

#[tokio::test]
async fn a_node_that_stood_still_catches_up_by_snapshot_while_all_are_served() {
    let _turn = turn().await;
    let cluster = start("far-behind");
    let lead = leader(&cluster, &REGIONS).await.expect("a leader");
    let away = REGIONS.into_iter().find(|r| **r != *lead).expect("a follower");
    let others: Vec<&str> =
        REGIONS.into_iter().filter(|r| *r != away).map(|r| cluster.region(r).jurisdiction.as_str()).collect();
    let home = cluster.region(away).jurisdiction.clone();
    let doctor = cluster.client_at(away, "provider", &home);
    let patient =
        clinic::register(&doctor, &home, &clinic::somebody(&home, 1)).await.expect("it is registered");
    let before = operate::status(&cluster, away).await.expect("a status");

    send(Signal::Stop, cluster.region(away).pid).expect("a signal");
    let work = steady::begin(&cluster, &others, 1);
    let last = fill(&cluster, &lead, |status| status["purged"].as_u64() > before["applied"].as_u64()).await;
    work.goes_on(20).await.expect("people work elsewhere");

    // What it missed is in nobody's log any more. It goes on where it stood, and serves its own all the while.
    send(Signal::Continue, cluster.region(away).pid).expect("a signal");
    let mut reads = 0;
    let caught_up = wait_until("it to catch up", async || {
        clinic::read(&doctor, &patient.path).await.expect("its own patient is read meanwhile");
        reads += 1;
        let status = operate::status(&cluster, away).await.ok()?;
        (status["snapshot"].as_u64() > before["applied"].as_u64()).then_some(status)
    });
    let status = caught_up.await.expect("it has the snapshot");
    assert!(reads > 0 && status["snapshot"].as_u64() > before["snapshot"].as_u64(), "{status} after {before}");
    assert!(lives(cluster.region(away).pid), "it was not restarted");
    knows(&cluster.client_at(away, "auditor", &home), &last.to_string()).await.expect("it knows the last one");
    clinic::register(&doctor, &home, &clinic::somebody(&home, 2)).await.expect("it registers");
    let done = work.end().await;
    assert!(done.failed.is_empty(), "of {} requests failed:\n{}", done.requests, done.failed.join("\n"));
}
