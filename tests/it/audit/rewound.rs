//! A database that lost what was published of its log: the region itself stops, and the others are alarmed.

use std::time::Duration;

use tests::client::Client;
use tests::clinic;
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::{Signal, send, wait_for, wait_until};
use tests::postgres;

use super::Log;

const HOME: &str = "US-TX";

/// One number of a node's page, as it is spelt there.
async fn number(door: &Client, name: &str) -> Option<f64> {
    let page = door.get("/metrics").await.ok()?.text();
    let line = page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

async fn is(door: &Client, name: &str, wanted: f64) -> Option<()> {
    number(door, name).await.filter(|found| (found - wanted).abs() < f64::EPSILON).map(|_| ())
}

#[tokio::test]
async fn a_log_that_was_rewound_stops_and_is_suspected_within_five_seconds() {
    const SUSPECT: &str = "domicile_audit_log_suspect{log=\"US-TX\"}";
    const STOPPED: &str = "domicile_audit_log_stopped";
    let _turn = turn().await;
    let wish = Wish { name: "rewound", people: 6, more: Vec::new() };
    let cluster = Cluster::start(&wish).unwrap_or_else(|e| panic!("{e:#}"));
    let door = |region: &str| cluster.nobody().at(&cluster.region(region).url);
    let (texas, california) = (door("tx"), door("ca"));
    let log = Log::at(texas.clone(), HOME);
    let doctor = cluster.client("provider", HOME);
    let patient = clinic::register(&doctor, HOME, &clinic::somebody(HOME, 41)).await.expect("it is registered");
    wait_until("the log to be cosigned", async || log.get("cosigned").await.ok()?.map(|_| ()))
        .await
        .expect("it is");
    // The control: nobody is alarmed.
    assert_eq!(number(&california, SUSPECT).await, Some(0.0));
    assert_eq!(number(&texas, STOPPED).await, Some(0.0));

    // As an older backup would be: neither the last leaves nor their heads.
    let owner = postgres::as_in(&cluster, cluster.region("tx"), "migrate").await.expect("the owner connects");
    let planted = "BEGIN;
        ALTER TABLE audit_leaves DISABLE TRIGGER USER;
        ALTER TABLE audit_checkpoints DISABLE TRIGGER USER;
        DELETE FROM audit_leaves WHERE leaf_index > 0;
        DELETE FROM audit_checkpoints WHERE size > 1;
        ALTER TABLE audit_leaves ENABLE ALWAYS TRIGGER audit_leaves_append_only;
        ALTER TABLE audit_leaves ENABLE ALWAYS TRIGGER audit_leaves_kept;
        ALTER TABLE audit_checkpoints ENABLE ALWAYS TRIGGER audit_checkpoints_append_only;
        ALTER TABLE audit_checkpoints ENABLE ALWAYS TRIGGER audit_checkpoints_kept;
        COMMIT";
    owner.batch_execute(planted).await.expect("a planted fault");
    let within = Duration::from_secs(5);
    wait_for("the others' alarm", within, async || is(&california, SUSPECT, 1.0).await).await.expect("alarmed");
    wait_until("the region's own alarm", async || is(&texas, STOPPED, 1.0).await).await.expect("it stops");

    // Nothing of it costs anybody an access, and it is not forgotten with the process.
    clinic::read(&doctor, &patient.path).await.expect("the chart is read");
    let pid = cluster.region("tx").pid;
    send(Signal::Kill, pid).expect("a signal");
    wait_until("the alarm of the next process", async || is(&texas, STOPPED, 1.0).await)
        .await
        .expect("it stops");
    let ready = texas.get("/readyz").await.expect("an answer").json();
    assert_eq!(ready["audit_log"]["ok"], false, "{ready}");
    assert!(ready["audit_log"]["wrong"].as_str().is_some_and(|says| says.contains("published")), "{ready}");
    let leaves = "SELECT count(*) FROM audit_leaves";
    let inspect = postgres::inspect(cluster.region("tx")).await.expect("the database");
    let left: i64 = inspect.query_one(leaves, &[]).await.expect("a count").get(0);
    assert_eq!(left, 1, "nothing is added where it would be a fork");
}
