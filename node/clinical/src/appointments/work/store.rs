//! The work that is on its way between this home and the control plane: see [`storage::bookings`].

use residency_policy::{BookingHandle, PatientId};
use storage::bookings::Subject;
use storage::{Error, RegionTx};
use uuid::Uuid;

/// How long whoever works on something has it: longer than a request may take all in all.
pub const LEASE_SECONDS: f64 = 45.0;
/// The longest that a request may take all in all, in seconds. The rest of the lease is for the commit with which it
/// ends. A request that outlives its lease all the same books nothing: see `carry`.
pub const REQUEST_SECONDS_MAX: u64 = 40;

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("booking_work.insert", INSERT_WORK),
    ("booking_work.take", TAKE_WORK),
    ("booking_work.end", END_WORK),
    ("booking_work.postpone", POSTPONE_WORK),
];

/// Begins a piece of work, which is ours for a while.
pub const INSERT_WORK: &str = "\
INSERT INTO booking_work (id, org_id, patient_id, subject, handle, key_id, role, due_at, fence)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8), coalesce($9, nextval('booking_fences')))
ON CONFLICT (id) DO UPDATE SET fence = nextval('booking_fences'), resting = false, due_at = excluded.due_at,
    handle = excluded.handle
WHERE booking_work.org_id = $2
RETURNING fence";

/// Takes a piece of work that nobody has any more.
pub const TAKE_WORK: &str = "\
UPDATE booking_work
SET fence = nextval('booking_fences'), resting = false, due_at = now() + make_interval(secs => $4)
WHERE org_id = $1 AND patient_id = $2 AND id = $3 AND due_at <= now()
RETURNING fence";

/// Ends a piece of work, if it is still ours.
pub const END_WORK: &str = "\
DELETE FROM booking_work
WHERE org_id = $1 AND patient_id = $2 AND id = $3 AND fence = $4
RETURNING id";

/// Says until when a piece of work is not to be touched, and whether it may be woken before, if it is still ours.
pub const POSTPONE_WORK: &str = "\
UPDATE booking_work
SET due_at = now() + make_interval(secs => $5), resting = $6, handle = coalesce($7, handle)
WHERE org_id = $1 AND patient_id = $2 AND id = $3 AND fence = $4";

/// The fence of the first work on something. Every later one comes from a sequence: work may be ended and begun again
/// about the same appointment, and whoever had the earlier must not end the later.
const FIRST: i64 = 1;

/// Begins the first piece of work on something that this transaction makes, in the name of whoever acts, and has it for
/// a while. Returns its fence. Sent with what comes next, which fails if this does.
pub async fn begin_first(
    tx: &RegionTx,
    id: Uuid,
    patient: PatientId,
    subject: Subject,
    handle: BookingHandle,
) -> Result<i64, Error> {
    let scope = tx.scope();
    let (org, key, role) = (scope.org.uuid(), scope.key.uuid(), scope.role.as_str());
    let (patient, handle) = (patient.uuid(), handle.uuid());
    let (subject, lease) = (named(subject), &LEASE_SECONDS);
    tx.put(INSERT_WORK, &[&id, &org, &patient, &subject, &handle, &key, &role, lease, &FIRST]).await?;
    Ok(FIRST)
}

/// Begins a piece of work, in the name of whoever acts, and has it for so many seconds. Returns its fence.
pub async fn begin(
    tx: &RegionTx,
    id: Uuid,
    patient: PatientId,
    subject: Subject,
    handle: BookingHandle,
    lease: f64,
) -> Result<i64, Error> {
    let scope = tx.scope();
    let (org, key, role) = (scope.org.uuid(), scope.key.uuid(), scope.role.as_str());
    let (patient, handle, subject) = (patient.uuid(), handle.uuid(), named(subject));
    let next: Option<i64> = None;
    let row = tx
        .query_one(INSERT_WORK, &[&id, &org, &patient, &subject, &handle, &key, &role, &lease, &next])
        .await?;
    row.get("fence")
}

fn named(subject: Subject) -> &'static str {
    match subject {
        Subject::Appointment => "appointment",
        Subject::Wish => "wish",
    }
}

/// Takes a piece of work that nobody has any more. Returns its fence.
pub async fn take(tx: &RegionTx, id: Uuid, patient: PatientId) -> Result<Option<i64>, Error> {
    let org = tx.scope().org.uuid();
    let row = tx.query_opt(TAKE_WORK, &[&org, &patient.uuid(), &id, &LEASE_SECONDS]).await?;
    row.map(|row| row.get("fence")).transpose()
}

/// Ends a piece of work. Says whether it was still ours.
pub async fn end(tx: &RegionTx, id: Uuid, patient: PatientId, fence: i64) -> Result<bool, Error> {
    let org = tx.scope().org.uuid();
    Ok(tx.query_opt(END_WORK, &[&org, &patient.uuid(), &id, &fence]).await?.is_some())
}

/// Leaves a piece of work to whoever comes after this many seconds. Says whether it was still ours.
pub async fn postpone(
    tx: &RegionTx,
    id: Uuid,
    patient: PatientId,
    fence: i64,
    seconds: f64,
) -> Result<bool, Error> {
    set(tx, (id, patient, fence), seconds, seconds > 0.0, None).await
}

/// The same, under what the control plane knows it by now.
pub async fn rename(
    tx: &RegionTx,
    id: Uuid,
    patient: PatientId,
    fence: i64,
    handle: BookingHandle,
    seconds: f64,
) -> Result<bool, Error> {
    set(tx, (id, patient, fence), seconds, seconds > 0.0, Some(handle)).await
}

/// Has a piece of work for so many seconds more. Says whether it was still ours.
pub async fn keep(tx: &RegionTx, id: Uuid, patient: PatientId, fence: i64, lease: f64) -> Result<bool, Error> {
    set(tx, (id, patient, fence), lease, false, None).await
}

async fn set(
    tx: &RegionTx,
    (id, patient, fence): (Uuid, PatientId, i64),
    seconds: f64,
    resting: bool,
    handle: Option<BookingHandle>,
) -> Result<bool, Error> {
    let (org, handle) = (tx.scope().org.uuid(), handle.map(BookingHandle::uuid));
    let changed =
        tx.execute(POSTPONE_WORK, &[&org, &patient.uuid(), &id, &fence, &seconds, &resting, &handle]).await?;
    Ok(changed == 1)
}
