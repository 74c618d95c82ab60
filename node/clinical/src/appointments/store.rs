//! Appointments in Postgres.
//!
//! What API calls read asks for the patient too: who is removed from view has no appointments there. What finishes or
//! undoes does not, or it could not free the time of whoever was removed.

use jiff::Timestamp;
use node_access::page::{PageRequest, Position};
use residency_control::calendar::Minute;
use residency_policy::{AppointmentId, BookingHandle, KeyId, PatientId, ProviderId, Purpose};
use storage::{Ask, Cell, Error, Phi, Reading, RegionTx, Row, Sealed, ToSql};
use uuid::Uuid;

use super::model::{Appointment, CancelCode, Facts, Failure, Kind, Place, State};
use super::{waitlist, work};
use crate::encounters::model::ClinicalText;
use crate::patients;

const TABLE: &str = "appointments";
/// The constraint that keeps two appointments from resting on one hold.
pub const ONE_HOLD: &str = "booking_handles_pkey";

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("appointments.insert", INSERT),
    ("appointments.by_id", BY_ID),
    ("appointments.lock", LOCK),
    ("appointments.lock_any", LOCK_ANY),
    ("appointments.list", LIST),
    ("appointments.update", UPDATE),
    ("appointments.use_hold", USE_HOLD),
    ("appointments.rests_on_hold", RESTS_ON_HOLD),
    ("appointments.forget_holds", FORGET_HOLDS),
];

/// Asks for an appointment.
pub const INSERT: &str = "\
INSERT INTO appointments (id, patient_id, org_id, status, provider_id, service_jurisdiction, kind, handle, starts_at,
    ends_at, reason_sealed, made_mac, request_mac, made_by, created_at, updated_at, version, purpose)
VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13, $13, 1, $14)";

/// One appointment, whole.
pub const BY_ID: &str = "\
SELECT a.id, a.patient_id, a.status, a.provider_id, a.service_jurisdiction, a.kind, a.handle, a.starts_at, a.ends_at,
    a.to_provider_id, a.to_handle, a.to_starts_at, a.to_ends_at, a.cancel_code, a.failure, a.made_mac, a.request_mac,
    a.made_by, a.created_at, a.updated_at, a.version, a.purpose, a.reason_sealed, a.cancel_note_sealed
FROM appointments a
JOIN patients p ON p.id = a.patient_id AND p.org_id = $1 AND p.deleted_at IS NULL
WHERE a.org_id = $1 AND a.patient_id = $2 AND a.id = $3";

/// One appointment without why, and nobody else changes it until the transaction ends.
pub const LOCK: &str = "\
SELECT a.id, a.patient_id, a.status, a.provider_id, a.service_jurisdiction, a.kind, a.handle, a.starts_at, a.ends_at,
    a.to_provider_id, a.to_handle, a.to_starts_at, a.to_ends_at, a.cancel_code, a.failure, a.made_mac, a.request_mac,
    a.made_by, a.created_at, a.updated_at, a.version, a.purpose
FROM appointments a
JOIN patients p ON p.id = a.patient_id AND p.org_id = $1 AND p.deleted_at IS NULL
WHERE a.org_id = $1 AND a.patient_id = $2 AND a.id = $3
FOR UPDATE OF a";

/// The same, of a patient who may be removed from view.
pub const LOCK_ANY: &str = "\
SELECT a.id, a.patient_id, a.status, a.provider_id, a.service_jurisdiction, a.kind, a.handle, a.starts_at, a.ends_at,
    a.to_provider_id, a.to_handle, a.to_starts_at, a.to_ends_at, a.cancel_code, a.failure, a.made_mac, a.request_mac,
    a.made_by, a.created_at, a.updated_at, a.version, a.purpose
FROM appointments a
WHERE a.org_id = $1 AND a.patient_id = $2 AND a.id = $3
FOR UPDATE OF a";

/// A page of appointments without why. Those that came to nothing are shown when they are asked for by their status.
pub const LIST: &str = "\
SELECT a.id, a.patient_id, a.status, a.provider_id, a.service_jurisdiction, a.kind, a.handle, a.starts_at, a.ends_at,
    a.to_provider_id, a.to_handle, a.to_starts_at, a.to_ends_at, a.cancel_code, a.failure, a.made_mac, a.request_mac,
    a.made_by, a.created_at, a.updated_at, a.version, a.purpose
FROM appointments a
WHERE a.org_id = $1 AND a.patient_id = $2 AND (a.starts_at, a.id) < ($3, $4)
    AND CASE WHEN $5::text IS NULL THEN a.status <> 'failed' ELSE a.status = $5 END
ORDER BY a.starts_at DESC, a.id DESC
LIMIT $6";

/// Changes an appointment. A trigger refuses ways that there are not.
pub const UPDATE: &str = "\
UPDATE appointments
SET status = $4, provider_id = $5, handle = $6, starts_at = $7, ends_at = $8, to_provider_id = $9, to_handle = $10,
    to_starts_at = $11, to_ends_at = $12, cancel_code = $13, failure = $14, request_mac = $15, updated_at = $16,
    cancel_note_sealed = CASE WHEN $13::text IS NULL THEN NULL ELSE coalesce($17, cancel_note_sealed) END,
    version = version + 1, purpose = $19
WHERE org_id = $1 AND patient_id = $2 AND id = $3 AND version = $18";

/// Rests an appointment on a hold. A second one on the same hold is refused.
pub const USE_HOLD: &str = "\
INSERT INTO booking_handles (handle, org_id, patient_id, appointment_id)
VALUES ($1, $2, $3, $4)";

/// Whether an appointment rests on a hold.
pub const RESTS_ON_HOLD: &str = "\
SELECT 1 AS rests
FROM booking_handles
WHERE org_id = $1 AND patient_id = $2 AND appointment_id = $3 AND handle = $4";

/// Gives back what an appointment rested on.
pub const FORGET_HOLDS: &str = "\
DELETE FROM booking_handles
WHERE org_id = $1 AND patient_id = $2 AND appointment_id = $3 AND handle = $4";

/// Asks for an appointment. Sent with what comes next, which fails if this does.
pub async fn insert(tx: &RegionTx, facts: &Facts, reason: &Phi<Option<ClinicalText>>) -> Result<(), Error> {
    let reason = seal(tx, facts.id, "reason_sealed", reason).await?;
    let Place { provider, handle, start, end } = facts.place;
    tx.put(
        INSERT,
        &[
            &facts.id.uuid(),
            &facts.patient.uuid(),
            &tx.scope().org.uuid(),
            &provider.uuid(),
            &facts.service.code(),
            &facts.kind.as_str(),
            &handle.uuid(),
            &start.timestamp(),
            &end.timestamp(),
            &reason,
            &facts.made.as_slice(),
            &facts.made_by.uuid(),
            &facts.created_at,
            &facts.purpose.map(Purpose::as_str),
        ],
    )
    .await
}

/// Writes an appointment that this transaction has locked; `facts.version` is the version that was read. `note` replaces
/// the one that is there, as long as it is being cancelled. Sent with what comes next, which fails if this does.
pub async fn update(
    tx: &RegionTx,
    facts: &Facts,
    note: Option<&Phi<Option<ClinicalText>>>,
) -> Result<(), Error> {
    let note = match note {
        Some(note) => seal(tx, facts.id, "cancel_note_sealed", note).await?,
        None => None,
    };
    let Place { provider, handle, start, end } = facts.place;
    let to = match &facts.state {
        State::Moving(to) => Some(*to),
        _ => None,
    };
    let code = match facts.state {
        State::Cancelling(code) | State::Cancelled(code) => Some(code.as_str()),
        _ => None,
    };
    let failure = match facts.state {
        State::Failed(failure) => Some(failure.as_str()),
        _ => None,
    };
    tx.put(
        UPDATE,
        &[
            &tx.scope().org.uuid(),
            &facts.patient.uuid(),
            &facts.id.uuid(),
            &facts.state.as_str(),
            &provider.uuid(),
            &handle.uuid(),
            &start.timestamp(),
            &end.timestamp(),
            &to.map(|to| to.provider.uuid()),
            &to.map(|to| to.handle.uuid()),
            &to.map(|to| to.start.timestamp()),
            &to.map(|to| to.end.timestamp()),
            &code,
            &failure,
            &facts.request.as_slice(),
            &tx.now(),
            &note,
            &facts.version,
            &facts.purpose.map(Purpose::as_str),
        ],
    )
    .await
}

/// One appointment, whole.
pub async fn by_id(
    tx: &impl Reading,
    patient: PatientId,
    id: AppointmentId,
) -> Result<Option<Appointment>, Error> {
    let Some(row) = tx.query_opt(BY_ID, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await? else {
        return Ok(None);
    };
    let facts = facts(&row)?;
    let reason = unseal(tx, &row, &facts, "reason_sealed").await?;
    let note = unseal(tx, &row, &facts, "cancel_note_sealed").await?;
    Ok(Some(Appointment { facts, reason, note }))
}

/// One appointment, which nobody else changes until the transaction ends.
pub async fn lock(tx: &RegionTx, patient: PatientId, id: AppointmentId) -> Result<Option<Facts>, Error> {
    let row = tx.query_opt(LOCK, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await?;
    row.map(|row| facts(&row)).transpose()
}

/// What is under an id.
pub enum Under {
    /// There is no such patient.
    NoPatient,
    /// There is no such appointment.
    Nothing,
    /// This, which nobody else changes until the transaction ends.
    There(Box<Facts>),
}

/// Looks for a patient and for one of their appointments.
pub async fn under(tx: &RegionTx, patient: PatientId, id: AppointmentId) -> Result<Under, Error> {
    let (org, of, id) = (tx.scope().org.uuid(), patient.uuid(), id.uuid());
    let mut both =
        tx.query_all(&[(patients::store::TOKEN_BY_ID, &[&org, &of]), (LOCK, &[&org, &of, &id])]).await?;
    match (both.pop().unwrap_or_default().first(), both.pop().unwrap_or_default().first()) {
        (_, None) => Ok(Under::NoPatient),
        (None, Some(_)) => Ok(Under::Nothing),
        (Some(row), Some(_)) => facts(row).map(|facts| Under::There(Box::new(facts))),
    }
}

/// The same, of a patient who may be removed from view.
pub async fn lock_any(tx: &RegionTx, patient: PatientId, id: AppointmentId) -> Result<Option<Facts>, Error> {
    let row = tx.query_opt(LOCK_ANY, &[&tx.scope().org.uuid(), &patient.uuid(), &id.uuid()]).await?;
    row.map(|row| facts(&row)).transpose()
}

/// The same, and its work ends. `None` if that is not ours any more. Says too whether the patient was removed from view,
/// by a statement of its own after the row is locked: a removal waits for the lock, or was before it. With `booked`, whoever waited and was offered this
/// very time waits no more.
pub async fn lock_and_end_work(
    tx: &RegionTx,
    patient: PatientId,
    id: AppointmentId,
    fence: i64,
    booked: bool,
) -> Result<Option<(Facts, bool)>, Error> {
    let (org, patient, id, now) = (tx.scope().org.uuid(), patient.uuid(), id.uuid(), tx.now());
    let lock: [&(dyn ToSql + Sync); 3] = [&org, &patient, &id];
    let end: [&(dyn ToSql + Sync); 4] = [&org, &patient, &id, &fence];
    let fulfil: [&(dyn ToSql + Sync); 4] = [&org, &patient, &id, &now];
    let asks: [Ask<'_>; 4] = [
        (LOCK_ANY, &lock),
        (work::store::END_WORK, &end),
        (patients::store::REMOVED, &lock[..2]),
        (waitlist::store::FULFIL, &fulfil),
    ];
    let answers = tx.query_all(if booked { &asks } else { &asks[..3] }).await?;
    let mut answers = answers.iter().map(|rows| rows.first());
    let (row, ended) = (answers.next().flatten(), answers.next().flatten());
    let (removed, fulfilled) = (answers.next().flatten(), answers.next().flatten());
    let (Some(row), Some(_)) = (row, ended) else { return Ok(None) };
    if let Some(wish) = fulfilled {
        waitlist::store::was_fulfilled(tx, PatientId::from(patient), wish).await?;
    }
    Ok(Some((facts(row)?, removed.is_some())))
}

/// A page of appointments without why, the latest first. Ask first whether there is such a patient.
pub async fn list(
    tx: &impl Reading,
    patient: PatientId,
    status: Option<&str>,
    page: &PageRequest,
) -> Result<Vec<Facts>, Error> {
    let (at, id) = page.after.map_or((Timestamp::MAX, Uuid::max()), |Position { at, id }| (at, id));
    let org = tx.scope().org.uuid();
    let rows = tx.query(LIST, &[&org, &patient.uuid(), &at, &id, &status, &page.fetch()]).await?;
    rows.iter().map(facts).collect()
}

/// Rests an appointment on a hold that was taken before. [`Error::Exists`] when another one does.
pub async fn use_hold(tx: &RegionTx, facts: &Facts, handle: BookingHandle) -> Result<(), Error> {
    let (org, patient) = (tx.scope().org.uuid(), facts.patient.uuid());
    tx.execute(USE_HOLD, &[&handle.uuid(), &org, &patient, &facts.id.uuid()]).await?;
    Ok(())
}

/// Whether the time that is asked for, or had, is that of a hold which the caller took before.
pub async fn rests_on_hold(tx: &RegionTx, facts: &Facts) -> Result<bool, Error> {
    let (org, patient) = (tx.scope().org.uuid(), facts.patient.uuid());
    let place = match &facts.state {
        State::Moving(to) => to,
        _ => &facts.place,
    };
    let row = tx.query_opt(RESTS_ON_HOLD, &[&org, &patient, &facts.id.uuid(), &place.handle.uuid()]).await?;
    Ok(row.is_some())
}

/// Gives a hold back that an appointment rested on, if it did. Sent with what comes next.
pub async fn forget_hold(tx: &RegionTx, facts: &Facts, handle: BookingHandle) -> Result<(), Error> {
    let (org, patient) = (tx.scope().org.uuid(), facts.patient.uuid());
    tx.put(FORGET_HOLDS, &[&org, &patient, &facts.id.uuid(), &handle.uuid()]).await
}

async fn seal(
    tx: &RegionTx,
    id: AppointmentId,
    column: &'static str,
    value: &Phi<Option<ClinicalText>>,
) -> Result<Option<Sealed>, Error> {
    match value.clone().transpose() {
        Some(value) => tx.seal(Cell::general(TABLE, id.uuid(), column), &value).await.map(Some),
        None => Ok(None),
    }
}

async fn unseal(
    tx: &impl Reading,
    row: &Row,
    facts: &Facts,
    column: &'static str,
) -> Result<Phi<Option<ClinicalText>>, Error> {
    match row.get::<Option<Sealed>>(column)? {
        Some(sealed) => {
            let cell = Cell::general(TABLE, facts.id.uuid(), column);
            let value: Phi<ClinicalText> = tx.unseal(cell, facts.patient, &sealed).await?;
            Ok(value.map(Some))
        }
        None => Ok(Phi::new(None)),
    }
}

fn minute(row: &Row, column: &'static str) -> Result<Minute, Error> {
    Minute::at(row.get(column)?).ok_or(Error::Row { column })
}

/// For what it was asked for; `None` of what is older than the column.
pub(super) fn purpose(row: &Row) -> Result<Option<Purpose>, Error> {
    let column = "purpose";
    let word: Option<&str> = row.get(column)?;
    word.map(|text| text.parse().map_err(|_| Error::Row { column })).transpose()
}

fn facts(row: &Row) -> Result<Facts, Error> {
    let code = |column| -> Result<CancelCode, Error> {
        row.get::<Option<&str>>(column)?.and_then(CancelCode::read).ok_or(Error::Row { column })
    };
    let state = match row.get::<&str>("status")? {
        "pending" => State::Pending,
        "booked" => State::Booked,
        "moving" => State::Moving(Place {
            provider: ProviderId::from(row.get::<Uuid>("to_provider_id")?),
            handle: BookingHandle::from(row.get::<Uuid>("to_handle")?),
            start: minute(row, "to_starts_at")?,
            end: minute(row, "to_ends_at")?,
        }),
        "cancelling" => State::Cancelling(code("cancel_code")?),
        "cancelled" => State::Cancelled(code("cancel_code")?),
        "failed" => State::Failed(
            row.get::<Option<&str>>("failure")?
                .and_then(Failure::read)
                .ok_or(Error::Row { column: "failure" })?,
        ),
        _ => return Err(Error::Row { column: "status" }),
    };
    Ok(Facts {
        id: AppointmentId::from(row.get::<Uuid>("id")?),
        patient: PatientId::from(row.get::<Uuid>("patient_id")?),
        state,
        place: Place {
            provider: ProviderId::from(row.get::<Uuid>("provider_id")?),
            handle: BookingHandle::from(row.get::<Uuid>("handle")?),
            start: minute(row, "starts_at")?,
            end: minute(row, "ends_at")?,
        },
        service: row
            .get::<&str>("service_jurisdiction")?
            .parse()
            .map_err(|_| Error::Row { column: "service_jurisdiction" })?,
        kind: Kind::read(row.get("kind")?).ok_or(Error::Row { column: "kind" })?,
        made_by: KeyId::from(row.get::<Uuid>("made_by")?),
        made: row.get::<&[u8]>("made_mac")?.try_into().map_err(|_| Error::Row { column: "made_mac" })?,
        request: row
            .get::<&[u8]>("request_mac")?
            .try_into()
            .map_err(|_| Error::Row { column: "request_mac" })?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        version: row.get("version")?,
        purpose: purpose(row)?,
    })
}
