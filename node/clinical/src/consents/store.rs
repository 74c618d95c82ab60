//! Consents in Postgres. Every statement asks for the patient too: who is removed from view has no consents.

use futures::future::try_join_all;
use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_policy::{ConsentId, KeyId, OrgId, PatientId, Purpose};
use storage::{Cell, Error, Phi, Reading, RegionTx, Row, Sealed};
use uuid::Uuid;

use super::model::{Consent, Evidence, LanguageTag, Revocation, Terms};
use crate::encounters::model::ClinicalText;

const TABLE: &str = "consents";
const REFERENCE: &str = "reference_sealed";
const REVOKED_REFERENCE: &str = "revoked_reference_sealed";

/// The most consents of one patient in one organisation: every decision looks at them.
pub const CONSENTS_MAX: i64 = 500;

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("consents.count", COUNT),
    ("consents.insert", INSERT),
    ("consents.by_id", BY_ID),
    ("consents.lock", LOCK),
    ("consents.list", LIST),
    ("consents.revoke", REVOKE),
    ("consents.wake", WAKE),
    ("consents.withdrawn", WITHDRAWN),
];

/// How many there are, and when one about the same was last taken back, if the patient is there.
pub const COUNT: &str = "\
SELECT (SELECT count(*) FROM consents c WHERE c.org_id = $1 AND c.patient_id = $2) AS many,
    (SELECT max(c.revoked_at) FROM consents c
     WHERE c.org_id = $1 AND c.patient_id = $2 AND c.grantee_org_id = $3 AND c.purpose = $4
         AND c.category IN ($5, 'general')) AS revoked_at
FROM patients p
WHERE p.id = $2 AND p.org_id = $1 AND p.deleted_at IS NULL";

/// Enters one. Its place among all words is the database's to give.
pub const INSERT: &str = "\
INSERT INTO consents (id, patient_id, org_id, grantee_org_id, purpose, category, evidence, reference_sealed,
    text_version, locale, granted_at, expires_at, recorded_at, recorded_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// One consent.
pub const BY_ID: &str = "\
SELECT c.id, c.patient_id, c.grantee_org_id, c.purpose, c.category, c.evidence, c.reference_sealed, c.text_version,
    c.locale, c.granted_at, c.expires_at, c.recorded_at, c.recorded_by, c.revoked_at, c.revoked_by, c.revoked_evidence,
    c.revoked_reference_sealed
FROM consents c
JOIN patients p ON p.id = c.patient_id AND p.org_id = $1 AND p.deleted_at IS NULL
WHERE c.org_id = $1 AND c.patient_id = $2 AND c.id = $3";

/// One consent, and nobody else changes it until the transaction ends.
pub const LOCK: &str = "\
SELECT c.id, c.patient_id, c.grantee_org_id, c.purpose, c.category, c.evidence, c.reference_sealed, c.text_version,
    c.locale, c.granted_at, c.expires_at, c.recorded_at, c.recorded_by, c.revoked_at, c.revoked_by, c.revoked_evidence,
    c.revoked_reference_sealed
FROM consents c
JOIN patients p ON p.id = c.patient_id AND p.org_id = $1 AND p.deleted_at IS NULL
WHERE c.org_id = $1 AND c.patient_id = $2 AND c.id = $3
FOR UPDATE OF c";

/// A page of consents, the last entered first.
pub const LIST: &str = "\
SELECT c.id, c.patient_id, c.grantee_org_id, c.purpose, c.category, c.evidence, c.reference_sealed, c.text_version,
    c.locale, c.granted_at, c.expires_at, c.recorded_at, c.recorded_by, c.revoked_at, c.revoked_by, c.revoked_evidence,
    c.revoked_reference_sealed
FROM consents c
WHERE c.org_id = $1 AND c.patient_id = $2 AND (c.recorded_at, c.id) < ($3, $4)
ORDER BY c.recorded_at DESC, c.id DESC
LIMIT $5";

/// Takes one back. A trigger refuses it for one that was.
pub const REVOKE: &str = "\
UPDATE consents
SET revoked_at = $4, revoked_by = $5, revoked_evidence = $6, revoked_reference_sealed = $7,
    revoked_word = nextval('consent_words')
WHERE org_id = $1 AND patient_id = $2 AND id = $3";

/// Has the patient's wishes for an appointment looked at anew, at once: whoever works on one now is fenced off, so that an
/// offer that is being made meanwhile is given back.
pub const WAKE: &str = "\
UPDATE booking_work
SET fence = nextval('booking_fences'), resting = false, due_at = now()
WHERE org_id = $1 AND patient_id = $2 AND subject = 'wish'";

/// Whether the last word to this organisation, on this purpose, was a revocation. With no purpose, on being treated by it
/// or on its running.
pub const WITHDRAWN: &str = "\
SELECT EXISTS (
    SELECT FROM consents c
    WHERE c.org_id = $1 AND c.patient_id = $2 AND c.grantee_org_id = $1 AND c.category = 'general'
        AND CASE WHEN $4::text IS NULL THEN c.purpose IN ('TREAT', 'HOPERAT') ELSE c.purpose = $4 END
    GROUP BY c.purpose
    HAVING max(c.revoked_word) > coalesce(max(c.granted_word) FILTER (
        WHERE c.revoked_word IS NULL AND c.granted_at <= $3 AND (c.expires_at IS NULL OR c.expires_at > $3)), 0)
) AS withdrawn";

/// What the ledger has already, as far as it matters for one more.
pub struct Before {
    /// Whether there is room for it.
    pub room: bool,
    /// When one to the same organisation, for the same purpose and about the same, was last taken back.
    pub revoked_at: Option<Timestamp>,
}

/// What there is before a consent of these terms; `None` when there is no such patient.
pub async fn before(tx: &RegionTx, patient: PatientId, terms: &Terms) -> Result<Option<Before>, Error> {
    let (org, grantee) = (tx.scope().org.uuid(), terms.grantee.uuid());
    let about = (terms.purpose.as_str(), terms.category.name());
    let row = tx.query_opt(COUNT, &[&org, &patient.uuid(), &grantee, &about.0, &about.1]).await?;
    row.map(|row| {
        let room = row.get::<i64>("many")? < CONSENTS_MAX;
        Ok(Before { room, revoked_at: row.get("revoked_at")? })
    })
    .transpose()
}

/// Enters a consent.
pub async fn insert(tx: &RegionTx, consent: &Consent) -> Result<(), Error> {
    let reference = seal(tx, consent.id, REFERENCE, &consent.reference).await?;
    let terms = &consent.terms;
    tx.put(
        INSERT,
        &[
            &consent.id.uuid(),
            &consent.patient.uuid(),
            &tx.scope().org.uuid(),
            &terms.grantee.uuid(),
            &terms.purpose.as_str(),
            &terms.category.name(),
            &terms.evidence.as_str(),
            &reference,
            &terms.text_version.as_str(),
            &terms.locale.as_str(),
            &terms.granted_at,
            &terms.expires_at,
            &consent.recorded_at,
            &consent.recorded_by.uuid(),
        ],
    )
    .await
}

/// Whether a patient took back the consent to what this organisation made an appointment for. `None` where that was not
/// kept: either of the purposes for which appointments are made counts.
pub async fn withdrawn(tx: &RegionTx, patient: PatientId, made_for: Option<Purpose>) -> Result<bool, Error> {
    let (org, made_for) = (tx.scope().org.uuid(), made_for.map(Purpose::as_str));
    let row = tx.query_one(WITHDRAWN, &[&org, &patient.uuid(), &tx.now(), &made_for]).await?;
    row.get("withdrawn")
}

/// Takes back a consent that [`lock`] read.
pub async fn revoke(tx: &RegionTx, consent: &Consent, revocation: &Revocation) -> Result<(), Error> {
    let reference = seal(tx, consent.id, REVOKED_REFERENCE, &revocation.reference).await?;
    tx.put(
        REVOKE,
        &[
            &tx.scope().org.uuid(),
            &consent.patient.uuid(),
            &consent.id.uuid(),
            &revocation.at,
            &revocation.by.uuid(),
            &revocation.evidence.as_str(),
            &reference,
        ],
    )
    .await?;
    tx.put(WAKE, &[&tx.scope().org.uuid(), &consent.patient.uuid()]).await
}

/// One consent.
pub async fn by_id(tx: &impl Reading, patient: PatientId, id: ConsentId) -> Result<Option<Consent>, Error> {
    match tx.query_opt(BY_ID, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await? {
        Some(row) => consent(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

/// One consent, which nobody else changes until the transaction ends.
pub async fn lock(tx: &RegionTx, patient: PatientId, id: ConsentId) -> Result<Option<Consent>, Error> {
    match tx.query_opt(LOCK, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await? {
        Some(row) => consent(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

/// A page of consents. Ask first whether there is such a patient.
pub async fn list(tx: &impl Reading, patient: PatientId, page: &PageRequest) -> Result<Vec<Consent>, Error> {
    let (at, id) = page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id));
    let rows = tx.query(LIST, &[&tx.scope().org.uuid(), &patient.uuid(), &at, &id, &page.fetch()]).await?;
    try_join_all(rows.iter().map(|row| consent(tx, row))).await
}

async fn seal(
    tx: &RegionTx,
    id: ConsentId,
    column: &'static str,
    value: &Phi<Option<ClinicalText>>,
) -> Result<Option<Sealed>, Error> {
    // Under the general key: the ledger is read by those who may not read what it is about.
    match value.as_ref().map(Option::as_ref).transpose() {
        Some(value) => tx.seal(Cell::general(TABLE, id.uuid(), column), &value).await.map(Some),
        None => Ok(None),
    }
}

async fn unseal(
    tx: &impl Reading,
    row: &Row,
    (patient, id): (PatientId, ConsentId),
    column: &'static str,
) -> Result<Phi<Option<ClinicalText>>, Error> {
    match row.get::<Option<Sealed>>(column)? {
        Some(sealed) => {
            let value = tx.unseal(Cell::general(TABLE, id.uuid(), column), patient, &sealed).await?;
            Ok(value.map(Some))
        }
        None => Ok(Phi::new(None)),
    }
}

async fn consent(tx: &impl Reading, row: &Row) -> Result<Consent, Error> {
    let id = ConsentId::from(row.get::<Uuid>("id")?);
    let patient = PatientId::from(row.get::<Uuid>("patient_id")?);
    let revocation = match row.get::<Option<Timestamp>>("revoked_at")? {
        None => None,
        Some(at) => Some(Revocation {
            at,
            by: KeyId::from(row.get::<Uuid>("revoked_by")?),
            evidence: word(row, "revoked_evidence", Evidence::read)?,
            reference: unseal(tx, row, (patient, id), REVOKED_REFERENCE).await?,
        }),
    };
    Ok(Consent {
        id,
        patient,
        terms: Terms {
            grantee: OrgId::from(row.get::<Uuid>("grantee_org_id")?),
            purpose: word(row, "purpose", |text| text.parse().ok())?,
            category: word(row, "category", |text| text.parse().ok())?,
            evidence: word(row, "evidence", Evidence::read)?,
            text_version: word(row, "text_version", |text| text.parse().ok())?,
            locale: word(row, "locale", |text| LanguageTag::parse(text).ok())?,
            granted_at: row.get("granted_at")?,
            expires_at: row.get("expires_at")?,
        },
        reference: unseal(tx, row, (patient, id), REFERENCE).await?,
        recorded_at: row.get("recorded_at")?,
        recorded_by: KeyId::from(row.get::<Uuid>("recorded_by")?),
        revocation,
    })
}

fn word<T>(row: &Row, column: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
    read(row.get(column)?).ok_or(Error::Row { column })
}
