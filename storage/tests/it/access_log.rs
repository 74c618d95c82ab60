//! No record, no access.

use residency_policy::{Act, Role};
use storage::canonical::{AuditRecord, HEADER};
use storage::testing::scope;
use storage::{
    Access, AccessAction, Circumstances, Error, OnBehalf, Reading as _, RegionRead, RegionTx, Row, Rules, Scope,
};

use crate::support::{an_org, count, insert_patient, read, register, texas};

#[tokio::test]
async fn the_log_is_only_ever_added_to_even_by_the_owner() {
    let region = texas().await;
    register(&region, an_org()).await;
    let (owner, app) = (region.as_owner().await, region.as_app().await);
    for sql in [
        "UPDATE access_log SET act = 'x'",
        "UPDATE access_log SET salt = salt, client_ip = NULL",
        "DELETE FROM access_log",
        "TRUNCATE access_log",
    ] {
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

/// A read's record and a change's, of one patient.
async fn two_records(region: &storage::testing::TestRegion, scope: &Scope) -> Vec<Row> {
    let (patient, _) = register(region, scope.org).await;
    let texas = region.region().0;
    let access = Access::to(AccessAction::Read, "patient", patient.uuid(), patient).at(texas);
    let access = [Access { query: Some([7; 32]), ..access }];
    let permit = region.permit(patient, Act::Read);
    let look = RegionRead::begin(&region.pool, &permit, scope, "test.whole").expect("a read");
    look.disclose(&access).await.expect("a record");
    let tx = RegionTx::begin(&region.pool, &permit, scope, "test.whole").await.expect("a transaction");
    tx.commit(&access).await.expect("a record");
    let auditor = Scope { role: Role::Auditor.into(), ..scope.clone() };
    let look = RegionRead::begin(&region.pool, &permit, &auditor, "test.look").expect("a read");
    let rows = look.query("SELECT * FROM access_log WHERE act = 'test.whole' ORDER BY xid", &[]).await;
    rows.expect("the log")
}

#[tokio::test]
async fn a_record_says_all_that_is_known_of_a_request_and_its_bytes_follow_from_the_row() {
    let region = texas().await;
    let org = an_org();
    let circumstances = Circumstances {
        on_behalf: Some(OnBehalf::Organisation(org)),
        ..Circumstances::of(
            Some("192.0.2.7".parse().expect("an address")),
            Rules::of(["a-1", "b-2"].into_iter()),
        )
    };
    let scope = Scope { circumstances, ..scope(org) };
    let rows = two_records(&region, &scope).await;
    let records: Vec<AuditRecord<'_>> =
        rows.iter().map(|row| AuditRecord::of(row).expect("a whole record")).collect();
    assert_eq!(records.len(), 2);
    for record in &records {
        assert_eq!(record.client_ip, Some("192.0.2.7".parse().expect("an address")));
        assert_eq!(record.rules.as_deref(), Some(["a-1", "b-2"].as_slice()));
        assert_eq!((record.on_behalf_kind, record.on_behalf_of), (Some("organisation"), Some(org.uuid())));
        assert_eq!(
            (record.home, record.service, record.category),
            (Some("US-TX"), Some("US-TX"), Some("general"))
        );
        assert_eq!(record.query_mac, Some([7; 32].as_slice()));
        assert_eq!(record.id.get_version_num(), 7);
        let bytes = record.canonical();
        assert!(bytes.starts_with(HEADER));
        assert_eq!(AuditRecord { salt: [0; 32], ..record.clone() }.canonical(), bytes);
    }
    // However the record was written, its bytes are the same but for the id.
    let [read, changed] = &records[..] else { panic!("two") };
    assert_eq!(AuditRecord { id: read.id, ..changed.clone() }.canonical(), read.canonical());
    assert_ne!((read.id, read.salt), (changed.id, changed.salt));

    // What a node of the last release writes has a salt too, and another one each time.
    let superuser = region.as_superuser().await;
    let before = "INSERT INTO access_log (id, at, org_id, key_id, role, purpose, act, action, entity, outcome, request_id)
        SELECT gen_random_uuid(), now(), gen_random_uuid(), gen_random_uuid(), 'provider', 'TREAT', 'test.before', 'read',
            'patient', 'done', gen_random_uuid() FROM generate_series(1, 3)";
    superuser.batch_execute(before).await.expect("records");
    let salts = "SELECT count(DISTINCT salt) FROM access_log WHERE act = 'test.before' AND length(salt) = 32";
    assert_eq!(count(&region, salts).await, 3);
}

#[tokio::test]
async fn no_decision_is_another_thing_than_a_decision_by_no_rule() {
    let region = texas().await;
    let none =
        Scope { circumstances: Circumstances::of(None, Rules::of(std::iter::empty())), ..scope(an_org()) };
    let rows = two_records(&region, &none).await;
    let rules = |row| AuditRecord::of(row).expect("a whole record").rules;
    assert!(rows.iter().all(|row| rules(row) == Some(Vec::new())));
    let undecided = "SELECT count(*) FROM access_log WHERE rules IS NULL AND act <> 'test.whole'";
    assert!(count(&region, undecided).await > 0, "the control: what nobody decided has none");
}
