//! No record, no access, also when node and database are killed: every read that was answered has its record.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::Method;
use tests::client::Client;
use tests::cluster::{Cluster, RegionProcess, Wish, turn};
use tests::faults::{Signal, send, wait_until};
use tests::{clinic, postgres};
use uuid::Uuid;

const HOME: &str = "US-TX";
const ANSWERED_BEFORE: usize = 150;

/// Reads one patient after the other, each under an id of its own, and notes those that were answered.
async fn read_on(doctor: Client, path: String, answered: Arc<Mutex<BTreeSet<Uuid>>>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::SeqCst) {
        let request = clinic::fresh();
        let asking = doctor.ask(Method::GET, &path).header("x-request-id", &request.to_string());
        if let Ok(answer) = asking.send().await
            && answer.status == 200
        {
            assert_eq!(answer.header("x-request-id"), request.to_string());
            answered.lock().expect("a lock").insert(request);
        }
    }
}

/// Those of the answered reads that are not in the region's log.
async fn unrecorded(region: &RegionProcess, answered: &BTreeSet<Uuid>) -> BTreeSet<Uuid> {
    let log = wait_until("the database to be back", async || {
        let client = postgres::inspect(region).await.ok()?;
        let sql = "SELECT request_id FROM access_log WHERE act = 'patient.read' AND outcome = 'done'";
        client.query(sql, &[]).await.ok()
    });
    let recorded: BTreeSet<Uuid> = log.await.expect("the log").iter().map(|row| row.get(0)).collect();
    answered.difference(&recorded).copied().collect()
}

#[tokio::test]
async fn every_read_that_was_answered_is_recorded_whatever_is_killed() {
    let _turn = turn().await;
    let wish = Wish { name: "recorded", people: 3, more: Vec::new() };
    let cluster = Cluster::start(&wish).expect("a cluster");
    let doctor = cluster.client("provider", HOME);
    let patient =
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 901)).await.expect("it is registered");
    let region = cluster.region("tx").clone();

    let (answered, over) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        readers.spawn(read_on(doctor.clone(), patient.path.clone(), answered.clone(), over.clone()));
    }
    let many = async || (answered.lock().expect("a lock").len() >= ANSWERED_BEFORE).then_some(());
    wait_until("many answers", many).await.expect("they come");
    let lock = std::fs::read_to_string(region.data_dir.join("postmaster.pid")).expect("the database's process");
    let database = lock.lines().next().and_then(|line| line.trim().parse().ok()).expect("a process id");
    send(Signal::Kill, database).expect("a signal");
    send(Signal::Kill, region.pid).expect("a signal");
    over.store(true, Ordering::SeqCst);
    while readers.join_next().await.transpose().expect("a reader ends well").is_some() {}

    let answered = answered.lock().expect("a lock").clone();
    assert!(answered.len() >= ANSWERED_BEFORE);
    assert_eq!(unrecorded(&region, &answered).await, BTreeSet::new(), "of {}", answered.len());

    // The control: a record that is taken away is missed. Even the owner must first take down what prevents it.
    let owner = postgres::as_in(&cluster, &region, "migrate").await.expect("the owner");
    let gone = *answered.first().expect("an answer");
    let row = postgres::inspect(&region).await.expect("the database");
    let sql = "SELECT org_id::text FROM access_log WHERE request_id = $1";
    let org: String = row.query_one(sql, &[&gone]).await.expect("its record").get(0);
    let take = format!(
        "BEGIN; ALTER TABLE access_log DISABLE TRIGGER access_log_append_only;
        SELECT set_config('app.org_id', '{org}', true), set_config('app.purpose', 'TREAT', true),
            set_config('app.role', 'auditor', true), set_config('app.patient_id', 'any', true);
        DELETE FROM access_log WHERE request_id = '{gone}';
        ALTER TABLE access_log ENABLE ALWAYS TRIGGER access_log_append_only; COMMIT"
    );
    owner.batch_execute(&take).await.expect("a planted fault");
    assert_eq!(unrecorded(&region, &answered).await, BTreeSet::from([gone]));
}
