//! Beginning is one round trip, and so is committing. Measured on a wire that takes long enough to count.

use std::time::{Duration, Instant};

use residency_policy::{Act, OrgId, PatientId};
use storage::testing::{PostgresServer, SetClock, TestEntropy, TestRegion, scope};
use storage::{
    Access, AccessAction, Event, EventName, PoolConfig, Reading as _, RegionPool, RegionRead, RegionTx,
    Timeouts,
};

use crate::support::wire::Wire;
use crate::support::{an_org, count, read, register, texas};

const ONE_WAY: Duration = Duration::from_millis(100);
const ROUND_TRIP: Duration = Duration::from_millis(200);

/// How many round trips fit into the time; the best of several, as the machine may be busy.
fn trips(time: Duration) -> u128 {
    time.as_millis() / ROUND_TRIP.as_millis()
}

/// A pool over a wire that takes long enough to count, and a patient.
struct Far {
    region: TestRegion,
    org: OrgId,
    patient: PatientId,
    pool: RegionPool,
    _wire: Wire,
}

async fn far() -> Far {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let wire = Wire::to(PostgresServer::shared().port(), ONE_WAY).await;
    let mut server = region.config.server.clone();
    server.port = wire.port;
    let long = Duration::from_secs(20);
    let timeouts = Timeouts { wait: long, begin: long, statement: long, read: long, ..Timeouts::default() };
    let config = PoolConfig { server, timeouts, connections_max: 1, ..region.config.clone() };
    let envelope = std::sync::Arc::clone(&region.envelope);
    let pool = RegionPool::open(
        config,
        envelope,
        std::sync::Arc::new(SetClock::default()),
        std::sync::Arc::new(TestEntropy::default()),
    );
    let pool = pool.await.expect("a pool over the wire");
    pool.ping().await.expect("a connection is made");
    Far { region, org, patient, pool, _wire: wire }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beginning_and_committing_take_one_round_trip_each() {
    let Far { region, org, patient, pool, _wire } = far().await;
    let mut best = [u128::MAX; 4];
    for _ in 0..3 {
        let permit = region.permit(patient, Act::Write);
        let start = Instant::now();
        let tx = RegionTx::begin(&pool, &permit, &scope(org), "test.trips").await.expect("a transaction");
        let begun = start.elapsed();
        let start = Instant::now();
        tx.emit(&Event::new(EventName::PatientUpdated, patient.uuid())).await.expect("an event");
        let emitted = start.elapsed();
        let start = Instant::now();
        let accesses = [Access::to(AccessAction::Update, "patient", patient.uuid(), patient); 3];
        tx.commit(&accesses).await.expect("a commit");
        let committed = start.elapsed();

        // The control: the same one after the other.
        let tx = RegionTx::begin(&pool, &permit, &scope(org), "test.trips").await.expect("a transaction");
        let start = Instant::now();
        for _ in 0..3 {
            tx.query("SELECT 1 AS one", &[]).await.expect("an answer");
        }
        let one_by_one = start.elapsed();
        tx.rollback().await;
        for (slot, time) in best.iter_mut().zip([begun, emitted, committed, one_by_one]) {
            *slot = (*slot).min(trips(time));
        }
    }
    assert_eq!(best[0], 1, "round trips to begin");
    assert_eq!(best[1], 0, "round trips to emit");
    assert_eq!(best[2], 1, "round trips to commit");
    assert!(best[3] >= 3, "the control takes {} round trips", best[3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_no_answer_takes_no_round_trip() {
    let Far { region, org, patient, pool, _wire } = far().await;
    let update = "UPDATE patients SET version = version + 1, updated_at = $2 WHERE id = $1";
    let permit = region.permit(patient, Act::Write);
    let (permit, scope) = (&permit, &scope(org));
    let changed = async || {
        let ended = pool.transact(permit, scope, "test.trips", |tx| async move {
            let (id, now) = (patient.uuid(), tx.now());
            let found = tx.query_all(&[("SELECT 1 AS one", &[]), ("SELECT 2 AS two", &[])]).await?;
            assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
            tx.put(update, &[&id, &now]).await?;
            tx.put(update, &[&id, &now]).await?;
            tx.commit(&[Access::to(AccessAction::Update, "patient", id, patient)]).await
        });
        ended.await
    };
    let looked = async || {
        let tx = RegionRead::begin(&pool, permit, scope, "test.trips")?;
        tx.query_all(&[("SELECT 1 AS one", &[]), ("SELECT 2 AS two", &[])]).await?;
        tx.disclose(&read(patient)).await
    };
    let mut best = [u128::MAX; 2];
    // The first time each statement is asked for what it takes, and connections are made.
    for _ in 0..4 {
        let start = Instant::now();
        changed().await.expect("a change");
        best[0] = best[0].min(trips(start.elapsed()));
        let start = Instant::now();
        looked().await.expect("a look");
        best[1] = best[1].min(trips(start.elapsed()));
    }
    assert_eq!(
        best,
        [2, 2],
        "round trips of a change (what must be known, the rest) and of a look (it, its record)"
    );
    assert_eq!(count(&region, "SELECT version::bigint FROM patients").await, 9, "the changes were made");
}
