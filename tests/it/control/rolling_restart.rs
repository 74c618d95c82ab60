//! Every node is restarted, one after the other, while people work through the router: no request fails, and none is
//! sent twice by whoever sent it.

use tests::cluster::{Cluster, run, turn};
use tests::faults::{Signal, lives, send, wait_until};
use tests::steady;

use super::{REGIONS, leader, start};

const HOMES: [&str; 3] = ["US-CA", "US-NY", "US-TX"];

fn pid(cluster: &Cluster, region: &str) -> u32 {
    let now = cluster.now().expect("cluster.json");
    now.regions.into_iter().find(|r| r.name == region).expect("a region").pid
}

/// Has a node end in good order, and waits until every member says that all is well again.
async fn restart(cluster: &Cluster, region: &str) {
    let before = pid(cluster, region);
    send(Signal::Terminate, before).expect("a signal");
    wait_until("the node to be another process", async || {
        let now = pid(cluster, region);
        (now != 0 && now != before && lives(now)).then_some(())
    })
    .await
    .expect("it is started again");
    let config = cluster.home().join("regions").join(region).join("node.toml");
    let config = config.to_str().expect("UTF-8").to_owned();
    let status =
        tokio::task::spawn_blocking(move || run(&["cluster", "status", "--wait", "100", "--config", &config]));
    status.await.expect("it ends").expect("all is well");
}

/// Sets how long the router holds requests for a home that is away, and has it start with that.
async fn hold(cluster: &Cluster, milliseconds: u32) {
    let file = cluster.home().join("router/router.toml");
    let written = std::fs::read_to_string(&file).expect("its configuration");
    let without = written.split("\n[timeouts]").next().expect("a beginning").to_owned();
    std::fs::write(&file, format!("{without}\n[timeouts]\nhold_ms = {milliseconds}\n")).expect("writes");
    let before = cluster.now().expect("cluster.json").router.pid;
    send(Signal::Kill, before).expect("a signal");
    wait_until("the router to be ready again", async || {
        let now = cluster.now().ok()?.router.pid;
        (now != 0 && now != before).then_some(())?;
        cluster.nobody().get("/readyz").await.ok().filter(|answer| answer.status == 200).map(|_| ())
    })
    .await
    .expect("it is ready");
}

#[tokio::test]
async fn every_node_restarts_and_no_request_fails() {
    let _turn = turn().await;
    let cluster = start("rolling-restart");
    // A node of a debug build takes its time on a machine that does other things too.
    hold(&cluster, 25_000).await;
    let work = steady::begin(&cluster, &HOMES, 2);
    work.goes_on(60).await.expect("people work");
    let first = leader(&cluster, &REGIONS).await.expect("a leader");
    // The leader among them, and whoever leads after it.
    let followers = REGIONS.into_iter().filter(|region| **region != *first);
    for region in std::iter::once(first.as_str()).chain(followers) {
        restart(&cluster, region).await;
        work.goes_on(60).await.expect("people work on");
    }
    let done = work.end().await;
    assert!(done.failed.is_empty(), "of {} requests failed:\n{}", done.requests, done.failed.join("\n"));

    // The control: with a router that holds nothing, the same work shows that a node was away.
    hold(&cluster, 0).await;
    let work = steady::begin(&cluster, &["US-TX"], 2);
    work.goes_on(20).await.expect("people work");
    restart(&cluster, "tx").await;
    let done = work.end().await;
    assert!(done.failed.iter().any(|failed| failed.contains("503")), "{done:?}");
}
