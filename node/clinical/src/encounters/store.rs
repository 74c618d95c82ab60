//! Encounters in Postgres. Every statement asks for the patient too: who is removed from view has no encounters. And each
//! asks for the category of the transaction: no mistake of a handler shows one of another.

use futures::future::try_join_all;
use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_policy::{EncounterId, KeyId, PatientId, RecordId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use storage::{Cell, Error, Phi, Reading, RegionTx, Row, Sealed, ToSql};
use uuid::Uuid;

use super::model::{Addendum, ClinicalText, Content, Encounter, Heading, Setting, Signature, State};
use crate::values::parse_npi;

const TABLE: &str = "encounters";
const ADDENDA: &str = "encounter_addenda";

/// The most addenda of one encounter; all are shown with it.
pub const ADDENDA_MAX: usize = 200;

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("encounters.insert", INSERT),
    ("encounters.by_id", BY_ID),
    ("encounters.lock", LOCK),
    ("encounters.heading", HEADING),
    ("encounters.list", LIST),
    ("encounters.update", UPDATE),
    ("encounters.insert_addendum", INSERT_ADDENDUM),
    ("encounters.addenda", ADDENDA_OF),
    ("encounters.count_addenda", COUNT_ADDENDA),
];

/// Opens, if the patient is there.
pub const INSERT: &str = "\
INSERT INTO encounters (id, patient_id, org_id, status, category, service_jurisdiction, reason_sealed, note_sealed,
    diagnoses_sealed, provider_npi, opened_at, version)
SELECT $1, p.id, p.org_id, 'open', $10, $4, $5, $6, $7, $8, $9, 1
FROM patients p
WHERE p.id = $2 AND p.org_id = $3 AND p.deleted_at IS NULL";

/// One encounter, whole.
pub const BY_ID: &str = "\
SELECT e.id, e.patient_id, e.status, e.service_jurisdiction, e.reason_sealed, e.note_sealed, e.diagnoses_sealed,
    e.provider_npi, e.opened_at, e.signed_at, e.signed_by, e.content_sha256, e.version
FROM encounters e
JOIN patients p ON p.id = e.patient_id AND p.org_id = $1 AND p.deleted_at IS NULL
WHERE e.org_id = $1 AND e.patient_id = $2 AND e.category = $4 AND e.id = $3 AND (e.status = 'signed' OR NOT $5)";

/// One encounter, whole, and nobody else changes it until the transaction ends.
pub const LOCK: &str = "\
SELECT e.id, e.patient_id, e.status, e.service_jurisdiction, e.reason_sealed, e.note_sealed, e.diagnoses_sealed,
    e.provider_npi, e.opened_at, e.signed_at, e.signed_by, e.content_sha256, e.version
FROM encounters e
JOIN patients p ON p.id = e.patient_id AND p.org_id = $1 AND p.deleted_at IS NULL
WHERE e.org_id = $1 AND e.patient_id = $2 AND e.category = $4 AND e.id = $3
FOR UPDATE OF e";

/// One encounter without what is clinical.
pub const HEADING: &str = "\
SELECT e.id, e.patient_id, e.status, e.service_jurisdiction, e.provider_npi, e.opened_at, e.signed_at, e.version
FROM encounters e
JOIN patients p ON p.id = e.patient_id AND p.org_id = $1 AND p.deleted_at IS NULL
WHERE e.org_id = $1 AND e.patient_id = $2 AND e.category = $4 AND e.id = $3";

/// A page of encounters without what is clinical.
pub const LIST: &str = "\
SELECT e.id, e.patient_id, e.status, e.service_jurisdiction, e.provider_npi, e.opened_at, e.signed_at, e.version
FROM encounters e
WHERE e.org_id = $1 AND e.patient_id = $2 AND e.category = $6 AND (e.opened_at, e.id) < ($3, $4)
    AND (e.status = 'signed' OR NOT $7)
ORDER BY e.opened_at DESC, e.id DESC
LIMIT $5";

/// Changes an open encounter. A trigger refuses it for any other.
pub const UPDATE: &str = "\
UPDATE encounters
SET status = $4, service_jurisdiction = $5, reason_sealed = $6, note_sealed = $7, diagnoses_sealed = $8,
    provider_npi = $9, signed_at = $10, signed_by = $11, content_sha256 = $12, version = version + 1
WHERE org_id = $1 AND patient_id = $2 AND id = $3 AND status = 'open' AND version = $13";

/// Adds to a signed encounter.
pub const INSERT_ADDENDUM: &str = "\
INSERT INTO encounter_addenda (id, encounter_id, patient_id, org_id, body_sealed, at, by)
VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// What was added.
pub const ADDENDA_OF: &str = "\
SELECT id, body_sealed, at, by
FROM encounter_addenda
WHERE org_id = $1 AND patient_id = $2 AND encounter_id = $3
ORDER BY at, id
LIMIT 200";

/// How much was added.
pub const COUNT_ADDENDA: &str = "\
SELECT count(*) AS many
FROM encounter_addenda
WHERE org_id = $1 AND patient_id = $2 AND encounter_id = $3";

/// Opens an encounter. Says whether its patient is there; nothing is written otherwise.
pub async fn insert(tx: &RegionTx, encounter: &Encounter) -> Result<bool, Error> {
    let cells = Cells::seal(tx, encounter.id, &encounter.content).await?;
    let opened = tx
        .execute(
            INSERT,
            &[
                &encounter.id.uuid(),
                &encounter.patient.uuid(),
                &tx.scope().org.uuid(),
                &encounter.setting.service.code(),
                &cells.reason,
                &cells.note,
                &cells.diagnoses,
                &encounter.setting.provider.as_str(),
                &encounter.opened_at,
                &tx.scope().category.name(),
            ],
        )
        .await?;
    Ok(opened == 1)
}

/// Writes an encounter that was open when [`lock`] read it; `encounter.version` is the version that was read.
pub async fn update(tx: &RegionTx, encounter: &Encounter) -> Result<(), Error> {
    let cells = Cells::seal(tx, encounter.id, &encounter.content).await?;
    let (at, by, digest) = match &encounter.state {
        State::Signed(Signature { at, by, digest }) => (Some(*at), Some(by.uuid()), Some(digest.to_vec())),
        State::Open | State::Cancelled => (None, None, None),
    };
    let changed = tx
        .execute(
            UPDATE,
            &[
                &tx.scope().org.uuid(),
                &encounter.patient.uuid(),
                &encounter.id.uuid(),
                &encounter.state.as_str(),
                &encounter.setting.service.code(),
                &cells.reason,
                &cells.note,
                &cells.diagnoses,
                &encounter.setting.provider.as_str(),
                &at,
                &by,
                &digest,
                &encounter.version,
            ],
        )
        .await?;
    if changed == 1 { Ok(()) } else { Err(Error::NotOneRow) }
}

/// One encounter.
pub async fn by_id(tx: &impl Reading, patient: PatientId, id: EncounterId) -> Result<Option<Encounter>, Error> {
    let one = one(tx, patient, id);
    let [org, patient, id, category] = one.params();
    match tx.query_opt(BY_ID, &[org, patient, id, category, &is_own(tx)]).await? {
        Some(row) => encounter(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

/// One encounter, which nobody else changes until the transaction ends.
pub async fn lock(tx: &RegionTx, patient: PatientId, id: EncounterId) -> Result<Option<Encounter>, Error> {
    match tx.query_opt(LOCK, &one(tx, patient, id).params()).await? {
        Some(row) => encounter(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

/// One encounter without what is clinical.
pub async fn heading(tx: &impl Reading, patient: PatientId, id: EncounterId) -> Result<Option<Heading>, Error> {
    let row = tx.query_opt(HEADING, &one(tx, patient, id).params()).await?;
    row.map(|row| read_heading(&row)).transpose()
}

/// A page of encounters without what is clinical. Ask first whether there is such a patient.
pub async fn list(tx: &impl Reading, patient: PatientId, page: &PageRequest) -> Result<Vec<Heading>, Error> {
    let (at, id) = page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id));
    let (org, category) = (tx.scope().org.uuid(), tx.scope().category.name());
    let asked: [&(dyn ToSql + Sync); 7] =
        [&org, &patient.uuid(), &at, &id, &page.fetch(), &category, &is_own(tx)];
    let rows = tx.query(LIST, &asked).await?;
    rows.iter().map(read_heading).collect()
}

/// Adds to a signed encounter.
pub async fn insert_addendum(tx: &RegionTx, encounter: &Encounter, addendum: &Addendum) -> Result<(), Error> {
    let body = tx
        .seal(Cell::of(ADDENDA, addendum.id.uuid(), "body_sealed", tx.scope().category), &addendum.body)
        .await?;
    tx.execute(
        INSERT_ADDENDUM,
        &[
            &addendum.id.uuid(),
            &encounter.id.uuid(),
            &encounter.patient.uuid(),
            &tx.scope().org.uuid(),
            &body,
            &addendum.at,
            &addendum.by.uuid(),
        ],
    )
    .await?;
    Ok(())
}

/// What was added to an encounter, oldest first.
pub async fn addenda(tx: &impl Reading, patient: PatientId, id: EncounterId) -> Result<Vec<Addendum>, Error> {
    let rows = tx.query(ADDENDA_OF, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await?;
    try_join_all(rows.iter().map(|row| addendum(tx, patient, row))).await
}

/// Whether there is room for one more addendum.
pub async fn has_room(tx: &RegionTx, patient: PatientId, id: EncounterId) -> Result<bool, Error> {
    let row = tx.query_one(COUNT_ADDENDA, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await?;
    Ok(usize::try_from(row.get::<i64>("many")?).is_ok_and(|many| many < ADDENDA_MAX))
}

/// Whether it is asked for by whom it is about: what is not signed is not released to them.
fn is_own(tx: &impl Reading) -> bool {
    tx.scope().role.patient().is_some()
}

/// What finds one encounter: of the category that the transaction is about, and of no other.
struct One(Uuid, Uuid, Uuid, &'static str);

fn one(tx: &impl Reading, patient: PatientId, id: EncounterId) -> One {
    One(tx.scope().org.uuid(), patient.uuid(), id.uuid(), tx.scope().category.name())
}

impl One {
    fn params(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.0, &self.1, &self.2, &self.3]
    }
}

/// The sealed cells of one row.
struct Cells {
    reason: Option<Sealed>,
    note: Option<Sealed>,
    diagnoses: Option<Sealed>,
}

impl Cells {
    async fn seal(tx: &RegionTx, id: EncounterId, content: &Phi<Content>) -> Result<Self, Error> {
        let reason = content.as_ref().map(|c| c.reason.as_ref()).transpose();
        let note = content.as_ref().map(|c| c.note.as_ref()).transpose();
        let diagnoses =
            content.as_ref().map(|c| Some(&c.diagnoses).filter(|list| !list.is_empty())).transpose();
        Ok(Self {
            reason: seal(tx, id, "reason_sealed", reason).await?,
            note: seal(tx, id, "note_sealed", note).await?,
            diagnoses: seal(tx, id, "diagnoses_sealed", diagnoses).await?,
        })
    }
}

async fn seal<T: Serialize>(
    tx: &RegionTx,
    id: EncounterId,
    column: &'static str,
    value: Option<Phi<T>>,
) -> Result<Option<Sealed>, Error> {
    match &value {
        Some(value) => tx.seal(Cell::of(TABLE, id.uuid(), column, tx.scope().category), value).await.map(Some),
        None => Ok(None),
    }
}

async fn unseal<T: DeserializeOwned + Send>(
    tx: &impl Reading,
    row: &Row,
    (patient, id): (PatientId, EncounterId),
    column: &'static str,
) -> Result<Phi<Option<T>>, Error> {
    match row.get::<Option<Sealed>>(column)? {
        Some(sealed) => {
            let value: Phi<T> =
                tx.unseal(Cell::of(TABLE, id.uuid(), column, tx.scope().category), patient, &sealed).await?;
            Ok(value.map(Some))
        }
        None => Ok(Phi::new(None)),
    }
}

async fn encounter(tx: &impl Reading, row: &Row) -> Result<Encounter, Error> {
    let id = EncounterId::from(row.get::<Uuid>("id")?);
    let patient = PatientId::from(row.get::<Uuid>("patient_id")?);
    let state = match row.get::<&str>("status")? {
        "open" => State::Open,
        "cancelled" => State::Cancelled,
        "signed" => State::Signed(Signature {
            at: row.get("signed_at")?,
            by: KeyId::from(row.get::<Uuid>("signed_by")?),
            digest: row
                .get::<&[u8]>("content_sha256")?
                .try_into()
                .map_err(|_| Error::Row { column: "content_sha256" })?,
        }),
        _ => return Err(Error::Row { column: "status" }),
    };
    let reason = unseal::<ClinicalText>(tx, row, (patient, id), "reason_sealed").await?;
    let note = unseal::<ClinicalText>(tx, row, (patient, id), "note_sealed").await?;
    let diagnoses = unseal(tx, row, (patient, id), "diagnoses_sealed").await?;
    let content = reason.zip(note).zip(diagnoses).map(|((reason, note), diagnoses)| Content {
        reason,
        note,
        diagnoses: diagnoses.unwrap_or_default(),
    });
    Ok(Encounter {
        id,
        patient,
        category: tx.scope().category,
        state,
        setting: Setting {
            service: row
                .get::<&str>("service_jurisdiction")?
                .parse()
                .map_err(|_| Error::Row { column: "service_jurisdiction" })?,
            provider: parse_npi(row.get("provider_npi")?).map_err(|_| Error::Row { column: "provider_npi" })?,
        },
        content,
        opened_at: row.get("opened_at")?,
        version: row.get("version")?,
    })
}

fn read_heading(row: &Row) -> Result<Heading, Error> {
    Ok(Heading {
        id: EncounterId::from(row.get::<Uuid>("id")?),
        patient: PatientId::from(row.get::<Uuid>("patient_id")?),
        status: row.get("status")?,
        service: row.get("service_jurisdiction")?,
        provider: row.get("provider_npi")?,
        opened_at: row.get("opened_at")?,
        signed_at: row.get("signed_at")?,
        version: row.get("version")?,
    })
}

async fn addendum(tx: &impl Reading, patient: PatientId, row: &Row) -> Result<Addendum, Error> {
    let id = row.get::<Uuid>("id")?;
    let sealed = row.get::<Sealed>("body_sealed")?;
    Ok(Addendum {
        id: RecordId::from(id),
        body: tx.unseal(Cell::of(ADDENDA, id, "body_sealed", tx.scope().category), patient, &sealed).await?,
        at: row.get("at")?,
        by: KeyId::from(row.get::<Uuid>("by")?),
    })
}
