//! One home: a home that has moved on cannot commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use residency_policy::{Act, Epoch, Jurisdiction, OrgId, PatientId, PlacementState, RecordId, Region};
use storage::testing::{TestEntropy, TestRegion, permit, region_permit, scope};
use storage::{Access, AccessAction, Error, Event, EventName, RegionTx};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{an_org, read, register, texas};

const WRITERS: usize = 8;
const MOVES: u32 = 48;

/// What the writers were told is safe, by epoch; and what the mover found after it had raised the fence above it.
#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<BTreeMap<u32, BTreeSet<Uuid>>>,
    copied: Mutex<BTreeMap<u32, BTreeSet<Uuid>>>,
    /// What a directory would say.
    epoch: AtomicU32,
    over: AtomicBool,
}

impl Ledger {
    fn acknowledge(&self, epoch: u32, id: Uuid) {
        self.acknowledged.lock().expect("a lock").entry(epoch).or_default().insert(id);
    }

    /// Writes that were acknowledged and that the copy of their epoch does not have.
    fn lost(&self) -> usize {
        let copied = self.copied.lock().expect("a lock");
        let acknowledged = self.acknowledged.lock().expect("a lock");
        let missing = |(epoch, ids): (&u32, &BTreeSet<Uuid>)| {
            copied.get(epoch).map_or(0, |copy| ids.difference(copy).count())
        };
        acknowledged.iter().map(missing).sum()
    }

    fn total(&self) -> usize {
        self.acknowledged.lock().expect("a lock").values().map(BTreeSet::len).sum()
    }
}

/// Raises the epoch again and again, and each time copies what is there, as a move to another home would.
async fn move_about(region: &TestRegion, patient: PatientId, ledger: &Ledger) {
    let superuser = region.as_superuser().await;
    for epoch in 1..=MOVES {
        // Every epoch sees writes: a move that met none would prove nothing.
        while ledger.acknowledged.lock().expect("a lock").get(&epoch).is_none_or(|ids| ids.len() < WRITERS) {
            tokio::task::yield_now().await;
        }
        let raised = region.pool.raise_fence(patient, Epoch(epoch + 1), PlacementState::Active).await;
        assert!(raised.expect("the fence answers"), "a later epoch is news");
        let rows = superuser.query("SELECT entity_id FROM outbox", &[]).await.expect("a copy");
        let copy = rows.iter().map(|row| row.get(0)).collect();
        ledger.copied.lock().expect("a lock").insert(epoch, copy);
        ledger.epoch.store(epoch + 1, Ordering::SeqCst);
    }
    ledger.over.store(true, Ordering::SeqCst);
}

/// Writes as the node does.
async fn write_fenced(region: Arc<TestRegion>, org: OrgId, patient: PatientId, ledger: Arc<Ledger>) {
    while !ledger.over.load(Ordering::SeqCst) {
        let epoch = ledger.epoch.load(Ordering::SeqCst);
        let id = RecordId::random(&TestEntropy::default()).uuid();
        let permit = permit(region.region(), patient, Epoch(epoch), Act::Write);
        let written = async {
            let tx = RegionTx::begin(&region.pool, &permit, &scope(org), "test.write").await?;
            tx.emit(&Event::new(EventName::EncounterOpened, id)).await?;
            tx.commit(&[Access::to(AccessAction::Create, "encounter", id, patient)]).await
        };
        match written.await {
            Ok(_) => ledger.acknowledge(epoch, id),
            Err(Error::Fenced { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Writes as a node would that checks before the transaction.
async fn write_unfenced(app: Client, org: OrgId, patient: PatientId, ledger: Arc<Ledger>) {
    while !ledger.over.load(Ordering::SeqCst) {
        let epoch = ledger.epoch.load(Ordering::SeqCst);
        let id = RecordId::random(&TestEntropy::default()).uuid();
        let home =
            app.query_one("SELECT epoch FROM patient_home WHERE patient_id = $1", &[&patient.uuid()]).await;
        if home.expect("a home row").get::<_, i64>(0) != i64::from(epoch) {
            continue;
        }
        app.batch_execute("BEGIN").await.expect("a transaction");
        let settings = "SELECT set_config('app.org_id', $1, true), set_config('app.purpose', 'TREAT', true)";
        app.execute(settings, &[&org.to_string()]).await.expect("settings");
        let insert =
            "INSERT INTO outbox (id, org_id, name, version, entity_id, at) VALUES ($1, $2, 'x', 1, $1, now())";
        app.execute(insert, &[&id, &org.uuid()]).await.expect("a write");
        app.batch_execute("COMMIT").await.expect("a commit");
        ledger.acknowledge(epoch, id);
    }
}

async fn run(fenced: bool) -> (usize, usize) {
    let region = Arc::new(texas().await);
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let ledger = Arc::new(Ledger { epoch: AtomicU32::new(1), ..Ledger::default() });
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let ledger = Arc::clone(&ledger);
        if fenced {
            writers.push(tokio::spawn(write_fenced(Arc::clone(&region), org, patient, ledger)));
        } else {
            writers.push(tokio::spawn(write_unfenced(region.as_app().await, org, patient, ledger)));
        }
    }
    move_about(&region, patient, &ledger).await;
    for writer in writers {
        writer.await.expect("a writer ends well");
    }
    (ledger.total(), ledger.lost())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_while_the_home_moves() {
    let (total, lost) = run(true).await;
    assert!(total >= WRITERS * MOVES as usize, "{total} writes were acknowledged");
    assert_eq!(lost, 0, "of {total}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_a_check_before_the_transaction_loses_acknowledged_writes() {
    let (total, lost) = run(false).await;
    assert!(lost > 0, "of {total}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_raises_the_fence_waits_for_its_holder_and_no_writer_passes_who_waits() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let superuser = region.as_superuser().await;
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let until_waiting = async |many: i64| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while superuser.query_one(waits, &[]).await.expect("a count").get::<_, i64>(0) < many {
            assert!(Instant::now() < deadline, "fewer than {many} wait");
        }
    };
    let begin = async |epoch| {
        let permit = permit(region.region(), patient, Epoch(epoch), Act::Write);
        RegionTx::begin(&region.pool, &permit, &scope(org), "test.gate").await
    };
    let raise = async |epoch, after| {
        until_waiting(after).await;
        region.pool.raise_fence(patient, Epoch(epoch), PlacementState::Active).await
    };
    let holder = begin(1).await.expect("a transaction");
    let late = async {
        until_waiting(2).await;
        begin(1).await
    };
    let letting_go = async {
        until_waiting(3).await;
        let row = "SELECT epoch FROM patient_home WHERE patient_id = $1 FOR SHARE";
        let passed = region.as_app().await.query_one(row, &[&patient.uuid()]).await.expect("a row");
        assert_eq!(passed.get::<_, i64>(0), 1, "the control: who takes the row alone passes them");
        holder.commit(&read(patient)).await
    };
    let (second, third, late, held) = tokio::join!(raise(2, 0), raise(3, 1), late, letting_go);
    held.expect("who held it commits");
    assert!(second.expect("no dead end") && third.expect("no dead end"), "both are news");
    let refused = late.expect_err("it came after them");
    assert!(matches!(refused, Error::Fenced { home: Some(Epoch(3)), .. }), "{refused}");
    begin(3).await.expect("the control: the present epoch").rollback().await;
}

#[tokio::test]
async fn a_stale_unknown_or_retired_home_is_refused_and_leaves_nothing() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let begin = |patient, epoch, act| {
        let (pool, permit) = (region.pool.clone(), permit(region.region(), patient, Epoch(epoch), act));
        async move { RegionTx::begin(&pool, &permit, &scope(org), "test.fence").await }
    };
    begin(patient, 1, Act::Write).await.expect("the control: the present epoch").rollback().await;
    for act in [Act::Read, Act::Write] {
        for (epoch, home) in [(0, Some(Epoch(1))), (2, Some(Epoch(1)))] {
            let refused = begin(patient, epoch, act).await.expect_err("another epoch");
            assert!(matches!(refused, Error::Fenced { home: found, .. } if found == home), "{refused}");
            assert!(!refused.to_string().contains(&patient.to_string()), "{refused}");
        }
        let stranger = PatientId::random(&TestEntropy::default());
        let refused = begin(stranger, 1, act).await.expect_err("an unknown patient");
        assert!(matches!(refused, Error::Fenced { home: None, .. }), "{refused}");
    }
    assert!(region.pool.raise_fence(patient, Epoch(2), PlacementState::Retired).await.expect("an answer"));
    assert!(
        !region.pool.raise_fence(patient, Epoch(2), PlacementState::Active).await.expect("an answer"),
        "no way back"
    );
    for epoch in [1, 2] {
        let refused = begin(patient, epoch, Act::Read).await.expect_err("a retired patient");
        assert!(matches!(refused, Error::Fenced { home: None, .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_permit_of_another_region_begins_nothing() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let california = Region(Jurisdiction::from_postal("CA").expect("a jurisdiction"));
    let other = permit(california, patient, Epoch::FIRST, Act::Read);
    let refused = RegionTx::begin(&region.pool, &other, &scope(org), "test.elsewhere").await;
    assert!(matches!(refused, Err(Error::OtherRegion { .. })), "{refused:?}");
    let refused =
        RegionTx::begin_region(&region.pool, &region_permit(california), &scope(org), "test.elsewhere").await;
    assert!(matches!(refused, Err(Error::OtherRegion { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_permit_to_read_changes_nothing() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let update = "UPDATE patients SET version = version + 1, updated_at = $2 WHERE id = $1";
    for (act, may) in [(Act::Read, false), (Act::Write, true)] {
        let tx = RegionTx::begin(&region.pool, &region.permit(patient, act), &scope(org), "test.may").await;
        let tx = tx.expect("a transaction");
        let changed = tx.execute(update, &[&patient.uuid(), &tx.now()]).await;
        assert_eq!(changed.is_ok(), may, "{changed:?}");
        for sql in [HIDDEN_UPDATE, UPDATE_RETURNING] {
            let changed = tx.query(sql, &[]).await;
            assert_eq!(changed.is_ok(), may, "{changed:?}");
        }
        let event = storage::Event::new(storage::EventName::PatientUpdated, patient.uuid());
        assert_eq!(tx.emit(&event).await.is_ok(), may);
    }
    let permit = region_permit(region.region());
    let tx = RegionTx::begin_region(&region.pool, &permit, &scope(org), "test.list").await;
    let tx = tx.expect("a transaction");
    for sql in [HIDDEN_UPDATE, UPDATE_RETURNING] {
        let refused = tx.query(sql, &[]).await.expect_err("a list changes nothing");
        assert!(matches!(refused, Error::NotPermitted(_)), "{refused}");
    }
    assert!(tx.execute(UPDATE_RETURNING, &[]).await.is_err());
    assert_eq!(tx.query("SELECT id FROM patients", &[]).await.expect("the control: a list").len(), 1);
}

const UPDATE_RETURNING: &str = "UPDATE patients SET version = version + 1 RETURNING id";
const HIDDEN_UPDATE: &str =
    "WITH hidden AS (UPDATE patients SET version = version + 1 RETURNING id) SELECT id FROM hidden";
