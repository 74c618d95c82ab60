//! Answers that are stored, so that a repeated POST has one effect.
//!
//! The answer is stored in the transaction that has the effect: both are there or neither is. While that transaction
//! is under way a second attempt is told so at once; it does not wait for a lock.

use jiff::Timestamp;
use residency_policy::{Category, PatientId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::read::Inside as _;
use crate::tx::Line;
use crate::{Cell, Error, Phi, Reading, RegionPool, RegionRead, RegionTx, Row, Scope, Sealed, row, seal};

const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock($1)";
// The last line is for an answer that was stored while the record was being removed, and so escaped FORGET: a
// repetition names the same patient and sees the row. The removal's own answer is of the same instant and stays.
const FIND: &str =
    "SELECT r.id, r.fingerprint, r.patient_id, r.category, r.status, r.header_names, r.header_values,
        r.body_sealed, NOT r.answer_gone AND (r.patient_id IS NULL OR h.state IS NOT DISTINCT FROM 'active')
            AND NOT EXISTS (SELECT FROM patients p WHERE p.id = r.patient_id AND p.deleted_at <> r.created_at) AS served
    FROM idempotency_records r LEFT JOIN patient_home h ON h.patient_id = r.patient_id
    WHERE r.org_id = $1 AND r.attempt_mac = $2";
pub(crate) const INSERT_ANSWER: &str = "INSERT INTO idempotency_records (org_id, attempt_mac, id, fingerprint,
        patient_id, category, status, header_names, header_values, body_sealed, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

const FORGET: &str = "UPDATE idempotency_records
    SET answer_gone = true, body_sealed = NULL, header_names = '{}', header_values = '{}'
    WHERE org_id = $1 AND patient_id = $2 AND NOT answer_gone";
const PURGE: &str = "SELECT purge_answers($1, $2)";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[
    ("idempotency.try_lock", TRY_LOCK),
    ("idempotency.find", FIND),
    ("idempotency.insert", INSERT_ANSWER),
    ("idempotency.forget", FORGET),
    ("idempotency.purge", PURGE),
];

/// How many answers are purged in one go: few enough that nobody waits for it.
const PURGED_TOGETHER: i64 = 1000;

/// What identifies a request that must have one effect. The caller is the scope's key.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The caller's idempotency key. It is stored as a keyed hash only.
    pub key: &'a str,
    /// The route's template, such as `POST /v1/patients`.
    pub route: &'static str,
    /// The keyed fingerprint of the request, by [`crate::RegionPool::fingerprint`].
    pub fingerprint: [u8; 32],
}

/// What is known of an attempt.
#[derive(Debug)]
pub enum Begun {
    /// It is the first: do it, then [`Fresh::finish`].
    Fresh(Fresh),
    /// Another transaction is doing it now.
    InFlight,
    /// There was one with its key before.
    Before(Before),
}

/// An earlier attempt with the same key.
#[derive(Debug)]
pub enum Before {
    /// It was done: answer with this.
    Stored(Stored),
    /// The key was used for another request.
    Mismatch,
    /// It was done for a patient whose record was removed, or is no longer served here.
    Gone,
}

/// The right and the duty to store the answer.
#[derive(Debug)]
#[must_use = "an attempt that is not finished can be repeated with a second effect"]
pub struct Fresh {
    mac: [u8; 32],
    fingerprint: [u8; 32],
}

/// A stored answer.
#[derive(Debug)]
pub struct Stored {
    id: Uuid,
    patient: Option<PatientId>,
    category: Category,
    status: u16,
    headers: Vec<(String, String)>,
    body: Sealed,
}

/// Looks an attempt up, in the transaction that would have the effect.
pub async fn begin(tx: &RegionTx, attempt: &Attempt<'_>) -> Result<Begun, Error> {
    let mac = mac_of(&tx.pool, tx.scope(), attempt);
    let (first, _) = mac.split_at(8);
    let lock = i64::from_be_bytes(first.try_into().map_err(|_| Error::NotOneRow)?);
    let (org, wanted) = (tx.scope().org.uuid(), mac.as_slice());
    let lock_params: [&(dyn ToSql + Sync); 1] = [&lock];
    let find_params: [&(dyn ToSql + Sync); 2] = [&org, &wanted];
    // One round trip. The lock comes first: under READ COMMITTED the look-up then sees what its last holder committed.
    let mut both = tx.query_all(&[(TRY_LOCK, &lock_params), (FIND, &find_params)]).await?;
    let found = row::at_most_one(both.pop().unwrap_or_default())?;
    let locked = row::at_most_one(both.pop().unwrap_or_default())?.ok_or(Error::NotOneRow)?;
    let Some(found) = found else {
        let locked: bool = locked.get("pg_try_advisory_xact_lock")?;
        let fresh = Fresh { mac, fingerprint: attempt.fingerprint };
        return Ok(if locked { Begun::Fresh(fresh) } else { Begun::InFlight });
    };
    read(&found, attempt).map(Begun::Before)
}

/// Looks whether an attempt was done before, so that the work for a repeated one can be spared. `None` says no more
/// than that it was not: whoever has the effect asks again with [`begin`].
pub async fn look(read_only: &RegionRead, attempt: &Attempt<'_>) -> Result<Option<Before>, Error> {
    let mac = mac_of(read_only.pool(), read_only.scope(), attempt);
    let found = read_only.query_opt(FIND, &[&read_only.scope().org.uuid(), &mac.as_slice()]).await?;
    found.map(|found| read(&found, attempt)).transpose()
}

fn mac_of(pool: &RegionPool, scope: &Scope, attempt: &Attempt<'_>) -> [u8; 32] {
    pool.mac("idempotency", &[&scope.key.to_bytes(), attempt.route.as_bytes(), attempt.key.as_bytes()])
}

/// What a record says of an attempt with its key.
fn read(found: &Row, attempt: &Attempt<'_>) -> Result<Before, Error> {
    if found.get::<&[u8]>("fingerprint")? != attempt.fingerprint {
        return Ok(Before::Mismatch);
    }
    if !found.get::<bool>("served")? {
        return Ok(Before::Gone);
    }
    let (names, values): (Vec<String>, Vec<String>) = (found.get("header_names")?, found.get("header_values")?);
    Ok(Before::Stored(Stored {
        id: found.get("id")?,
        patient: found.get::<Option<Uuid>>("patient_id")?.map(PatientId::from),
        category: found.get::<&str>("category")?.parse().map_err(|_| Error::Row { column: "category" })?,
        status: u16::try_from(found.get::<i16>("status")?).map_err(|_| Error::Row { column: "status" })?,
        headers: names.into_iter().zip(values).collect(),
        body: found.get("body_sealed")?,
    }))
}

/// Forgets every stored answer about the transaction's patient: call it in the transaction that removes the record,
/// or a repeated request would show what nobody can see any more. The removal's own answer is stored with the commit
/// and stays. Returns how many were forgotten.
pub async fn forget(tx: &RegionTx) -> Result<u64, Error> {
    let patient = tx.patient().ok_or(Error::NotPermitted("forgetting answers about no patient"))?;
    tx.execute(FORGET, &[&tx.scope().org.uuid(), &patient.uuid()]).await
}

impl RegionPool {
    /// Deletes stored answers of all organisations that were given before an instant. What is younger than 72 hours
    /// stays whatever is asked for: row-level security keeps it. Returns how many were deleted.
    pub async fn purge_answers(&self, before: Timestamp) -> Result<u64, Error> {
        let mut purged = 0;
        loop {
            let asked = self.ask("idempotency.purge", PURGE, &[&before, &PURGED_TOGETHER]).await?;
            let now: i64 = asked.rows.first().ok_or(Error::NotOneRow)?.get("purge_answers")?;
            purged += now.unsigned_abs();
            if now < PURGED_TOGETHER {
                return Ok(purged);
            }
        }
    }
}

/// A stored answer on its way: it is written with the commit.
pub(crate) struct Answer {
    mac: [u8; 32],
    fingerprint: [u8; 32],
    id: Uuid,
    category: Category,
    status: i16,
    header_names: Vec<&'static str>,
    header_values: Vec<String>,
    body: Sealed,
}

impl Fresh {
    /// Stores the answer in the same transaction as the effect. The body is sealed under the transaction's patient's
    /// key of that category, or the region's key. Header values must hold ids and versions only.
    pub async fn finish<T: Serialize>(
        self,
        tx: &RegionTx,
        status: u16,
        headers: &[(&'static str, &str)],
        category: Category,
        body: &Phi<T>,
    ) -> Result<(), Error> {
        let id = residency_policy::RecordId::random(tx.pool.0.entropy.as_ref()).uuid();
        let body = tx.seal(body_cell(id, category), body).await?;
        let answer = Answer {
            mac: self.mac,
            fingerprint: self.fingerprint,
            id,
            category,
            status: i16::try_from(status).map_err(|_| Error::NotPermitted("a status that is none"))?,
            header_names: headers.iter().map(|(name, _)| *name).collect(),
            header_values: headers.iter().map(|(_, value)| (*value).to_owned()).collect(),
            body,
        };
        tx.with_commit(|with| with.answer = Some(answer));
        Ok(())
    }
}

impl Answer {
    /// Puts the answer on its way.
    pub(crate) async fn put(&self, tx: &RegionTx, line: &mut Line) -> Result<(), Error> {
        let (org, patient) = (tx.scope().org.uuid(), tx.patient().map(PatientId::uuid));
        let params: [&(dyn ToSql + Sync); 11] = [
            &org,
            &self.mac.as_slice(),
            &self.id,
            &self.fingerprint.as_slice(),
            &patient,
            &self.category.name(),
            &self.status,
            &self.header_names,
            &self.header_values,
            &self.body,
            &tx.now(),
        ];
        line.put(tx.act(), INSERT_ANSWER, &params).await
    }
}

impl Stored {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The patient of the stored answer: name them in the access record.
    pub fn patient(&self) -> Option<PatientId> {
        self.patient
    }

    /// The body that was sealed. Of another patient than the transaction's when a registration is repeated: the first
    /// attempt's id is the patient, this attempt's id is not used.
    pub async fn body<T: DeserializeOwned>(&self, tx: &impl Reading) -> Result<Phi<T>, Error> {
        let cell = body_cell(self.id, self.category);
        seal::unseal(tx.pool(), tx.last_keys(), self.patient, cell, &self.body).await
    }
}

fn body_cell(id: Uuid, category: Category) -> Cell {
    Cell::of("idempotency_records", id, "body_sealed", category)
}
