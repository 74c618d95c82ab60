//! What is on its way between this home and the control plane: who works on it, and who takes it when they are gone.
//!
//! A row of `booking_work` is made in the transaction that begins something and taken away in the one that ends it.
//! In between nobody else has it until it is due. Whoever takes it then raises its fence, and the one before can write
//! nothing any more. How long ago something was is the database's word, so that clocks of nodes play no part.

use std::time::Duration;

use residency_policy::{BookingHandle, KeyId, OrgId, PatientId, Role};
use uuid::Uuid;

use crate::{Error, RegionPool, Row};

const TAKE: &str = "SELECT id, org_id, patient_id, subject, key_id, role, fence FROM take_booking_work($1, $2)";
const WAKE: &str = "SELECT wake_wishes($1) AS woken";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("bookings.take", TAKE), ("bookings.wake", WAKE)];

/// What a piece of work is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An appointment that is being booked, moved or cancelled.
    Appointment,
    /// A wish for one.
    Wish,
}

/// A piece of work that is due, and ours for a while. Ids only: the record is opened in a transaction of its own.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// The appointment, or the wish.
    pub id: Uuid,
    /// Whose record it is.
    pub org: OrgId,
    /// Of whom.
    pub patient: PatientId,
    /// What it is about.
    pub subject: Subject,
    /// In whose name it is done.
    pub key: KeyId,
    /// In which role.
    pub role: Role,
    /// Who writes must show that this has not been raised since.
    pub fence: i64,
}

impl RegionPool {
    /// Takes what is due, at most so much, for a while.
    pub async fn take_booking_work(&self, lease: Duration, at_most: i64) -> Result<Vec<Taken>, Error> {
        let asked = self.ask("bookings.take", TAKE, &[&lease.as_secs_f64(), &at_most]).await?;
        asked.rows.iter().map(taken).collect()
    }

    /// Makes wishes due, by what the control plane knows them by. Returns how many were not.
    pub async fn wake_wishes(&self, handles: &[BookingHandle]) -> Result<u64, Error> {
        let handles: Vec<Uuid> = handles.iter().map(|handle| handle.uuid()).collect();
        let asked = self.ask("bookings.wake", WAKE, &[&handles]).await?;
        let woken: i64 = asked.rows.first().ok_or(Error::NotOneRow)?.get("woken")?;
        Ok(woken.unsigned_abs())
    }
}

fn taken(row: &Row) -> Result<Taken, Error> {
    Ok(Taken {
        id: row.get("id")?,
        org: OrgId::from(row.get::<Uuid>("org_id")?),
        patient: PatientId::from(row.get::<Uuid>("patient_id")?),
        subject: match row.get::<&str>("subject")? {
            "appointment" => Subject::Appointment,
            "wish" => Subject::Wish,
            _ => return Err(Error::Row { column: "subject" }),
        },
        key: KeyId::from(row.get::<Uuid>("key_id")?),
        role: row.get::<&str>("role")?.parse().map_err(|_| Error::Row { column: "role" })?,
        fence: row.get("fence")?,
    })
}
