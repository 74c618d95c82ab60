//! The timeline in Postgres: one statement over two tables, neither of which it changes.

use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_policy::{ConsentId, KeyId, OrgId, PatientId, RecordId, RequestId, UserId};
use storage::{Error, Reading, Row};
use uuid::Uuid;

use super::model::{Done, Entry, Event, Filter, Kind, Said, What};

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[("purposes.timeline", TIMELINE)];

/// A page, the last first. Each source gives a page of its own at most, so that no more is sorted than is shown twice.
///
/// What became of a consent has no row and so no id of its own: one is made of the consent's id and the word, always the
/// same, so that the order is total where a consent was entered and revoked at one instant.
pub const TIMELINE: &str = "\
SELECT e.id, e.at, e.organisation, e.purpose, e.key_id, e.user_id, e.role, e.action, e.entity, e.entity_id, e.outcome,
    e.under_grant, e.request_id, e.consent_id, e.event, e.category, e.text_version
FROM (
    (SELECT l.id, l.at, l.org_id AS organisation, l.purpose, l.key_id, l.user_id, l.role, l.action, l.entity,
        l.entity_id, l.outcome, l.grant_id IS NOT NULL AS under_grant, l.request_id, NULL::uuid AS consent_id,
        NULL::text AS event, NULL::text AS category, NULL::text AS text_version
    FROM access_log l
    WHERE l.org_id = $1 AND l.patient_id = $2 AND (l.at, l.id) < ($3, $4) AND l.at >= $5 AND l.at < $6
        AND ($7::text IS NULL OR l.purpose = $7) AND $8::text IS DISTINCT FROM 'consent'
    ORDER BY l.at DESC, l.id DESC
    LIMIT $9)
    UNION ALL
    (SELECT i.id, w.at, c.grantee_org_id, c.purpose, w.by_key, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL, c.id,
        w.event, c.category, c.text_version
    FROM consents c
    CROSS JOIN LATERAL (VALUES
        ('granted', c.recorded_at, c.recorded_by),
        ('revoked', c.revoked_at, c.revoked_by),
        ('expired', CASE WHEN c.expires_at <= $10 AND (c.revoked_at IS NULL OR c.revoked_at > c.expires_at)
            THEN c.expires_at END, NULL)) AS w (event, at, by_key)
    CROSS JOIN LATERAL (SELECT
        encode(substr(sha256(convert_to(w.event || c.id::text, 'UTF8')), 1, 16), 'hex')::uuid AS id) AS i
    WHERE c.org_id = $1 AND c.patient_id = $2 AND (w.at, i.id) < ($3, $4) AND w.at >= $5 AND w.at < $6
        AND ($7::text IS NULL OR c.purpose = $7) AND $8::text IS DISTINCT FROM 'access'
    ORDER BY w.at DESC, i.id DESC
    LIMIT $9)
) AS e
ORDER BY e.at DESC, e.id DESC
LIMIT $9";

/// A page of the timeline. Ask first whether there is such a patient.
pub async fn timeline(
    tx: &impl Reading,
    patient: PatientId,
    filter: Filter,
    page: &PageRequest,
    now: Timestamp,
) -> Result<Vec<Entry>, Error> {
    let (at, id) = page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id));
    let Filter { purpose, kind, from, until } = filter;
    let kind = kind.map(Kind::as_str);
    let (org, patient) = (tx.scope().org.uuid(), patient.uuid());
    let rows = tx
        .query(TIMELINE, &[&org, &patient, &at, &id, &from, &until, &purpose, &kind, &page.fetch(), &now])
        .await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<Entry, Error> {
    let what = match row.get::<Option<Uuid>>("consent_id")? {
        Some(consent) => What::Consent(said(row, ConsentId::from(consent))?),
        None => What::Access(done(row)?),
    };
    Ok(Entry {
        id: row.get("id")?,
        at: row.get("at")?,
        organisation: OrgId::from(row.get::<Uuid>("organisation")?),
        purpose: row.get("purpose")?,
        what,
    })
}

fn done(row: &Row) -> Result<Done, Error> {
    Ok(Done {
        key: KeyId::from(row.get::<Uuid>("key_id")?),
        user: row.get::<Option<Uuid>>("user_id")?.map(UserId::from),
        role: row.get("role")?,
        action: row.get("action")?,
        entity: row.get("entity")?,
        record: row.get::<Option<Uuid>>("entity_id")?.map(RecordId::from),
        outcome: row.get("outcome")?,
        under_grant: row.get("under_grant")?,
        request: RequestId::from(row.get::<Uuid>("request_id")?),
    })
}

fn said(row: &Row, consent: ConsentId) -> Result<Said, Error> {
    Ok(Said {
        consent,
        event: Event::read(row.get("event")?).ok_or(Error::Row { column: "event" })?,
        category: row.get("category")?,
        text_version: row.get("text_version")?,
        by: row.get::<Option<Uuid>>("key_id")?.map(KeyId::from),
    })
}
