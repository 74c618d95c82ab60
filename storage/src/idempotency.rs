//! Answers that are stored, so that a repeated POST has one effect.
//!
//! The answer is stored in the transaction that has the effect: both are there or neither is. While that transaction
//! is under way a second attempt is told so at once; it does not wait for a lock.

use jiff::Timestamp;
use residency_policy::{Category, PatientId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::read::Inside as _;
use crate::{Cell, Error, Phi, Reading, RegionPool, RegionRead, RegionTx, Row, Scope, Sealed, seal};

/// Tries the lock, then looks (`V2026112311__fewer_statements.sql`). A null lock is none.
const FIND: &str =
    "SELECT locked, id, fingerprint, patient_id, category, status, header_names, header_values, body_sealed,
        served
    FROM find_attempt($1, $2, $3)";
const FORGET: &str = "UPDATE idempotency_records
    SET answer_gone = true, body_sealed = NULL, header_names = '{}', header_values = '{}'
    WHERE org_id = $1 AND patient_id = $2 AND NOT answer_gone";
const PURGE: &str = "SELECT purge_answers($1, $2)";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] =
    &[("idempotency.find", FIND), ("idempotency.forget", FORGET), ("idempotency.purge", PURGE)];

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
    let found = tx.query_one(FIND, &[&lock, &tx.scope().org.uuid(), &mac.as_slice()]).await?;
    if let Some(before) = read(&found, attempt)? {
        return Ok(Begun::Before(before));
    }
    let fresh = Fresh { mac, fingerprint: attempt.fingerprint };
    Ok(if found.get("locked")? { Begun::Fresh(fresh) } else { Begun::InFlight })
}

/// Looks whether an attempt was done before, so that the work for a repeated one can be spared. `None` says no more
/// than that it was not: whoever has the effect asks again with [`begin`].
pub async fn look(read_only: &RegionRead, attempt: &Attempt<'_>) -> Result<Option<Before>, Error> {
    let mac = mac_of(read_only.pool(), read_only.scope(), attempt);
    let org = read_only.scope().org.uuid();
    read(&read_only.query_one(FIND, &[&None::<i64>, &org, &mac.as_slice()]).await?, attempt)
}

fn mac_of(pool: &RegionPool, scope: &Scope, attempt: &Attempt<'_>) -> [u8; 32] {
    pool.mac("idempotency", &[&scope.key.to_bytes(), attempt.route.as_bytes(), attempt.key.as_bytes()])
}

/// What is known of an attempt with its key, if there was one.
fn read(found: &Row, attempt: &Attempt<'_>) -> Result<Option<Before>, Error> {
    let Some(id) = found.get("id")? else { return Ok(None) };
    if found.get::<&[u8]>("fingerprint")? != attempt.fingerprint {
        return Ok(Some(Before::Mismatch));
    }
    if !found.get::<bool>("served")? {
        return Ok(Some(Before::Gone));
    }
    let (names, values): (Vec<String>, Vec<String>) = (found.get("header_names")?, found.get("header_values")?);
    Ok(Some(Before::Stored(Stored {
        id,
        patient: found.get::<Option<Uuid>>("patient_id")?.map(PatientId::from),
        category: found.get::<&str>("category")?.parse().map_err(|_| Error::Row { column: "category" })?,
        status: u16::try_from(found.get::<i16>("status")?).map_err(|_| Error::Row { column: "status" })?,
        headers: names.into_iter().zip(values).collect(),
        body: found.get("body_sealed")?,
    })))
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
    pub(crate) id: Uuid,
    pub(crate) mac: [u8; 32],
    pub(crate) fingerprint: [u8; 32],
    pub(crate) category: Category,
    pub(crate) status: i16,
    pub(crate) header_names: Vec<&'static str>,
    pub(crate) header_values: Vec<String>,
    pub(crate) body: Sealed,
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
