//! The fence: the home's own word on who may be served here, read in the transaction that serves.
//!
//! The home row is locked FOR SHARE, so that an epoch cannot move while a transaction that saw it is under way, and a
//! transaction that begins afterwards sees the new one. A check before the transaction would lose acknowledged writes.
//!
//! Row locks alone let new sharers pass a waiting change, so a busy patient could never move. A shared advisory lock is
//! taken before the row: its queue is fair, and whoever raises the fence takes it alone.

use jiff::Timestamp;
use residency_policy::{Epoch, GrantId, PatientId, PlacementState};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::error::Unavailable;
use crate::scope::{Acting, Consent};
use crate::{Access, AccessAction, AccessOutcome, Error, Known, RegionPool, Row, Rules, Scope, access_log};

/// What goes before all else: the settings, which end with the transaction, then the gate, then the row, then what a
/// decision depends on, in the function of `V2026112322__enter_home.sql`. The patient and the gate are null when it is
/// about nobody, and the gate when it is a read.
pub(crate) const ENTER: &str =
    "SELECT epoch, own, consent, glass FROM enter_home($1, $2, $3, $4, $5, $6, $7, $8)";
const RAISE: &str = "WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock($4) AS passed)
    UPDATE patient_home SET epoch = $2, state = $3 FROM gate WHERE patient_id = $1 AND epoch < $2";

/// The same of a patient, and before it whom they are. Of others it is not said: no policy of theirs asks.
pub(crate) const ENTER_AS_PATIENT: &str =
    "SELECT epoch, own, consent, glass FROM enter_home_as_patient($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] =
    &[("fence.enter", ENTER), ("fence.enter_as_patient", ENTER_AS_PATIENT), ("fence.raise", RAISE)];

/// The statement that goes before all else, and how many of its parameters it takes.
pub(crate) const fn enter(role: Acting) -> (&'static str, usize) {
    match role {
        Acting::Patient(_) => (ENTER_AS_PATIENT, 9),
        Acting::Member(_) => (ENTER, 8),
    }
}

/// The advisory lock of a patient. Ids are random: two patients sharing one only wait for each other needlessly.
pub(crate) fn gate(patient: PatientId) -> i64 {
    let (high, low) = patient.uuid().as_u64_pair();
    (high ^ low.rotate_left(32)).cast_signed()
}

/// What the home said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entered {
    /// The epoch of an active home.
    pub(crate) epoch: Option<Epoch>,
    /// Whether the caller's organisation has this patient; `false` also where nothing made the home look.
    own: bool,
    /// `None` where it is about nobody.
    known: Option<Known>,
}

impl Entered {
    pub(crate) fn read(row: &Row) -> Result<Self, Error> {
        let epoch = row.get::<Option<i64>>("epoch")?.map(u32::try_from).transpose();
        let epoch = epoch.map_err(|_| Error::Row { column: "epoch" })?.map(Epoch);
        let consent = row.get::<Option<&str>>("consent")?;
        let consent = consent.map(|word| Consent::read(word).ok_or(Error::Row { column: "consent" }));
        let glass = row.get::<Option<Uuid>>("glass")?.map(GrantId::from);
        let known = consent.transpose()?.map(|consent| Known { consent, glass });
        Ok(Self { epoch, own: row.get::<Option<bool>>("own")?.unwrap_or(false), known })
    }
}

/// What whoever was let in is recorded with.
pub(crate) struct Passed {
    /// The grant under which what follows is done.
    pub(crate) glass: Option<GrantId>,
    /// What decided here; `None` where what decided before still holds.
    pub(crate) rules: Option<Rules>,
}

/// One question to the home: who asks, and under which permit.
pub(crate) struct Asking<'a> {
    pub(crate) pool: &'a RegionPool,
    pub(crate) scope: &'a Scope,
    pub(crate) act: &'static str,
    pub(crate) home: (PatientId, Epoch),
    pub(crate) may_write: bool,
    pub(crate) now: Timestamp,
}

impl Asking<'_> {
    /// The fence, and then the decision.
    pub(crate) async fn check(&self, entered: Option<Entered>) -> Result<Passed, Error> {
        let (patient, permit) = self.home;
        let home = entered.and_then(|entered| entered.epoch);
        let known = match entered {
            Some(Entered { known: Some(known), .. }) if home == Some(permit) => known,
            _ => return Err(Error::Fenced { patient, permit, home }),
        };
        let judged = self.scope.judge.as_ref().map(|judge| judge.0.judge(&known));
        let (answer, rules) = judged.map_or((Ok(()), None), |judged| (judged.answer, judged.rules));
        match answer {
            Ok(()) => Ok(Passed { glass: known.glass, rules }),
            Err(reason) => Err(self.refuse(reason, rules, entered.is_some_and(|entered| entered.own)).await),
        }
    }

    /// The refusal is recorded before it is said. Whoever's organisation has no such patient learns no more than that
    /// nothing is found.
    async fn refuse(&self, reason: &'static str, rules: Option<Rules>, own: bool) -> Error {
        let (patient, permit) = self.home;
        let action = if self.may_write { AccessAction::Update } else { AccessAction::Read };
        let outcome = if own { AccessOutcome::Refused } else { AccessOutcome::NotFound };
        let access = Access::to(action, "patient", patient.uuid(), patient).ended(outcome);
        let under =
            access_log::Under { act: self.act, at: self.now, home: Some(self.home), glass: None, rules };
        let records = access_log::records(self.pool, self.scope, under, &[access]);
        let recorded =
            tokio::time::timeout(self.pool.0.config.timeouts.read, self.pool.0.recorder.record(records));
        match recorded.await.unwrap_or(Err(Error::Unavailable(Unavailable::Slow))) {
            Ok(()) if own => Error::NotAllowed { reason },
            Ok(()) => Error::Fenced { patient, permit, home: None },
            Err(error) => error,
        }
    }
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
