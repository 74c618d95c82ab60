//! The fence: the home's own word on who may be served here, read in the transaction that serves.
//!
//! The home row is locked FOR SHARE, so that an epoch cannot move while a transaction that saw it is under way, and a
//! transaction that begins afterwards sees the new one. A check before the transaction would lose acknowledged writes.
//!
//! Row locks alone let new sharers pass a waiting change, so a busy patient could never move. A shared advisory lock is
//! taken before the row: its queue is fair, and whoever raises the fence takes it alone.

use residency_policy::{Epoch, PatientId, PlacementState};
use tokio_postgres::types::ToSql;

use crate::{Error, RegionPool, Row};

/// What follows BEGIN: the settings, which end with the transaction, then the gate, then the row, in the function of
/// `V2026112311__fewer_statements.sql`. The patient and the gate are null when it is about nobody.
pub(crate) const ENTER: &str = "SELECT enter_transaction($1, $2, $3, $4, $5) AS epoch";
const RAISE: &str = "WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock($4) AS passed)
    UPDATE patient_home SET epoch = $2, state = $3 FROM gate WHERE patient_id = $1 AND epoch < $2";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("fence.enter", ENTER), ("fence.raise", RAISE)];

/// The advisory lock of a patient. Ids are random: two patients sharing one only wait for each other needlessly.
pub(crate) fn gate(patient: PatientId) -> i64 {
    let (high, low) = patient.uuid().as_u64_pair();
    (high ^ low.rotate_left(32)).cast_signed()
}

/// The epoch of an active home.
pub(crate) fn epoch_of(row: &Row) -> Result<Option<Epoch>, Error> {
    let epoch = row.get::<Option<i64>>("epoch")?.map(u32::try_from).transpose();
    Ok(epoch.map_err(|_| Error::Row { column: "epoch" })?.map(Epoch))
}

impl RegionPool {
    /// Tells the fence what the control plane decided: a later epoch, and whether the patient is served here. Waits
    /// for transactions that hold the fence. Returns whether it was news.
    pub async fn raise_fence(
        &self,
        patient: PatientId,
        epoch: Epoch,
        state: PlacementState,
    ) -> Result<bool, Error> {
        let (epoch, state) = (
            i64::from(epoch.0),
            match state {
                PlacementState::Active => "active",
                PlacementState::Retired => "retired",
            },
        );
        let params: [&(dyn ToSql + Sync); 4] = [&patient.uuid(), &epoch, &state, &gate(patient)];
        Ok(self.ask("fence.raise", RAISE, &params).await?.changed > 0)
    }
}
