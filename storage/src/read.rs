//! `RegionRead`: the only way to look without changing anything.
//!
//! A read pays for no connection, no lock and no commit of its own. Its questions go with those of others through a
//! few connections ([`crate::lanes`]), and its access records with those of others into one commit
//! ([`crate::record`]).
//!
//! What is promised:
//! - What one question finds was so at one instant after it was asked, at which the patient's home row was active at
//!   the permit's epoch: the fence is read in the same snapshot. It is not held: a read waits for no move of the home,
//!   and no move waits for a read.
//! - In the same snapshot the patient's consent is read, and the scope's judge is asked, before any row is handed out.
//! - [`Seen`] is handed out when the access records are durable, and not later than [`crate::Timeouts::read`] after
//!   the beginning. Whoever raises a fence and then waits for so long knows that nothing of before it is disclosed any
//!   more.
//!
//! The alternative refused is the lock that a [`RegionTx`] takes: it writes to the row, and so makes every read a
//! transaction that must be flushed; and it ends with the transaction all the same, before the answer has arrived.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use residency_policy::{Epoch, GrantId, PatientId, Permit, Region, RegionPermit};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_postgres::types::ToSql;

use crate::error::Unavailable;
use crate::fence::Asking;
use crate::seal::{LastKeys, unseal_of};
use crate::tx::{Ask, only_reads, to_microseconds};
use crate::{
    Access, BlindIndex, Cell, Error, IndexField, Phi, RegionPool, RegionTx, Row, Rules, Scope, Sealed, Seen,
    access_log, blind, row,
};

/// What sees and does not change: a [`RegionRead`], and a [`RegionTx`] as far as it looks.
pub trait Reading: Inside + Sync {
    /// The rows of several statements, which travel together.
    fn query_all(&self, asks: &[Ask<'_>]) -> impl Future<Output = Result<Vec<Vec<Row>>, Error>> + Send;

    /// Who acts.
    fn scope(&self) -> &Scope;

    /// The permit's patient; `None` where it is about the region.
    fn patient(&self) -> Option<PatientId>;

    /// Records what was looked at. The only way to [`Seen`].
    fn record(self, accesses: &[Access]) -> impl Future<Output = Result<Seen, Error>> + Send;

    /// All rows.
    fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send {
        async move { self.query_all(&[(sql, params)]).await?.pop().ok_or(Error::NotOneRow) }
    }

    /// At most one row.
    fn query_opt(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Option<Row>, Error>> + Send {
        async move { row::at_most_one(Reading::query(self, sql, params).await?) }
    }

    /// Exactly one row.
    fn query_one(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Row, Error>> + Send {
        async move { Reading::query_opt(self, sql, params).await?.ok_or(Error::NotOneRow) }
    }

    /// Opens a sealed cell of a patient. What is about a patient opens that patient's cells only.
    fn unseal<T: DeserializeOwned + Send>(
        &self,
        cell: Cell,
        patient: PatientId,
        sealed: &Sealed,
    ) -> impl Future<Output = Result<Phi<T>, Error>> + Send
    where
        Self: Sized,
    {
        unseal_of(self, cell, patient, sealed)
    }

    /// The blind index of a value; `None` when nothing is left of it after normalisation.
    fn blind(&self, field: IndexField, value: &Phi<String>) -> Option<BlindIndex> {
        blind::blind(self.pool(), self.scope().org, field, value.inside())
    }
}

/// What only this crate may use, so that only it says what a [`Reading`] is.
pub trait Inside {
    #[doc(hidden)]
    fn pool(&self) -> &RegionPool;

    #[doc(hidden)]
    fn last_keys(&self) -> &LastKeys;
}

/// One read. Dropped without [`RegionRead::disclose`], it has disclosed nothing, and nothing is recorded.
pub struct RegionRead {
    pool: RegionPool,
    scope: Scope,
    act: &'static str,
    home: Option<(PatientId, Epoch)>,
    now: Timestamp,
    until: Instant,
    /// Whether the fence has spoken for it.
    fenced: AtomicBool,
    /// The grant under which the caller broke the glass, if they did.
    glass: OnceLock<GrantId>,
    /// Which policies decided at the home, if any was asked.
    rules: OnceLock<Rules>,
    last_keys: LastKeys,
    /// Ends with the read.
    _span: tracing::Span,
}

impl RegionRead {
    /// Begins on one patient. The fence speaks with the first answer.
    pub fn begin(pool: &RegionPool, permit: &Permit, scope: &Scope, act: &'static str) -> Result<Self, Error> {
        Self::start(pool, permit.home().0, Some((permit.patient(), permit.epoch())), scope, act)
    }

    /// Begins on the region: lists and searches.
    pub fn begin_region(
        pool: &RegionPool,
        permit: &RegionPermit,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        Self::start(pool, permit.home().0, None, scope, act)
    }

    fn start(
        pool: &RegionPool,
        permitted: Region,
        home: Option<(PatientId, Epoch)>,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        if permitted != pool.region() {
            return Err(Error::OtherRegion { permit: permitted, pool: pool.region() });
        }
        Ok(Self {
            pool: pool.clone(),
            scope: scope.clone(),
            act,
            home,
            now: to_microseconds(pool.0.clock.now()),
            until: Instant::now() + pool.0.config.timeouts.read,
            fenced: AtomicBool::new(home.is_none()),
            glass: OnceLock::new(),
            rules: OnceLock::new(),
            last_keys: LastKeys::default(),
            _span: crate::pool::span_of(act),
        })
    }

    /// The instant at which it began, to the microsecond.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Records what was looked at, together with what others looked at, and returns the proof when that is durable.
    pub async fn disclose(self, accesses: &[Access]) -> Result<Seen, Error> {
        if accesses.is_empty() {
            return Err(Error::NoAccessRecorded);
        }
        if !self.fenced.load(Ordering::Relaxed) {
            self.query_all(&[]).await?;
        }
        if !crate::AUDITED {
            return Ok(Seen::recorded());
        }
        let glass = self.glass.get().copied();
        let rules = self.rules.get().cloned();
        let under = access_log::Under { act: self.act, at: self.now, home: self.home, glass, rules };
        let records = access_log::records(&self.pool, &self.scope, under, accesses);
        let recorded = tokio::time::timeout_at(self.until, self.pool.0.recorder.record(records)).await;
        recorded.unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))?;
        Ok(Seen::recorded())
    }

    async fn look(&self, asks: &[Ask<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        if asks.iter().any(|(sql, _)| !only_reads(sql)) {
            return Err(Error::NotPermitted("a change in what only reads"));
        }
        let when = (self.now, self.until);
        let (entered, rows) = self.pool.look(&self.scope, self.act, self.home, when, asks).await?;
        if let Some(home) = self.home {
            let (pool, scope, act, now) = (&self.pool, &self.scope, self.act, self.now);
            let asking = Asking { pool, scope, act, home, may_write: false, now };
            let passed = asking.check(entered).await?;
            // The first one stays: the records of one read name one grant, and what decided about it.
            if let Some(glass) = passed.glass {
                self.glass.get_or_init(|| glass);
            }
            if let Some(rules) = passed.rules {
                self.rules.get_or_init(|| rules);
            }
            self.fenced.store(true, Ordering::Relaxed);
        }
        Ok(rows)
    }
}

impl Inside for RegionRead {
    fn pool(&self) -> &RegionPool {
        &self.pool
    }

    fn last_keys(&self) -> &LastKeys {
        &self.last_keys
    }
}

impl Reading for RegionRead {
    async fn query_all(&self, asks: &[Ask<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        self.look(asks).await
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn patient(&self) -> Option<PatientId> {
        self.home.map(|(patient, _)| patient)
    }

    async fn record(self, accesses: &[Access]) -> Result<Seen, Error> {
        self.disclose(accesses).await
    }
}

impl Inside for RegionTx {
    fn pool(&self) -> &RegionPool {
        &self.pool
    }

    fn last_keys(&self) -> &LastKeys {
        &self.last_keys
    }
}

impl Reading for RegionTx {
    async fn query_all(&self, asks: &[Ask<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        Self::query_all(self, asks).await
    }

    fn scope(&self) -> &Scope {
        Self::scope(self)
    }

    fn patient(&self) -> Option<PatientId> {
        Self::patient(self)
    }

    async fn record(self, accesses: &[Access]) -> Result<Seen, Error> {
        self.commit(accesses).await
    }
}

impl std::fmt::Debug for RegionRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegionRead({})", self.act)
    }
}
