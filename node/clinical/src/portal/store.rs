//! Patients' logins in Postgres, in transactions of the patient. What is asked before anybody knows who it is, is in
//! `storage::portal`.

use jiff::{Timestamp, ToSpan as _};
use node_signin::patient::{CODE_ATTEMPTS, IDLE_SECONDS, INVITATION_SECONDS, SESSION_SECONDS};
use residency_control::signin::PasswordVerifier;
use residency_policy::{KeyId, PatientId, SessionId, UserId};
use storage::{BlindIndex, Cell, Error, IndexField, Phi, RegionTx};

use crate::values::{BirthDate, Email};

const TABLE: &str = "portal_accounts";

/// Every statement of this file, for the test that prepares them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("portal.invite", INVITE),
    ("portal.uninvite", UNINVITE),
    ("portal.born", BORN),
    ("portal.take_up", TAKE_UP),
    ("portal.put_account", PUT_ACCOUNT),
    ("portal.lock_account", LOCK_ACCOUNT),
    ("portal.forgive", FORGIVE),
    ("portal.change_password", CHANGE_PASSWORD),
    ("portal.suspend", SUSPEND),
    ("portal.make_room", MAKE_ROOM),
    ("portal.begin_session", BEGIN_SESSION),
    ("portal.end_sessions", END_SESSIONS),
];

/// The most sessions of one patient: the oldest ends where there would be one more.
pub const SESSIONS_MAX: usize = 20;

/// The constraint by which two patients of an organisation cannot sign in with one address.
pub const ONE_ADDRESS: &str = "portal_accounts_one_email";

/// Invites. An earlier invitation ends.
pub const INVITE: &str = "\
INSERT INTO portal_invitations (patient_id, org_id, code_sha256, attempts_left, made_by, made_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (patient_id) DO UPDATE
SET code_sha256 = excluded.code_sha256, attempts_left = excluded.attempts_left, made_by = excluded.made_by,
    made_at = excluded.made_at, expires_at = excluded.expires_at";

/// Takes an invitation back.
pub const UNINVITE: &str = "DELETE FROM portal_invitations WHERE org_id = $1 AND patient_id = $2";

/// Whether a patient was born on a day. Looked for by its index, so that nothing is opened for whoever guesses.
pub const BORN: &str = "\
SELECT 1 AS born
FROM patient_index
WHERE org_id = $1 AND field = 'birth-date' AND value_blind = $3 AND patient_id = $2";

/// Takes an invitation up: it is open no longer.
pub const TAKE_UP: &str = "\
DELETE FROM portal_invitations
WHERE org_id = $1 AND patient_id = $2 AND code_sha256 = $3 AND expires_at > $4";

/// Sets what a patient signs in with. Whatever did before is forgotten.
pub const PUT_ACCOUNT: &str = "\
INSERT INTO portal_accounts (patient_id, org_id, id, email_sealed, email_blind, password_memory_kib, password_passes,
    password_lanes, password_salt, password_hash, made_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (patient_id) DO UPDATE
SET id = excluded.id, email_sealed = excluded.email_sealed, email_blind = excluded.email_blind,
    password_memory_kib = excluded.password_memory_kib, password_passes = excluded.password_passes,
    password_lanes = excluded.password_lanes, password_salt = excluded.password_salt,
    password_hash = excluded.password_hash, failures = 0, not_before = NULL, suspended_at = NULL,
    made_at = excluded.made_at";

/// What a patient's login is now, and nobody else changes it until the transaction ends.
pub const LOCK_ACCOUNT: &str = "\
SELECT password_hash, not_before
FROM portal_accounts
WHERE org_id = $1 AND patient_id = $2 AND id = $3 AND suspended_at IS NULL
FOR UPDATE";

/// Forgets failures.
pub const FORGIVE: &str = "\
UPDATE portal_accounts SET failures = 0, not_before = NULL
WHERE org_id = $1 AND patient_id = $2 AND (failures > 0 OR not_before IS NOT NULL)";

/// Sets another password.
pub const CHANGE_PASSWORD: &str = "\
UPDATE portal_accounts
SET password_memory_kib = $3, password_passes = $4, password_lanes = $5, password_salt = $6, password_hash = $7,
    failures = 0, not_before = NULL
WHERE org_id = $1 AND patient_id = $2";

/// Ends a login until another invitation is taken up.
pub const SUSPEND: &str = "\
UPDATE portal_accounts SET suspended_at = $3
WHERE org_id = $1 AND patient_id = $2 AND suspended_at IS NULL";

/// Forgets sessions that are over, and the oldest where there would be one too many.
pub const MAKE_ROOM: &str = "\
DELETE FROM portal_sessions
WHERE org_id = $1 AND patient_id = $2 AND (ends_at <= $3 OR seen_at <= $4 OR id IN (
    SELECT id FROM portal_sessions
    WHERE org_id = $1 AND patient_id = $2
    ORDER BY begun_at DESC, id DESC
    OFFSET $5))";

/// Begins a session.
pub const BEGIN_SESSION: &str = "\
INSERT INTO portal_sessions (id, patient_id, org_id, secret_sha256, begun_at, seen_at, ends_at)
VALUES ($1, $2, $3, $4, $5, $5, $6)";

/// Ends a patient's sessions, but one if it is named.
pub const END_SESSIONS: &str = "\
DELETE FROM portal_sessions
WHERE org_id = $1 AND patient_id = $2 AND id IS DISTINCT FROM $3";

/// Invites a patient, and says until when that is open.
pub async fn invite(tx: &RegionTx, patient: PatientId, code: &[u8; 32], by: KeyId) -> Result<Timestamp, Error> {
    let (now, until) = (tx.now(), after(tx.now(), INVITATION_SECONDS));
    let (org, code) = (tx.scope().org.uuid(), code.as_slice());
    tx.put(INVITE, &[&patient.uuid(), &org, &code, &CODE_ATTEMPTS, &by.uuid(), &now, &until]).await?;
    Ok(until)
}

/// Whether a patient was born on a day.
pub async fn born(tx: &RegionTx, patient: PatientId, day: &Phi<BirthDate>) -> Result<bool, Error> {
    let Some(day) = tx.blind(IndexField::BirthDate, &day.as_ref().map(BirthDate::normalised)) else {
        return Ok(false);
    };
    Ok(tx.query_opt(BORN, &[&tx.scope().org.uuid(), &patient.uuid(), &day]).await?.is_some())
}

/// Takes an invitation up. Says whether it was open.
pub async fn take_up(tx: &RegionTx, patient: PatientId, code: &[u8; 32]) -> Result<bool, Error> {
    let (org, code) = (tx.scope().org.uuid(), code.as_slice());
    Ok(tx.execute(TAKE_UP, &[&org, &patient.uuid(), &code, &tx.now()]).await? == 1)
}

/// Sets what a patient signs in with; their sessions end. Fails with [`ONE_ADDRESS`] where somebody else of the
/// organisation has the address.
pub async fn put_account(
    tx: &RegionTx,
    patient: PatientId,
    login: UserId,
    (address, index): (&Phi<Email>, &BlindIndex),
    password: &PasswordVerifier,
) -> Result<(), Error> {
    let sealed = tx.seal(Cell::general(TABLE, login.uuid(), "email_sealed"), address).await?;
    let org = tx.scope().org.uuid();
    let [memory, passes, lanes] = counts(password)?;
    let (salt, hash) = (password.salt.as_slice(), password.hash.as_slice());
    let made = tx
        .execute(
            PUT_ACCOUNT,
            &[
                &patient.uuid(),
                &org,
                &login.uuid(),
                &sealed,
                index,
                &memory,
                &passes,
                &lanes,
                &salt,
                &hash,
                &tx.now(),
            ],
        )
        .await?;
    if made != 1 {
        return Err(Error::NotOneRow);
    }
    end_sessions(tx, patient, None).await
}

/// Whether a login is still the one whose password has this hash, and is looked at now. Nobody else changes it until the
/// transaction ends.
pub async fn still(tx: &RegionTx, patient: PatientId, login: UserId, hash: &[u8; 32]) -> Result<bool, Error> {
    let found = tx.query_opt(LOCK_ACCOUNT, &[&tx.scope().org.uuid(), &patient.uuid(), &login.uuid()]).await?;
    let Some(row) = found else { return Ok(false) };
    let until = row.get::<Option<Timestamp>>("not_before")?;
    Ok(row.get::<&[u8]>("password_hash")? == hash && until.is_none_or(|until| until <= tx.now()))
}

/// Begins a session, and says when it is over however often it is shown.
pub async fn begin_session(
    tx: &RegionTx,
    patient: PatientId,
    session: SessionId,
    secret: &[u8; 32],
) -> Result<Timestamp, Error> {
    let (org, now, patient) = (tx.scope().org.uuid(), tx.now(), patient.uuid());
    let (idle, until) = (after(now, -IDLE_SECONDS), after(now, SESSION_SECONDS));
    let kept = i64::try_from(SESSIONS_MAX - 1).unwrap_or(0);
    tx.put(FORGIVE, &[&org, &patient]).await?;
    tx.put(MAKE_ROOM, &[&org, &patient, &now, &idle, &kept]).await?;
    tx.put(BEGIN_SESSION, &[&session.uuid(), &patient, &org, &secret.as_slice(), &now, &until]).await?;
    Ok(until)
}

/// Sets another password. Every session but this one ends.
pub async fn change_password(
    tx: &RegionTx,
    patient: PatientId,
    session: SessionId,
    password: &PasswordVerifier,
) -> Result<(), Error> {
    let [memory, passes, lanes] = counts(password)?;
    let (salt, hash) = (password.salt.as_slice(), password.hash.as_slice());
    let org = tx.scope().org.uuid();
    tx.put(CHANGE_PASSWORD, &[&org, &patient.uuid(), &memory, &passes, &lanes, &salt, &hash]).await?;
    end_sessions(tx, patient, Some(session)).await
}

/// Ends a patient's login: every session, and what invites them.
pub async fn suspend(tx: &RegionTx, patient: PatientId) -> Result<(), Error> {
    let org = tx.scope().org.uuid();
    // The invitation first, as whoever takes it up does: a first acceptance has made the login by then, or makes none.
    tx.put(UNINVITE, &[&org, &patient.uuid()]).await?;
    tx.put(SUSPEND, &[&org, &patient.uuid(), &tx.now()]).await?;
    end_sessions(tx, patient, None).await
}

async fn end_sessions(tx: &RegionTx, patient: PatientId, but: Option<SessionId>) -> Result<(), Error> {
    let but = but.map(SessionId::uuid);
    tx.put(END_SESSIONS, &[&tx.scope().org.uuid(), &patient.uuid(), &but]).await
}

fn counts(password: &PasswordVerifier) -> Result<[i32; 3], Error> {
    let count = |many: u32| i32::try_from(many).map_err(|_| Error::NotPermitted("a hash that takes so much"));
    Ok([count(password.memory_kib)?, count(password.passes)?, count(password.lanes)?])
}

/// An instant so many seconds later. At the end of time, that is the end of time.
fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(seconds.seconds()).unwrap_or(Timestamp::MAX)
}
