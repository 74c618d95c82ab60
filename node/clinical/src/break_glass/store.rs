//! Break-glass grants in Postgres.

use futures::future::try_join_all;
use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_policy::{GrantId, KeyId, PatientId, UserId};
use storage::{Cell, Error, Phi, Reading, RegionTx, Row, Sealed};
use uuid::Uuid;

use super::model::{Grant, Reason, Review, Verdict};
use crate::encounters::model::ClinicalText;

const TABLE: &str = "break_glass_grants";

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("break_glass.insert", INSERT),
    ("break_glass.lock", LOCK),
    ("break_glass.unreviewed", UNREVIEWED),
    ("break_glass.review", REVIEW),
];

/// Gives one.
pub const INSERT: &str = "\
INSERT INTO break_glass_grants (id, patient_id, org_id, key_id, user_id, role, purpose, categories, reason_code,
    reason_sealed, granted_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// One grant, and nobody else changes it until the transaction ends. A patient may have been removed from view since.
pub const LOCK: &str = "\
SELECT id, patient_id, key_id, user_id, role, purpose, categories, reason_code, reason_sealed, granted_at, expires_at,
    reviewed_at, reviewed_by, verdict, review_sealed
FROM break_glass_grants
WHERE org_id = $1 AND patient_id = $2 AND id = $3
FOR UPDATE";

/// A page of those that nobody has reviewed, newest first.
pub const UNREVIEWED: &str = "\
SELECT g.id, g.patient_id, g.key_id, g.user_id, g.role, g.purpose, g.categories, g.reason_code, g.reason_sealed,
    g.granted_at, g.expires_at, g.reviewed_at, g.reviewed_by, g.verdict, g.review_sealed
FROM break_glass_grants g
JOIN patient_home h ON h.patient_id = g.patient_id AND h.state = 'active'
WHERE g.org_id = $1 AND g.reviewed_at IS NULL AND (g.granted_at, g.id) < ($2, $3)
ORDER BY g.granted_at DESC, g.id DESC
LIMIT $4";

/// Says what was found. A trigger refuses it for one that was reviewed.
pub const REVIEW: &str = "\
UPDATE break_glass_grants
SET reviewed_at = $4, reviewed_by = $5, verdict = $6, review_sealed = $7
WHERE org_id = $1 AND patient_id = $2 AND id = $3";

/// Gives one.
pub async fn insert(tx: &RegionTx, grant: &Grant) -> Result<(), Error> {
    // Under the general key: whoever reviews it needs no consent to what it opened.
    let reason = tx.seal(Cell::general(TABLE, grant.id.uuid(), "reason_sealed"), &grant.text).await?;
    let categories: Vec<&str> = grant.categories.iter().map(|category| category.name()).collect();
    tx.put(
        INSERT,
        &[
            &grant.id.uuid(),
            &grant.patient.uuid(),
            &tx.scope().org.uuid(),
            &grant.key.uuid(),
            &grant.user.map(UserId::uuid),
            &grant.role,
            &grant.purpose.as_str(),
            &categories,
            &grant.reason.as_str(),
            &reason,
            &grant.granted_at,
            &grant.expires_at,
        ],
    )
    .await
}

/// One grant, which nobody else reviews until the transaction ends.
pub async fn lock(tx: &RegionTx, patient: PatientId, id: GrantId) -> Result<Option<Grant>, Error> {
    match tx.query_opt(LOCK, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await? {
        Some(row) => grant(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

/// A page of those that nobody has reviewed.
pub async fn unreviewed(tx: &impl Reading, page: &PageRequest) -> Result<Vec<Grant>, Error> {
    let (at, id) = page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id));
    let rows = tx.query(UNREVIEWED, &[&tx.scope().org.uuid(), &at, &id, &page.fetch()]).await?;
    try_join_all(rows.iter().map(|row| grant(tx, row))).await
}

/// Says what was found of a grant that [`lock`] read.
pub async fn review(tx: &RegionTx, grant: &Grant, review: &Review) -> Result<(), Error> {
    let sealed = match review.text.as_ref().map(Option::as_ref).transpose() {
        Some(text) => Some(tx.seal(Cell::general(TABLE, grant.id.uuid(), "review_sealed"), &text).await?),
        None => None,
    };
    tx.put(
        REVIEW,
        &[
            &tx.scope().org.uuid(),
            &grant.patient.uuid(),
            &grant.id.uuid(),
            &review.at,
            &review.by.uuid(),
            &review.verdict.as_str(),
            &sealed,
        ],
    )
    .await
}

async fn grant(tx: &impl Reading, row: &Row) -> Result<Grant, Error> {
    let id = GrantId::from(row.get::<Uuid>("id")?);
    let patient = PatientId::from(row.get::<Uuid>("patient_id")?);
    let cell = |column| Cell::general(TABLE, id.uuid(), column);
    let text = tx.unseal(cell("reason_sealed"), patient, &row.get::<Sealed>("reason_sealed")?).await?;
    let review = match row.get::<Option<Timestamp>>("reviewed_at")? {
        None => None,
        Some(at) => Some(Review {
            at,
            by: KeyId::from(row.get::<Uuid>("reviewed_by")?),
            verdict: word(row, "verdict", Verdict::read)?,
            text: match row.get::<Option<Sealed>>("review_sealed")? {
                Some(sealed) => {
                    let text: Phi<ClinicalText> = tx.unseal(cell("review_sealed"), patient, &sealed).await?;
                    text.map(Some)
                }
                None => Phi::new(None),
            },
        }),
    };
    let categories = row.get::<Vec<String>>("categories")?;
    let categories = categories.iter().map(|word| word.parse()).collect::<Result<_, _>>();
    Ok(Grant {
        id,
        patient,
        key: KeyId::from(row.get::<Uuid>("key_id")?),
        user: row.get::<Option<Uuid>>("user_id")?.map(UserId::from),
        role: row.get("role")?,
        purpose: word(row, "purpose", |text| text.parse().ok())?,
        categories: categories.map_err(|_| Error::Row { column: "categories" })?,
        reason: word(row, "reason_code", Reason::read)?,
        text,
        granted_at: row.get("granted_at")?,
        expires_at: row.get("expires_at")?,
        review,
    })
}

fn word<T>(row: &Row, column: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
    read(row.get(column)?).ok_or(Error::Row { column })
}
