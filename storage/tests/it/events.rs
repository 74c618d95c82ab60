//! Events and claimed ids.

use std::collections::BTreeSet;

use residency_policy::{Act, PatientId};
use storage::ids::{TakeError, refill};
use storage::testing::{TestEntropy, scope};
use storage::{Event, EventName, RegionTx};

use crate::support::{an_org, count, read, register, texas};

#[tokio::test]
async fn an_event_is_there_exactly_when_its_change_is() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    for commit in [false, true] {
        let tx =
            RegionTx::begin(&region.pool, &region.permit(patient, Act::Write), &scope(org), "test.emit").await;
        let tx = tx.expect("a transaction");
        for name in EventName::ALL {
            tx.emit(&Event::new(name, patient.uuid())).await.expect("an event");
        }
        if commit {
            tx.commit(&read(patient)).await.expect("a commit");
        } else {
            tx.rollback().await;
        }
        let expected = if commit { i64::try_from(EventName::ALL.len()).expect("few") } else { 0 };
        assert_eq!(count(&region, "SELECT count(*) FROM outbox").await, expected);
    }
    let same =
        "SELECT count(DISTINCT o.xid) FROM outbox o JOIN access_log a ON a.xid = o.xid AND a.act = 'test.emit'";
    assert_eq!(count(&region, same).await, 1, "in the transaction of its record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_taken_once_whoever_asks_and_has_its_fence() {
    let region = texas().await;
    let empty = region.pool.take_id().await;
    assert!(matches!(empty, Err(TakeError::Empty)), "{empty:?}");
    let ids: Vec<PatientId> = (0..300).map(|_| PatientId::random(&TestEntropy::default())).collect();
    assert_eq!(refill(&region.pool, &ids).await.expect("ids are added"), 300);
    assert_eq!(refill(&region.pool, &ids).await.expect("again"), 0, "known ids are left as they are");
    assert_eq!(region.pool.ids_left().await.expect("a count"), 300);

    let mut takers = Vec::new();
    for _ in 0..6 {
        let pool = region.pool.clone();
        takers.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..50 {
                taken.push(pool.take_id().await.expect("an id"));
            }
            taken
        }));
    }
    let mut taken = BTreeSet::new();
    for taker in takers {
        for id in taker.await.expect("a taker ends well") {
            assert!(taken.insert(id), "{id} was taken twice");
        }
    }
    assert_eq!(taken, ids.iter().copied().collect());
    assert!(matches!(region.pool.take_id().await, Err(TakeError::Empty)));
    assert_eq!(refill(&region.pool, &ids).await.expect("again"), 0, "a used id does not come back");
    let id = *taken.first().expect("an id");
    let tx =
        RegionTx::begin(&region.pool, &region.permit(id, Act::Write), &scope(an_org()), "test.fresh").await;
    tx.expect("a taken id has its home row").rollback().await;
}

#[tokio::test]
async fn a_change_of_a_patient_keeps_the_version_before() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let tx =
        RegionTx::begin(&region.pool, &region.permit(patient, Act::Write), &scope(org), "test.amend").await;
    let tx = tx.expect("a transaction");
    let skip = "UPDATE patients SET version = version + 2 WHERE id = $1";
    tx.execute(skip, &[&patient.uuid()]).await.expect_err("a version that is skipped");
    tx.rollback().await;
    let tx =
        RegionTx::begin(&region.pool, &region.permit(patient, Act::Write), &scope(org), "test.amend").await;
    let tx = tx.expect("a transaction");
    let update = "UPDATE patients SET version = version + 1, updated_at = $2 WHERE id = $1";
    assert_eq!(tx.execute(update, &[&patient.uuid(), &tx.now()]).await.expect("an update"), 1);
    tx.commit(&read(patient)).await.expect("a commit");
    let kept = "SELECT count(*) FROM patients_history h JOIN patients p USING (id)
        WHERE h.version = 1 AND p.version = 2 AND h.given_name_sealed = p.given_name_sealed";
    assert_eq!(count(&region, kept).await, 1);
}
