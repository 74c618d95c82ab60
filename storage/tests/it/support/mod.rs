//! What several tests need.

pub(crate) mod wire;

use residency_policy::{Act, OrgId, PatientId};
use storage::testing::{PostgresServer, TestEntropy, TestRegion, scope};
use storage::{Access, AccessAction, Cell, Error, Phi, RegionTx, Seen};

pub(crate) const INSERT_PATIENT: &str = "INSERT INTO patients (id, org_id, home_epoch, mrn_sealed, given_name_sealed,
        family_name_sealed, birth_date_sealed, sex_sealed, address_sealed, address_jurisdiction_differs, version,
        created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, false, 1, $10, $10)";

pub(crate) async fn texas() -> TestRegion {
    TestRegion::new(PostgresServer::shared(), "TX").await
}

pub(crate) fn an_org() -> OrgId {
    OrgId::random(&TestEntropy::default())
}

pub(crate) fn read(patient: PatientId) -> [Access; 1] {
    [Access::to(AccessAction::Read, "patient", patient.uuid(), patient)]
}

/// Every sealed column holds its own name.
pub(crate) async fn insert_patient(tx: &RegionTx, patient: PatientId) -> Result<(), Error> {
    let mut cells = Vec::new();
    for column in ["mrn", "given_name", "family_name", "birth_date", "sex", "address"] {
        let column = sealed_column(column);
        cells.push(tx.seal(Cell::general("patients", patient.uuid(), column), &Phi::new(column)).await?);
    }
    let epoch = tx.epoch().map(|epoch| i64::from(epoch.0));
    let (id, org, now) = (patient.uuid(), tx.scope().org.uuid(), tx.now());
    tx.execute(
        INSERT_PATIENT,
        &[&id, &org, &epoch, &cells[0], &cells[1], &cells[2], &cells[3], &cells[4], &cells[5], &now],
    )
    .await?;
    Ok(())
}

fn sealed_column(name: &str) -> &'static str {
    match name {
        "mrn" => "mrn_sealed",
        "given_name" => "given_name_sealed",
        "family_name" => "family_name_sealed",
        "birth_date" => "birth_date_sealed",
        "sex" => "sex_sealed",
        _ => "address_sealed",
    }
}

/// A patient of an organisation, committed.
pub(crate) async fn register(region: &TestRegion, org: OrgId) -> (PatientId, Seen) {
    let patient = region.patient().await;
    let tx =
        RegionTx::begin(&region.pool, &region.permit(patient, Act::Write), &scope(org), "test.register").await;
    let tx = tx.expect("a transaction");
    insert_patient(&tx, patient).await.expect("a patient");
    let access = Access::to(AccessAction::Create, "patient", patient.uuid(), patient);
    let seen = tx.commit(&[access]).await.expect("a commit");
    (patient, seen)
}

/// A count that the superuser sees.
pub(crate) async fn count(region: &TestRegion, sql: &str) -> i64 {
    region.as_superuser().await.query_one(sql, &[]).await.expect("a count").get(0)
}
