//! Pages of the access log. Nothing changes it.

use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_policy::{KeyId, PatientId, RecordId, UserId};
use storage::{AccessAction, AccessOutcome, Error, Reading, Row, ToSql};
use uuid::Uuid;

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] =
    &[("audit_events.of_org", OF_ORG), ("audit_events.of_patient", OF_PATIENT)];

/// A page of what an organisation did, the last first. It goes along `access_log_latest_of_org`.
pub const OF_ORG: &str = "\
SELECT l.id, l.at, l.org_id, l.key_id, l.user_id, l.role, l.on_behalf_kind, l.on_behalf_of, l.purpose, l.act, l.action,
    l.entity, l.entity_id, l.patient_id, l.category, l.query_mac, l.outcome, l.rules, l.request_id, l.client_ip,
    l.device_id, l.home, l.service_jurisdiction, l.accessor, l.ingress, l.home_epoch, l.grant_id, l.salt
FROM access_log l
WHERE l.org_id = $1 AND (l.at, l.id) < ($2, $3) AND l.at >= $4 AND l.at < $5
    AND ($6::text IS NULL OR l.entity = $6) AND ($7::uuid IS NULL OR l.entity_id = $7)
    AND ($8::text IS NULL OR l.purpose = $8) AND ($9::uuid IS NULL OR l.user_id = $9)
    AND ($10::uuid IS NULL OR l.key_id = $10) AND ($11::text IS NULL OR l.outcome = $11)
    AND ($12::text IS NULL OR l.action = $12)
ORDER BY l.at DESC, l.id DESC
LIMIT $13";

/// The same of what was done to one patient's. It goes along `access_log_latest_of_patient`.
pub const OF_PATIENT: &str = "\
SELECT l.id, l.at, l.org_id, l.key_id, l.user_id, l.role, l.on_behalf_kind, l.on_behalf_of, l.purpose, l.act, l.action,
    l.entity, l.entity_id, l.patient_id, l.category, l.query_mac, l.outcome, l.rules, l.request_id, l.client_ip,
    l.device_id, l.home, l.service_jurisdiction, l.accessor, l.ingress, l.home_epoch, l.grant_id, l.salt
FROM access_log l
WHERE l.org_id = $1 AND (l.at, l.id) < ($2, $3) AND l.at >= $4 AND l.at < $5
    AND ($6::text IS NULL OR l.entity = $6) AND ($7::uuid IS NULL OR l.entity_id = $7)
    AND ($8::text IS NULL OR l.purpose = $8) AND ($9::uuid IS NULL OR l.user_id = $9)
    AND ($10::uuid IS NULL OR l.key_id = $10) AND ($11::text IS NULL OR l.outcome = $11)
    AND ($12::text IS NULL OR l.action = $12) AND l.patient_id = $14
ORDER BY l.at DESC, l.id DESC
LIMIT $13";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only what was done to this kind of record.
    pub entity: Option<String>,
    /// Only what was done to this record.
    pub entity_id: Option<RecordId>,
    /// Only for this purpose.
    pub purpose: Option<&'static str>,
    /// Only by this user.
    pub user: Option<UserId>,
    /// Only with this session or key.
    pub key: Option<KeyId>,
    /// Only of this patient.
    pub patient: Option<PatientId>,
    /// Only what ended so.
    pub outcome: Option<AccessOutcome>,
    /// Only this.
    pub action: Option<AccessAction>,
    /// From when.
    pub from: Timestamp,
    /// Until when, not included.
    pub until: Timestamp,
}

/// A page, one row more than fits.
pub async fn page(tx: &impl Reading, filter: &Filter, page: &PageRequest) -> Result<Vec<Row>, Error> {
    let (at, id) = page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id));
    let (org, patient) = (tx.scope().org.uuid(), filter.patient.map(PatientId::uuid));
    let (entity_id, user) = (filter.entity_id.map(RecordId::uuid), filter.user.map(UserId::uuid));
    let (key, outcome) = (filter.key.map(KeyId::uuid), filter.outcome.map(AccessOutcome::as_str));
    let (action, fetch) = (filter.action.map(AccessAction::as_str), page.fetch());
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![
        &org,
        &at,
        &id,
        &filter.from,
        &filter.until,
        &filter.entity,
        &entity_id,
        &filter.purpose,
        &user,
        &key,
        &outcome,
        &action,
        &fetch,
    ];
    match &patient {
        Some(patient) => {
            params.push(patient);
            tx.query(OF_PATIENT, &params).await
        }
        None => tx.query(OF_ORG, &params).await,
    }
}
