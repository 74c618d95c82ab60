//! Disclosures in the access log. Nothing changes it.

use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_policy::{OrgId, PatientId, RecordId};
use storage::{Error, Reading, Row};
use uuid::Uuid;

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[("disclosures.page", PAGE)];

/// A page, the last first: what was shown to somebody, for the purposes that are accounted for.
pub const PAGE: &str = "\
SELECT l.id, l.at, l.org_id, l.role, l.purpose, l.action, l.entity, l.entity_id, l.category
FROM access_log l
WHERE l.org_id = $1 AND l.patient_id = $2 AND (l.at, l.id) < ($3, $4) AND l.at >= $5 AND l.outcome = 'done'
    AND l.action IN ('read', 'search', 'list', 'export', 'print') AND ($6::text[] IS NULL OR l.purpose = ANY ($6))
ORDER BY l.at DESC, l.id DESC
LIMIT $7";

/// One disclosure.
pub struct Disclosed {
    /// The access record's id.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// To which organisation.
    pub organisation: OrgId,
    /// To somebody in which role.
    pub role: String,
    /// For what, as a code of HL7 v3-ActReason.
    pub purpose: String,
    /// How it was shown.
    pub action: String,
    /// What kind of record.
    pub entity: String,
    /// Which record; none of what was shown with others.
    pub record: Option<RecordId>,
    /// Of which legal category; none of what was recorded before that was noted.
    pub category: Option<String>,
}

/// A page. Ask first whether there is such a patient. No purposes: for all of them.
pub async fn page(
    tx: &impl Reading,
    patient: PatientId,
    purposes: Option<&[&str]>,
    from: Timestamp,
    page: &PageRequest,
) -> Result<Vec<Disclosed>, Error> {
    let (at, id) = page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id));
    let (org, patient) = (tx.scope().org.uuid(), patient.uuid());
    let rows = tx.query(PAGE, &[&org, &patient, &at, &id, &from, &purposes, &page.fetch()]).await?;
    rows.iter().map(disclosed).collect()
}

fn disclosed(row: &Row) -> Result<Disclosed, Error> {
    Ok(Disclosed {
        id: row.get("id")?,
        at: row.get("at")?,
        organisation: OrgId::from(row.get::<Uuid>("org_id")?),
        role: row.get("role")?,
        purpose: row.get("purpose")?,
        action: row.get("action")?,
        entity: row.get("entity")?,
        record: row.get::<Option<Uuid>>("entity_id")?.map(RecordId::from),
        category: row.get("category")?,
    })
}
