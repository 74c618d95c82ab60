//! The node that sequences is killed again and again while people work: every record has exactly one leaf afterwards, in
//! its place, and every head that was ever signed is of the one log.

use std::collections::BTreeMap;

use residency_tlog::{Edge, Hash, leaf_hash};
use tests::client::Client as Door;
use tests::cluster::{Cluster, RegionProcess, Wish, turn};
use tests::faults::{Signal, send, wait_until};
use tests::postgres;
use tests::workspace::long;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::Log;

/// Records and leaves that are not each other's, and leaves that are not where their records are in order.
const APART: &str =
    "SELECT count(*) FROM access_log r FULL JOIN audit_leaves l ON l.xid = r.xid AND l.record_id = r.id
    LEFT JOIN (SELECT xid, id, row_number() OVER (ORDER BY xid, id) - 1 AS place FROM access_log) p
        ON p.xid = r.xid AND p.id = r.id
    WHERE r.id IS NULL OR l.leaf_index IS NULL OR l.leaf_index <> p.place";

fn texas(cluster: &Cluster) -> RegionProcess {
    let now = cluster.now().expect("cluster.json");
    now.regions.into_iter().find(|region| region.name == "tx").expect("texas")
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect("a count").get(0)
}

/// The roots of the tree at these sizes, from what the leaves are hashes of.
async fn roots(client: &Client, sizes: impl Iterator<Item = u64>) -> BTreeMap<u64, Hash> {
    let rows = client.query("SELECT entry FROM audit_leaves ORDER BY leaf_index", &[]).await.expect("leaves");
    let (mut edge, mut roots) = (Edge::new(), BTreeMap::new());
    let mut sizes = sizes.peekable();
    for row in rows {
        edge.append(leaf_hash(row.get::<_, &[u8]>(0)));
        if sizes.next_if_eq(&edge.size()).is_some() {
            roots.insert(edge.size(), edge.root());
        }
    }
    roots
}

/// Looks at a list again and again, whatever is answered, and counts how often it was shown.
async fn look(door: Door, stopped: watch::Receiver<bool>) -> i64 {
    let mut shown = 0;
    while !*stopped.borrow() {
        let answer = door.get("/v1/patients?home=US-TX&limit=2").await;
        shown += i64::from(answer.is_ok_and(|answer| answer.status == 200));
    }
    shown
}

#[tokio::test]
async fn every_record_has_exactly_one_leaf_however_often_the_sequencer_is_killed() {
    let _turn = turn().await;
    let wish = Wish { name: "sequencer-kill", people: 6, more: Vec::new() };
    let cluster = Cluster::start(&wish).unwrap_or_else(|e| panic!("{e:#}"));
    let log = Log::at(cluster.nobody().at(&cluster.region("tx").url), "US-TX");
    let database = postgres::inspect(cluster.region("tx")).await.expect("the database");
    let (stop, stopped) = watch::channel(false);
    let mut work = JoinSet::new();
    for _ in 0..3 {
        work.spawn(look(cluster.client("provider", "US-TX").http2(), stopped.clone()));
    }
    let rounds = if long() { 200 } else { 6 };
    for round in 0..rounds {
        let pid = wait_until("the node to run", async || Some(texas(&cluster).pid).filter(|pid| *pid > 0));
        let pid = pid.await.expect("a process");
        // Not in its start, which is killed often enough as it is, but while it adds.
        let before = count(&database, "SELECT count(*) FROM audit_leaves").await;
        wait_until("leaves to be added", async || {
            let now = count(&database, "SELECT count(*) FROM audit_leaves").await;
            (now > before && log.get("checkpoint").await.is_ok_and(|note| note.is_some())).then_some(())
        })
        .await
        .unwrap_or_else(|e| panic!("round {round}: {e:#}"));
        send(Signal::Kill, pid).expect("a signal");
        wait_until("another process", async || {
            let now = texas(&cluster).pid;
            (now > 0 && now != pid).then_some(())
        })
        .await
        .unwrap_or_else(|e| panic!("round {round}: {e:#}"));
    }
    stop.send_replace(true);
    let shown: i64 = work.join_all().await.iter().sum();

    wait_until("every record to have its leaf", async || (count(&database, APART).await == 0).then_some(()))
        .await
        .expect("one leaf each");
    let records = count(&database, "SELECT count(*) FROM access_log").await;
    assert_eq!(count(&database, "SELECT count(*) FROM audit_leaves").await, records);
    let lists =
        count(&database, "SELECT count(*) FROM access_log WHERE action = 'list' AND outcome = 'done'").await;
    assert!(shown > rounds && lists >= shown, "{shown} lists were shown, {lists} are recorded");
    let takers = count(&database, "SELECT count(DISTINCT token) FROM audit_leaves").await;
    assert!(takers > rounds / 2, "{takers} took over");

    let signed = "SELECT size, root FROM audit_checkpoints ORDER BY size";
    let signed = database.query(signed, &[]).await.expect("checkpoints");
    let signed: BTreeMap<u64, Vec<u8>> =
        signed.iter().map(|row| (row.get::<_, i64>(0).unsigned_abs(), row.get(1))).collect();
    let roots = roots(&database, signed.keys().copied()).await;
    assert!(signed.len() > 3 && roots.len() == signed.len(), "{} of {}", roots.len(), signed.len());
    let forked: Vec<u64> = signed
        .iter()
        .filter(|(size, root)| roots[*size].as_bytes() != &root[..])
        .map(|(size, _)| *size)
        .collect();
    assert_eq!(forked, Vec::<u64>::new(), "every head that was signed is of this log");
    // The control: with another leaf in the middle a head would not be.
    let mut edge = Edge::new();
    (0..*signed.keys().next().expect("one")).for_each(|_| edge.append(leaf_hash(b"another")));
    assert_ne!(edge.root().as_bytes(), &signed[&edge.size()][..]);
}
