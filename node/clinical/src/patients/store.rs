//! Patients in Postgres.
//!
//! A statement that serves a role which may not see PHI does not load PHI: there are three lists. One that may find
//! several patients asks the fence for each of them: who is no longer served here is neither listed nor found.
//!
//! A join on the values looked for is planned by what the planner takes the table for, and a young one it takes for
//! empty: it read every value of the organisation for each that was wanted. LATERAL with OFFSET 0 leaves it no choice
//! but a look-up each.

use futures::future::try_join_all;
use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_policy::PatientId;
use storage::{BlindIndex, Error, IndexField, Phi, Reading, RegionRead, RegionTx, Row};
use uuid::Uuid;

use super::cells::{Cells, listed, patient, token};
use super::model::{Criteria, DeleteReason, Demographics, Listed, Patient, Token};

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("patients.insert", INSERT),
    ("patients.by_id", BY_ID),
    ("patients.lock", LOCK),
    ("patients.lock_version", LOCK_VERSION),
    ("patients.token_by_id", TOKEN_BY_ID),
    ("patients.removed", REMOVED),
    ("patients.list_full", LIST_FULL),
    ("patients.list_listed", LIST_LISTED),
    ("patients.list_tokens", LIST_TOKENS),
    ("patients.search", SEARCH),
    ("patients.update", UPDATE),
    ("patients.remove", REMOVE),
    ("patients.index", INDEX),
    ("patients.unindex", UNINDEX),
    ("patients.duplicates", DUPLICATES),
    ("patients.mrn_holder", MRN_HOLDER),
    ("patients.withheld", WITHHELD),
];

/// Registers.
pub const INSERT: &str = "\
INSERT INTO patients (id, org_id, home_epoch, mrn_sealed, given_name_sealed, family_name_sealed, birth_date_sealed,
    sex_sealed, email_sealed, phone_sealed, address_sealed, address_jurisdiction_differs, version, created_at,
    updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, $13)";

/// One patient, whole.
pub const BY_ID: &str = "\
SELECT id, mrn_sealed, given_name_sealed, family_name_sealed, birth_date_sealed, sex_sealed, email_sealed,
    phone_sealed, address_sealed, address_jurisdiction_differs, version, created_at, updated_at
FROM patients
WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL";

/// One patient, whole, and nobody else changes it until the transaction ends.
pub const LOCK: &str = "\
SELECT id, mrn_sealed, given_name_sealed, family_name_sealed, birth_date_sealed, sex_sealed, email_sealed,
    phone_sealed, address_sealed, address_jurisdiction_differs, version, created_at, updated_at
FROM patients
WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL
FOR UPDATE";

/// The version of one patient, whom nobody else changes until the transaction ends.
pub const LOCK_VERSION: &str = "\
SELECT version
FROM patients
WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL
FOR UPDATE";

/// One patient without PHI.
pub const TOKEN_BY_ID: &str = "\
SELECT id, created_at, updated_at
FROM patients
WHERE org_id = $1 AND id = $2 AND deleted_at IS NULL";

/// Whether a patient was removed from view.
pub const REMOVED: &str = "\
SELECT 1 AS removed
FROM patients
WHERE org_id = $1 AND id = $2 AND deleted_at IS NOT NULL";

/// A page of patients, whole. What one asked for by id is refused by the home's decision, a list leaves out.
pub const LIST_FULL: &str = "\
SELECT id, mrn_sealed, given_name_sealed, family_name_sealed, birth_date_sealed, sex_sealed, email_sealed,
    phone_sealed, address_sealed, address_jurisdiction_differs, version, created_at, updated_at
FROM patients p
JOIN patient_home h ON h.patient_id = p.id AND h.state = 'active'
WHERE p.org_id = $1 AND p.deleted_at IS NULL AND (p.created_at, p.id) < ($2, $3)
    AND NOT consent_withheld($1, p.id, $5)
ORDER BY p.created_at DESC, p.id DESC
LIMIT $4";

/// A page of patients for work on a list.
pub const LIST_LISTED: &str = "\
SELECT id, mrn_sealed, given_name_sealed, family_name_sealed, version, created_at, updated_at
FROM patients p
JOIN patient_home h ON h.patient_id = p.id AND h.state = 'active'
WHERE p.org_id = $1 AND p.deleted_at IS NULL AND (p.created_at, p.id) < ($2, $3)
    AND NOT consent_withheld($1, p.id, $5)
ORDER BY p.created_at DESC, p.id DESC
LIMIT $4";

/// A page of patients without PHI.
pub const LIST_TOKENS: &str = "\
SELECT id, created_at, updated_at
FROM patients p
JOIN patient_home h ON h.patient_id = p.id AND h.state = 'active'
WHERE p.org_id = $1 AND p.deleted_at IS NULL AND (p.created_at, p.id) < ($2, $3)
    AND NOT consent_withheld($1, p.id, $5)
ORDER BY p.created_at DESC, p.id DESC
LIMIT $4";

/// A page of the patients whose indexes are all of those asked for.
pub const SEARCH: &str = "\
SELECT p.id, p.mrn_sealed, p.given_name_sealed, p.family_name_sealed, p.birth_date_sealed, p.sex_sealed,
    p.email_sealed, p.phone_sealed, p.address_sealed, p.address_jurisdiction_differs, p.version, p.created_at,
    p.updated_at
FROM (
    SELECT one.patient_id
    FROM unnest($5::text[], $6::bytea[]) AS wanted (field, value_blind)
    CROSS JOIN LATERAL (
        SELECT i.patient_id
        FROM patient_index i
        WHERE i.org_id = $1 AND i.field = wanted.field AND i.value_blind = wanted.value_blind
        OFFSET 0) AS one
    GROUP BY one.patient_id
    HAVING count(*) = cardinality($5::text[])
) AS found
CROSS JOIN LATERAL (
    SELECT *
    FROM patients
    WHERE org_id = $1 AND id = found.patient_id AND deleted_at IS NULL AND (created_at, id) < ($2, $3)
    OFFSET 0) AS p
JOIN patient_home h ON h.patient_id = p.id AND h.state = 'active'
WHERE NOT consent_withheld($1, p.id, $7)
ORDER BY p.created_at DESC, p.id DESC
LIMIT $4";

/// Changes. A trigger keeps the version that is replaced.
pub const UPDATE: &str = "\
UPDATE patients
SET home_epoch = $3, mrn_sealed = $4, given_name_sealed = $5, family_name_sealed = $6, birth_date_sealed = $7,
    sex_sealed = $8, email_sealed = $9, phone_sealed = $10, address_sealed = $11,
    address_jurisdiction_differs = $12, version = version + 1, updated_at = $13
WHERE org_id = $2 AND id = $1 AND deleted_at IS NULL AND version = $14";

/// Removes from view.
pub const REMOVE: &str = "\
UPDATE patients
SET home_epoch = $3, version = version + 1, updated_at = $4, deleted_at = $4, delete_reason = $5
WHERE org_id = $2 AND id = $1 AND deleted_at IS NULL";

/// Makes a patient findable.
pub const INDEX: &str = "\
INSERT INTO patient_index (org_id, field, value_blind, patient_id)
SELECT $1, wanted.field, wanted.value_blind, $2
FROM unnest($3::text[], $4::bytea[]) AS wanted (field, value_blind)";

/// Makes a patient unfindable.
pub const UNINDEX: &str = "DELETE FROM patient_index WHERE org_id = $1 AND patient_id = $2";

/// Who shares any of some indexes.
pub const DUPLICATES: &str = "\
SELECT DISTINCT one.patient_id
FROM unnest($2::text[], $3::bytea[]) AS wanted (field, value_blind)
CROSS JOIN LATERAL (
    SELECT i.patient_id
    FROM patient_index i
    WHERE i.org_id = $1 AND i.field = wanted.field AND i.value_blind = wanted.value_blind
    OFFSET 0) AS one
JOIN patient_home h ON h.patient_id = one.patient_id AND h.state = 'active'
WHERE NOT consent_withheld($1, one.patient_id, $4)
ORDER BY one.patient_id
LIMIT 20";

/// Who has a medical record number. Also of a patient who is served elsewhere now: the number stays taken.
pub const MRN_HOLDER: &str = "\
SELECT patient_id
FROM patient_index
WHERE org_id = $1 AND field = 'mrn' AND value_blind = $2";

/// Whether a patient took back the general consent to the purpose that is asked for.
pub const WITHHELD: &str =
    "SELECT consent_withheld(org_id, $2, $3) AS withheld FROM (VALUES ($1::uuid)) AS own (org_id)";

/// The constraint by which two patients of one organisation cannot have one number.
pub const ONE_MRN: &str = "patient_index_one_mrn";

/// Registers the transaction's patient. Sent with the commit, which fails if this does.
pub async fn insert(
    tx: &RegionTx,
    id: PatientId,
    person: &Phi<Demographics>,
    outside: bool,
) -> Result<(), Error> {
    let cells = Cells::seal(tx, id, person).await?;
    let (org, epoch) = (tx.scope().org.uuid(), epoch(tx));
    tx.put(
        INSERT,
        &[
            &id.uuid(),
            &org,
            &epoch,
            &cells.mrn,
            &cells.given_name,
            &cells.family_name,
            &cells.birth_date,
            &cells.sex,
            &cells.email,
            &cells.phone,
            &cells.address,
            &outside,
            &tx.now(),
        ],
    )
    .await?;
    index(tx, id, person).await
}

/// Changes a patient who was read with [`lock`] in the same transaction. The indexes are sent with the commit, which
/// fails if they do.
pub async fn update(
    tx: &RegionTx,
    patient: &Patient,
    person: &Phi<Demographics>,
    outside: bool,
) -> Result<(), Error> {
    let id = patient.id;
    let cells = Cells::seal(tx, id, person).await?;
    let (org, epoch) = (tx.scope().org.uuid(), epoch(tx));
    let changed = tx
        .execute(
            UPDATE,
            &[
                &id.uuid(),
                &org,
                &epoch,
                &cells.mrn,
                &cells.given_name,
                &cells.family_name,
                &cells.birth_date,
                &cells.sex,
                &cells.email,
                &cells.phone,
                &cells.address,
                &outside,
                &tx.now(),
                &patient.version,
            ],
        )
        .await?;
    if changed != 1 {
        return Err(Error::NotOneRow);
    }
    tx.put(UNINDEX, &[&org, &id.uuid()]).await?;
    index(tx, id, person).await
}

/// Removes a patient from view and from every index.
pub async fn remove(tx: &RegionTx, id: PatientId, reason: DeleteReason) -> Result<(), Error> {
    let (org, epoch) = (tx.scope().org.uuid(), epoch(tx));
    let removed = tx.execute(REMOVE, &[&id.uuid(), &org, &epoch, &tx.now(), &reason.as_str()]).await?;
    if removed != 1 {
        return Err(Error::NotOneRow);
    }
    tx.put(UNINDEX, &[&org, &id.uuid()]).await
}

/// One patient.
pub async fn by_id(tx: &impl Reading, id: PatientId) -> Result<Option<Patient>, Error> {
    match tx.query_opt(BY_ID, &[&tx.scope().org.uuid(), &id.uuid()]).await? {
        Some(row) => patient(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

/// One patient, whom nobody else changes until the transaction ends.
pub async fn lock(tx: &RegionTx, id: PatientId) -> Result<Option<Patient>, Error> {
    match tx.query_opt(LOCK, &[&tx.scope().org.uuid(), &id.uuid()]).await? {
        Some(row) => patient(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

/// The version of one patient, whom nobody else changes until the transaction ends.
pub async fn lock_version(tx: &RegionTx, id: PatientId) -> Result<Option<i32>, Error> {
    tx.query_opt(LOCK_VERSION, &[&tx.scope().org.uuid(), &id.uuid()])
        .await?
        .map(|row| row.get("version"))
        .transpose()
}

/// One patient without PHI; also how other features ask whether there is such a patient.
pub async fn token_by_id(tx: &impl Reading, id: PatientId) -> Result<Option<Token>, Error> {
    tx.query_opt(TOKEN_BY_ID, &[&tx.scope().org.uuid(), &id.uuid()]).await?.map(|row| token(&row)).transpose()
}

/// Whether a patient was removed from view.
pub async fn removed(tx: &impl Reading, id: PatientId) -> Result<bool, Error> {
    Ok(tx.query_opt(REMOVED, &[&tx.scope().org.uuid(), &id.uuid()]).await?.is_some())
}

/// A page of patients, whole.
pub async fn list_full(tx: &RegionRead, page: &PageRequest) -> Result<Vec<Patient>, Error> {
    let (at, id) = before(page);
    let rows = tx.query(LIST_FULL, &[&tx.scope().org.uuid(), &at, &id, &page.fetch(), &tx.now()]).await?;
    try_join_all(rows.iter().map(|row| patient(tx, row))).await
}

/// A page of patients for work on a list.
pub async fn list_listed(tx: &RegionRead, page: &PageRequest) -> Result<Vec<Listed>, Error> {
    let (at, id) = before(page);
    let rows = tx.query(LIST_LISTED, &[&tx.scope().org.uuid(), &at, &id, &page.fetch(), &tx.now()]).await?;
    try_join_all(rows.iter().map(|row| listed(tx, row))).await
}

/// A page of patients without PHI.
pub async fn list_tokens(tx: &RegionRead, page: &PageRequest) -> Result<Vec<Token>, Error> {
    let (at, id) = before(page);
    let rows = tx.query(LIST_TOKENS, &[&tx.scope().org.uuid(), &at, &id, &page.fetch(), &tx.now()]).await?;
    rows.iter().map(token).collect()
}

/// A page of the patients who fit. Nothing fits a search that has nothing left to go by after normalisation.
pub async fn search(
    tx: &RegionRead,
    criteria: &Phi<Criteria>,
    page: &PageRequest,
) -> Result<Vec<Patient>, Error> {
    let mut fields = Vec::new();
    let mut values = Vec::new();
    for field in IndexField::ALL {
        if let Some(term) = criteria.as_ref().map(|criteria| criteria.term(field)).transpose() {
            let Some(value) = tx.blind(field, &term) else { return Ok(Vec::new()) };
            fields.push(field.as_str());
            values.push(value);
        }
    }
    let (at, id) = before(page);
    let org = tx.scope().org.uuid();
    let rows = tx.query(SEARCH, &[&org, &at, &id, &page.fetch(), &fields, &values, &tx.now()]).await?;
    try_join_all(rows.iter().map(|row| patient(tx, row))).await
}

/// Whom a new patient may be taken for.
#[derive(Debug, Default)]
pub struct Alike {
    /// Who has the same medical record number.
    pub holder: Option<PatientId>,
    /// Who may be the same person: by family name and birth date, by phone, or by e-mail address.
    pub duplicates: Vec<PatientId>,
}

/// Whom a person may be taken for.
pub async fn alike(tx: &RegionRead, person: &Phi<Demographics>) -> Result<Alike, Error> {
    let telling = [IndexField::FamilyNameBirthDate, IndexField::Phone, IndexField::Email];
    let (fields, values) = terms(tx, person, &telling);
    let (_, number) = terms(tx, person, &[IndexField::Mrn]);
    let (org, at) = (tx.scope().org.uuid(), tx.now());
    let number: Option<&BlindIndex> = number.first();
    let mut found =
        tx.query_all(&[(MRN_HOLDER, &[&org, &number]), (DUPLICATES, &[&org, &fields, &values, &at])]).await?;
    let ids =
        |rows: Vec<Row>| rows.iter().map(|row| row.get::<Uuid>("patient_id").map(PatientId::from)).collect();
    let duplicates: Vec<PatientId> = found.pop().map_or(Ok(Vec::new()), ids)?;
    let holder: Vec<PatientId> = found.pop().map_or(Ok(Vec::new()), ids)?;
    Ok(Alike { holder: holder.first().copied(), duplicates })
}

/// Whether a patient took back the consent to the caller's purpose. Of a region: a patient's own read sees no other's.
pub async fn withheld(tx: &RegionRead, id: PatientId) -> Result<bool, Error> {
    tx.query_one(WITHHELD, &[&tx.scope().org.uuid(), &id.uuid(), &tx.now()]).await?.get("withheld")
}

async fn index(tx: &RegionTx, id: PatientId, person: &Phi<Demographics>) -> Result<(), Error> {
    let (fields, values) = terms(tx, person, &IndexField::ALL);
    tx.put(INDEX, &[&tx.scope().org.uuid(), &id.uuid(), &fields, &values]).await
}

fn terms(
    tx: &impl Reading,
    person: &Phi<Demographics>,
    of: &[IndexField],
) -> (Vec<&'static str>, Vec<BlindIndex>) {
    let blind = |field: &IndexField| {
        let term = person.as_ref().map(|person| person.term(*field)).transpose()?;
        Some((field.as_str(), tx.blind(*field, &term)?))
    };
    of.iter().filter_map(blind).unzip()
}

/// From where a page goes on. The first page starts after everything that can be.
fn before(page: &PageRequest) -> (Timestamp, Uuid) {
    page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id))
}

fn epoch(tx: &RegionTx) -> i64 {
    // A transaction that changes a patient is always one of a patient, and so has an epoch.
    tx.epoch().map_or(0, |epoch| i64::from(epoch.0))
}
