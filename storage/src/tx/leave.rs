//! What a transaction leaves behind beside its change: events, the stored answer, access records. One statement, which
//! travels with COMMIT.

use residency_policy::{GrantId, Jurisdiction, PatientId, RecordId, UserId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::line::Line;
use crate::access_log::Marks;
use crate::{Access, Error, OnBehalf, RegionTx, Rules};

/// Any of the three may be of no rows. Row-level security and the triggers see each as an INSERT of its own.
pub(crate) const LEAVE: &str = "WITH
    event AS (
        INSERT INTO outbox (org_id, at, patient_id, id, name, version, entity_id)
        SELECT $1, $2, $3, e.id, e.name, e.version, e.entity_id
        FROM unnest($4::uuid[], $5::text[], $6::smallint[], $7::uuid[]) AS e (id, name, version, entity_id)),
    answer AS (
        INSERT INTO idempotency_records (org_id, created_at, patient_id, id, attempt_mac, fingerprint, category,
            status, header_names, header_values, body_sealed)
        SELECT $1, $2, $3, $8, $9, $10, $11, $12, $13, $14, $15 WHERE $8::uuid IS NOT NULL)
    INSERT INTO access_log (org_id, at, key_id, user_id, role, purpose, act, request_id, accessor, ingress, home_epoch,
        id, action, entity, entity_id, patient_id, outcome, grant_id, salt, query_mac, service_jurisdiction, category, rules,
        client_ip, home, on_behalf_kind, on_behalf_of)
    SELECT $1, $2, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        a.id, a.action, a.entity, a.entity_id, a.patient_id, a.outcome, $31, a.salt, a.query_mac, a.service, $35,
        string_to_array($36::text, ' '), $37, $38, $39, $40
    FROM unnest($25::uuid[], $26::text[], $27::text[], $28::uuid[], $29::uuid[], $30::text[], $32::bytea[], $33::bytea[],
        $34::text[])
        AS a (id, action, entity, entity_id, patient_id, outcome, salt, query_mac, service)";

/// Puts it on its way.
pub(super) async fn put(tx: &RegionTx, line: &mut Line, accesses: &[Access]) -> Result<(), Error> {
    let with = tx.with_commit(std::mem::take);
    let (events, answer, scope) = (&with.events, with.answer.as_ref(), tx.scope());
    let patient = tx.patient().map(PatientId::uuid);
    let (circumstances, entropy) = (&scope.circumstances, tx.pool.0.entropy.as_ref());
    let marks: Vec<Marks> = accesses.iter().map(|_| Marks::new(tx.now(), entropy)).collect();
    let params: [&(dyn ToSql + Sync); 40] = [
        &scope.org.uuid(),
        &tx.now(),
        &patient,
        // The events.
        &ids(tx, events.len()),
        &column(events, |event| event.name.as_str()),
        &column(events, |event| event.name.version()),
        &column(events, |event| event.entity.uuid()),
        // The answer.
        &answer.map(|answer| answer.id),
        &answer.map(|answer| answer.mac.as_slice()),
        &answer.map(|answer| answer.fingerprint.as_slice()),
        &answer.map(|answer| answer.category.name()),
        &answer.map(|answer| answer.status),
        &answer.map(|answer| &answer.header_names),
        &answer.map(|answer| &answer.header_values),
        &answer.map(|answer| &answer.body),
        // The access records: what they have in common, and each.
        &scope.key.uuid(),
        &scope.user.map(UserId::uuid),
        &scope.role.as_str(),
        &scope.purpose.as_str(),
        &tx.act(),
        &scope.request.uuid(),
        &scope.accessor.map(|accessor| accessor.0.code()),
        &scope.via.map(|ingress| ingress.0.code()),
        &tx.epoch().map(|epoch| i64::from(epoch.0)),
        &marks.iter().map(|marks| marks.id).collect::<Vec<_>>(),
        &column(accesses, |access| access.action.as_str()),
        &column(accesses, |access| access.entity),
        &column(accesses, |access| access.entity_id.map(RecordId::uuid)),
        &column(accesses, |access| access.patient.map(PatientId::uuid)),
        &column(accesses, |access| access.outcome.as_str()),
        &tx.glass().map(GrantId::uuid),
        &marks.iter().map(|marks| marks.salt.as_slice()).collect::<Vec<_>>(),
        &accesses.iter().map(|access| access.query.as_ref().map(<[u8; 32]>::as_slice)).collect::<Vec<_>>(),
        &column(accesses, |access| access.service.map(Jurisdiction::code)),
        &scope.category.name(),
        &tx.rules().map(Rules::as_str),
        &circumstances.from,
        &tx.pool.region().0.code(),
        &circumstances.on_behalf.map(OnBehalf::kind),
        &circumstances.on_behalf.map(OnBehalf::uuid),
    ];
    line.put(tx.act(), LEAVE, &params).await
}

fn ids(tx: &RegionTx, count: usize) -> Vec<Uuid> {
    (0..count).map(|_| RecordId::random(tx.pool.0.entropy.as_ref()).uuid()).collect()
}

fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
