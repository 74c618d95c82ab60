//! Row-level security, below everything else.

use residency_policy::{Act, Clock as _, Role};
use storage::testing::{region_permit, scope};
use storage::{Access, AccessAction, RegionTx};
use tokio_postgres::Client;

use crate::support::{an_org, insert_patient, read, register, texas};

const TENANT_COUNTS: &str = "SELECT (SELECT count(*) FROM patients) + (SELECT count(*) FROM patient_index)
    + (SELECT count(*) FROM encounters) + (SELECT count(*) FROM access_log) + (SELECT count(*) FROM outbox)
    + (SELECT count(*) FROM idempotency_records)";

async fn visible(app: &Client, settings: &[(&str, &str)]) -> i64 {
    app.batch_execute("BEGIN").await.expect("a transaction");
    for (name, value) in settings {
        app.execute("SELECT set_config($1, $2, true)", &[name, value]).await.expect("a setting");
    }
    let count = app.query_one(TENANT_COUNTS, &[]).await.expect("a count").get(0);
    app.batch_execute("ROLLBACK").await.expect("an end");
    count
}

#[tokio::test]
async fn without_an_organisation_or_a_purpose_nothing_is_visible() {
    let region = texas().await;
    let (ours, theirs) = (an_org(), an_org());
    register(&region, ours).await;
    register(&region, theirs).await;
    let app = region.as_app().await;
    let (org, any) = (("app.org_id", &*ours.to_string()), ("app.patient_id", "any"));
    let (purpose, role) = (("app.purpose", "TREAT"), ("app.role", "auditor"));

    assert_eq!(
        visible(&app, &[org, purpose, any, role]).await,
        2,
        "the control: the own patient and access record"
    );
    assert_eq!(visible(&app, &[]).await, 0, "no settings at all");
    assert_eq!(visible(&app, &[purpose, any, role]).await, 0, "no organisation");
    assert_eq!(visible(&app, &[org, any, role]).await, 0, "no purpose");
    assert_eq!(visible(&app, &[org, ("app.purpose", ""), any, role]).await, 0, "an empty purpose");
    assert_eq!(visible(&app, &[("app.org_id", ""), purpose, any, role]).await, 0, "an empty organisation");
    assert_eq!(visible(&app, &[org, purpose, role]).await, 0, "no patient");
    assert_eq!(visible(&app, &[org, purpose, any]).await, 0, "no role");
    let nobody = an_org().to_string();
    assert_eq!(visible(&app, &[("app.org_id", &nobody), purpose, any, role]).await, 0, "another organisation");

    let owner = region.as_owner().await;
    assert_eq!(visible(&owner, &[]).await, 0, "it holds for the tables' owner too");
}

#[tokio::test]
async fn the_access_log_is_seen_by_who_reviews_it_and_of_the_patient_of_the_transaction_only() {
    let region = texas().await;
    let org = an_org();
    let (ana, _) = register(&region, org).await;
    register(&region, org).await;
    let count = "SELECT count(*) AS n FROM access_log";
    for role in Role::ALL.iter().copied() {
        let scope = storage::Scope { role: role.into(), ..scope(org) };
        let seen = async |tx: RegionTx| tx.query_one(count, &[]).await.and_then(|row| row.get::<i64>("n"));
        let tx = RegionTx::begin(&region.pool, &region.permit(ana, Act::Read), &scope, "test.log").await;
        let one = seen(tx.expect("a transaction")).await.expect("a count");
        let permit = region_permit(region.region());
        let tx = RegionTx::begin_region(&region.pool, &permit, &scope, "test.log").await;
        let all = seen(tx.expect("a transaction")).await.expect("a count");
        // The control: who reviews sees each patient's record.
        let expected = if matches!(role, Role::OrgAdmin | Role::Auditor) { (1, 2) } else { (0, 0) };
        assert_eq!((one, all), expected, "{role}");
    }
}

#[tokio::test]
async fn a_transaction_leaves_no_setting_on_its_connection() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let mut config = region.config.clone();
    config.connections_max = 1;
    let pool = storage::RegionPool::open(
        config,
        std::sync::Arc::clone(&region.envelope),
        std::sync::Arc::new(storage::testing::SetClock::default()),
        std::sync::Arc::new(storage::testing::TestEntropy::default()),
    );
    let pool = pool.await.expect("a pool of one connection");
    let sql = "SELECT count(*) AS n FROM patients";

    let tx = RegionTx::begin(&pool, &region.permit(patient, Act::Read), &scope(org), "test.ours").await;
    let tx = tx.expect("a transaction");
    assert_eq!(tx.query_one(sql, &[]).await.and_then(|row| row.get::<i64>("n")).expect("a count"), 1);
    tx.commit(&read(patient)).await.expect("a commit");

    let tx =
        RegionTx::begin_region(&pool, &region_permit(region.region()), &scope(an_org()), "test.theirs").await;
    let tx = tx.expect("a transaction on the same connection");
    assert_eq!(tx.query_one(sql, &[]).await.and_then(|row| row.get::<i64>("n")).expect("a count"), 0);
}

#[tokio::test]
async fn another_organisations_rows_are_neither_seen_nor_changed_nor_made() {
    let region = texas().await;
    let (ours, theirs) = (an_org(), an_org());
    let (patient, _) = register(&region, theirs).await;
    let permit = region.permit(patient, Act::Write);

    let tx = RegionTx::begin(&region.pool, &permit, &scope(ours), "test.other").await.expect("a transaction");
    let found = tx.query("SELECT id FROM patients WHERE id = $1", &[&patient.uuid()]).await.expect("a query");
    assert!(found.is_empty());
    let update = "UPDATE patients SET version = version + 1, updated_at = $2 WHERE id = $1";
    assert_eq!(tx.execute(update, &[&patient.uuid(), &tx.now()]).await.expect("an update of nothing"), 0);
    let planted = "INSERT INTO patient_index (org_id, field, value_blind, patient_id)
        VALUES ($1, 'phone', decode(repeat('00', 16), 'hex'), $2)";
    let refused = tx
        .execute(planted, &[&theirs.uuid(), &patient.uuid()])
        .await
        .expect_err("a row for another organisation");
    assert!(matches!(refused, storage::Error::Constraint { .. }), "{refused}");
    tx.rollback().await;

    let tx = RegionTx::begin(&region.pool, &permit, &scope(theirs), "test.own").await.expect("a transaction");
    assert_eq!(tx.execute(update, &[&patient.uuid(), &tx.now()]).await.expect("the control: the own row"), 1);
}

#[tokio::test]
async fn a_transaction_on_one_patient_does_not_see_another() {
    let region = texas().await;
    let org = an_org();
    let (ana, _) = register(&region, org).await;
    let (ben, _) = register(&region, org).await;
    let tx = RegionTx::begin(&region.pool, &region.permit(ana, Act::Write), &scope(org), "test.ana").await;
    let tx = tx.expect("a transaction");
    let rows = tx.query("SELECT id FROM patients", &[]).await.expect("a query");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<uuid::Uuid>("id").expect("an id"), ana.uuid());
    let third = region.patient().await;
    assert!(insert_patient(&tx, third).await.is_err(), "a row of another patient than the permit's");
    tx.rollback().await;

    let tx =
        RegionTx::begin_region(&region.pool, &region_permit(region.region()), &scope(org), "test.list").await;
    let tx = tx.expect("a transaction");
    let listed = tx.query("SELECT id FROM patients", &[]).await.expect("a query");
    assert_eq!(listed.len(), 2, "the control: a list sees both ({ben})");
    tx.commit(&[Access::of(AccessAction::List, "patient")]).await.expect("a commit");
}

#[tokio::test]
async fn a_role_sees_and_changes_only_what_its_work_needs() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let planted =
        "INSERT INTO encounters (id, patient_id, org_id, status, category, service_jurisdiction, provider_npi,
            opened_at, version)
        VALUES (gen_random_uuid(), $1, $2, 'open', 'general', 'US-TX', '1234567893', now(), 1)";
    let superuser = region.as_superuser().await;
    superuser.execute(planted, &[&patient.uuid(), &org.uuid()]).await.expect("an encounter");
    let change_patient = "UPDATE patients SET version = version + 1, updated_at = $2 WHERE id = $1";
    let change_encounter = "UPDATE encounters SET version = version + 1, opened_at = $2 WHERE patient_id = $1";
    // Of patients, then of encounters: whether it sees them, whether it changes them. The first is the control.
    for (role, expected) in [
        (Role::Provider, [1, 1, 1, 1]),
        (Role::ProviderStaff, [1, 1, 1, 0]),
        (Role::OrgAdmin, [1, 1, 0, 0]),
        (Role::Auditor, [1, 0, 1, 0]),
        (Role::Marketer, [0; 4]),
        (Role::Pharmacist, [0; 4]),
        (Role::LabTech, [0; 4]),
    ] {
        let scope = storage::Scope { role: role.into(), ..scope(org) };
        let permit = region.permit(patient, Act::Write);
        let tx = RegionTx::begin(&region.pool, &permit, &scope, "test.role").await.expect("a transaction");
        let seen = |rows: Result<Vec<storage::Row>, _>| rows.expect("a query").len() as u64;
        let found = [
            seen(tx.query("SELECT id FROM patients", &[]).await),
            tx.execute(change_patient, &[&patient.uuid(), &tx.now()]).await.expect("an update"),
            seen(tx.query("SELECT id FROM encounters", &[]).await),
            tx.execute(change_encounter, &[&patient.uuid(), &tx.now()]).await.expect("an update"),
        ];
        assert_eq!(found, expected, "{role}");
        tx.rollback().await;
    }
    let auditor = storage::Scope { role: Role::Auditor.into(), ..scope(org) };
    let other = region.patient().await;
    let tx = RegionTx::begin(&region.pool, &region.permit(other, Act::Write), &auditor, "test.role").await;
    let refused =
        insert_patient(&tx.expect("a transaction"), other).await.expect_err("an auditor registers nobody");
    assert!(matches!(refused, storage::Error::Constraint { .. }), "{refused}");
}

/// The statements of a transaction are sent together, before the answer to BEGIN is there. One that begins nothing must
/// therefore be as good as none: settings outside a transaction end with the statement that makes them.
#[tokio::test]
async fn settings_without_a_begin_before_them_show_nothing_and_change_nothing() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let app = region.as_app().await;
    let (gate, now) = (1_i64, storage::testing::SetClock::default().now());
    let update = "UPDATE patients SET version = version + 1 WHERE id = $1";
    let insert = "INSERT INTO outbox (id, org_id, name, version, patient_id, entity_id, at)
        VALUES (gen_random_uuid(), $1, 'x', 1, $2, $2, now())";
    let (of_org, id) = (org.uuid(), patient.uuid());
    for (name, gate) in [("fence.enter", Some(gate)), ("lanes.settings", None)] {
        let params: [&(dyn storage::ToSql + Sync); 8] =
            [&of_org, &"provider", &"TREAT", &id, &gate, &"general", &of_org, &now];
        let (_, settings) =
            storage::schema::statements().find(|(known, _)| *known == name).expect("a statement");
        let set = async || {
            let row = app.query_one(settings, &params).await.expect("settings");
            assert_eq!(row.get::<_, Option<i64>>("epoch"), Some(1), "{name}");
        };
        let seen = async || {
            let row = app.query_one("SELECT count(*) FROM patients", &[]).await;
            row.expect("a count").get::<_, i64>(0)
        };
        let changed = async || app.execute(update, &[&patient.uuid()]).await.expect("an answer");
        let added = async || app.execute(insert, &[&org.uuid(), &patient.uuid()]).await;
        set().await;
        assert_eq!((seen().await, changed().await), (0, 0), "{name}");
        let refused = added().await.expect_err("row-level security");
        assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{name}");

        app.batch_execute("BEGIN").await.expect("the control: a transaction");
        set().await;
        assert_eq!((seen().await, changed().await), (1, 1), "{name}");
        assert_eq!(added().await.expect("an event"), 1, "{name}");
        app.batch_execute("ROLLBACK").await.expect("an end");
    }
}
