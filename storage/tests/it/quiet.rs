//! Values stay out of Postgres' log and out of our errors.

use residency_policy::Act;
use storage::testing::{PostgresServer, TestRegion, scope};
use storage::{Error, RegionTx};

use crate::support::an_org;

#[tokio::test]
async fn a_unique_violation_leaves_no_value_in_the_log_or_in_an_error() {
    let server = PostgresServer::start(&[]);
    let region = TestRegion::new(&server, "TX").await;
    let superuser = region.as_superuser().await;
    let plant = "CREATE TABLE planted (name text CONSTRAINT planted_name UNIQUE); GRANT INSERT ON planted TO domicile_app";
    superuser.batch_execute(plant).await.expect("a table with a value in the clear");
    let insert = "INSERT INTO planted (name) VALUES ($1)";

    let patient = region.patient().await;
    let permit = region.permit(patient, Act::Write);
    let tx =
        RegionTx::begin(&region.pool, &permit, &scope(an_org()), "test.quiet").await.expect("a transaction");
    tx.execute(insert, &[&"CANARY-QUIET"]).await.expect("a row");
    let error = tx.execute(insert, &[&"CANARY-QUIET"]).await.expect_err("a second row");
    assert!(matches!(&error, Error::Exists { constraint } if constraint == "planted_name"), "{error}");
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        let said = format!("{error} {error:?}");
        assert!(!said.contains("CANARY"), "{said}");
        cause = error.source();
    }

    // The control: a role with Postgres' own settings, and the driver's own error.
    superuser.execute(insert, &[&"CANARY-LOUD"]).await.expect("a row");
    let loud = superuser.execute(insert, &[&"CANARY-LOUD"]).await.expect_err("a second row");
    assert!(format!("{loud:?}").contains("CANARY-LOUD"), "{loud:?}");
    let log = std::fs::read_to_string(server.log()).expect("the server's log");
    assert!(log.contains("CANARY-LOUD"), "{log}");
    assert!(!log.contains("CANARY-QUIET"), "{log}");
}

#[tokio::test]
async fn phi_is_not_in_the_clear_in_any_file_of_the_server() {
    let server = PostgresServer::start(&[]);
    let region = TestRegion::new(&server, "TX").await;
    let org = an_org();
    let patient = region.patient().await;
    let tx = RegionTx::begin(&region.pool, &region.permit(patient, Act::Write), &scope(org), "test.rest").await;
    let tx = tx.expect("a transaction");
    crate::support::insert_patient(&tx, patient).await.expect("a patient");
    let cell = storage::Cell::general("patients", patient.uuid(), "email_sealed");
    let sealed = tx.seal(cell, &storage::Phi::new("CANARY-SEALED")).await.expect("a seal");
    let update = "UPDATE patients SET email_sealed = $2, version = version + 1, updated_at = $3 WHERE id = $1";
    tx.execute(update, &[&patient.uuid(), &sealed, &tx.now()]).await.expect("an update");
    tx.commit(&crate::support::read(patient)).await.expect("a commit");
    let superuser = region.as_superuser().await;
    superuser
        .batch_execute("CREATE TABLE planted AS SELECT 'CANARY-CLEAR'::text AS name; CHECKPOINT")
        .await
        .expect("a control");

    let (mut sealed, mut clear) = (0, 0);
    let mut folders = vec![server.data(), region.keys.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            let has = |needle: &[u8]| usize::from(bytes.windows(needle.len()).any(|window| window == needle));
            sealed += has(b"CANARY-SEALED");
            clear += has(b"CANARY-CLEAR");
        }
    }
    assert!(clear > 0, "the control is found");
    assert_eq!(sealed, 0);
}
