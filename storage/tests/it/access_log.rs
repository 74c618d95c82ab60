//! No record, no access.

use residency_policy::Act;
use storage::testing::scope;
use storage::{Access, AccessAction, Error, RegionTx};

use crate::support::{an_org, count, insert_patient, read, register, texas};

#[tokio::test]
async fn the_log_is_only_ever_added_to_even_by_the_owner() {
    let region = texas().await;
    register(&region, an_org()).await;
    let (owner, app) = (region.as_owner().await, region.as_app().await);
    for sql in ["UPDATE access_log SET act = 'x'", "DELETE FROM access_log", "TRUNCATE access_log"] {
        for (who, client) in [("owner", &owner), ("app", &app)] {
            assert!(client.batch_execute(sql).await.is_err(), "{who}: {sql}");
        }
    }
    assert_eq!(count(&region, "SELECT count(*) FROM access_log").await, 1);

    // The control: without the trigger the owner could.
    let superuser = region.as_superuser().await;
    superuser
        .batch_execute("ALTER TABLE access_log DISABLE TRIGGER access_log_append_only")
        .await
        .expect("a planted fault");
    owner.batch_execute("TRUNCATE access_log").await.expect("what the trigger prevents");
}

#[tokio::test]
async fn a_commit_leaves_exactly_one_record_and_a_rollback_none() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let records = "SELECT count(*) FROM access_log WHERE act = 'test.counted'";
    let begin = || async {
        let tx = RegionTx::begin(&region.pool, &region.permit(patient, Act::Read), &scope(org), "test.counted")
            .await;
        tx.expect("a transaction")
    };
    begin().await.commit(&read(patient)).await.expect("a commit");
    assert_eq!(count(&region, records).await, 1);
    begin().await.rollback().await;
    drop(begin().await);
    assert_eq!(count(&region, records).await, 1);
    let refused = begin().await.commit(&[]).await;
    assert!(matches!(refused, Err(Error::NoAccessRecorded)), "{refused:?}");
    assert_eq!(count(&region, records).await, 1);
}

#[tokio::test]
async fn what_was_done_is_there_only_with_its_record() {
    let region = texas().await;
    let org = an_org();
    let patient = region.patient().await;
    // The record cannot be written: the change must not be there either.
    let superuser = region.as_superuser().await;
    superuser.batch_execute("REVOKE INSERT ON access_log FROM domicile_app").await.expect("a planted fault");
    let begin = || async {
        let tx =
            RegionTx::begin(&region.pool, &region.permit(patient, Act::Write), &scope(org), "test.both").await;
        tx.expect("a transaction")
    };
    let tx = begin().await;
    insert_patient(&tx, patient).await.expect("a patient");
    let access = [Access::to(AccessAction::Create, "patient", patient.uuid(), patient)];
    assert!(tx.commit(&access).await.is_err(), "a commit without its record");
    assert_eq!(count(&region, "SELECT count(*) FROM patients").await, 0);

    superuser.batch_execute("GRANT INSERT ON access_log TO domicile_app").await.expect("the fault mended");
    let tx = begin().await;
    insert_patient(&tx, patient).await.expect("a patient");
    tx.commit(&access).await.expect("the control: with its record it is there");
    assert_eq!(count(&region, "SELECT count(*) FROM patients").await, 1);
    let whole =
        "SELECT count(*) FROM access_log WHERE act = 'test.both' AND action = 'create' AND entity = 'patient'
        AND purpose = 'TREAT' AND role = 'provider' AND outcome = 'done' AND home_epoch = 1
        AND entity_id = patient_id AND xid = (SELECT xmin::text::xid8 FROM patients)";
    assert_eq!(count(&region, whole).await, 1, "the record says who, what, why, and in which transaction");
}

#[tokio::test]
async fn a_failed_statement_that_nobody_looked_at_does_not_become_a_commit() {
    let region = texas().await;
    let org = an_org();
    let patient = region.patient().await;
    let tx =
        RegionTx::begin(&region.pool, &region.permit(patient, Act::Write), &scope(org), "test.swallowed").await;
    let tx = tx.expect("a transaction");
    insert_patient(&tx, patient).await.expect("a patient");
    drop(tx.execute("INSERT INTO patients (id) VALUES ($1)", &[&patient.uuid()]).await);
    let ended = tx.commit(&[Access::to(AccessAction::Create, "patient", patient.uuid(), patient)]).await;
    assert!(ended.is_err(), "Postgres answers such a COMMIT with success and rolls back");
    assert_eq!(count(&region, "SELECT count(*) FROM patients").await, 0);
}
