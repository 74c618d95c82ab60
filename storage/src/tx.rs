//! `RegionTx`: the only way to change anything.
//!
//! What needs no answer waits for what does, and travels with it: BEGIN, the settings and the fence go with the first
//! statement; what was put on its way with [`RegionTx::put`] goes with the next one; the access records, the events,
//! the stored answer and COMMIT go together ([`end`]). As one round trip each they would take 70 % of the throughput.

mod end;

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use residency_policy::{Act, Epoch, PatientId, Permit, RegionPermit};
use tokio_postgres::types::ToSql;

use crate::connections::Lease;
use crate::error::Unavailable;
use crate::fence::{FENCE, epoch_of, gate};
use crate::idempotency::Answer;
use crate::wire::{Answered, Exchanged, Fault, Shape, Text};
use crate::{Error, Event, RegionPool, Row, Scope, row};

/// Local to the transaction: nothing of it is left on the connection afterwards. A null lock is none.
pub(crate) const SETTINGS: &str = "SELECT set_config('app.org_id', $1, true), set_config('app.role', $2, true),
    set_config('app.purpose', $3, true), set_config('app.patient_id', $4, true), pg_advisory_xact_lock_shared($5)";
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("tx.settings", SETTINGS)];

/// One transaction. Dropped without [`RegionTx::commit`], it is rolled back.
pub struct RegionTx {
    line: tokio::sync::Mutex<Line>,
    pub(crate) pool: RegionPool,
    scope: Scope,
    act: &'static str,
    home: Option<(PatientId, Epoch)>,
    may_write: bool,
    now: Timestamp,
    with_commit: Mutex<WithCommit>,
    /// Ends with the transaction.
    _span: tracing::Span,
}

/// The transaction's connection, and how far it is.
struct Line {
    // Always there until the end: commit, rollback or drop takes it.
    lease: Option<Lease>,
    /// How many statements have been put and not been sent. Their answers come first.
    ahead: usize,
    begun: bool,
}

/// What is sent with COMMIT.
#[derive(Default)]
pub(crate) struct WithCommit {
    pub(crate) events: Vec<Event>,
    pub(crate) answer: Option<Answer>,
}

/// A statement and its parameters.
pub type Ask<'a> = (&'static str, &'a [&'a (dyn ToSql + Sync)]);

impl RegionTx {
    /// Begins on one patient: takes the fence, and refuses when the home's epoch is not the permit's.
    pub async fn begin(
        pool: &RegionPool,
        permit: &Permit,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        in_time_begun(pool, async { Self::prepare_on(pool, permit, scope, act).await?.under_way().await }).await
    }

    /// Begins on the region: lists and searches. It changes nothing; what is stored beside it goes with the commit.
    pub async fn begin_region(
        pool: &RegionPool,
        permit: &RegionPermit,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        let home = permit.home().0;
        in_time_begun(pool, async {
            Self::prepare(pool, home, None, false, scope, act).await?.under_way().await
        })
        .await
    }

    /// Like [`RegionTx::begin`], but the beginning travels with the first statement, whose answer is then the fence's
    /// refusal if there is one. Nothing is committed before the fence has spoken.
    pub(crate) async fn start(
        pool: &RegionPool,
        permit: &Permit,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        in_time_begun(pool, Self::prepare_on(pool, permit, scope, act)).await
    }

    async fn prepare_on(
        pool: &RegionPool,
        permit: &Permit,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        let home = (permit.patient(), permit.epoch());
        Self::prepare(pool, permit.home().0, Some(home), permit.act() == Act::Write, scope, act).await
    }

    async fn prepare(
        pool: &RegionPool,
        permitted: residency_policy::Region,
        home: Option<(PatientId, Epoch)>,
        may_write: bool,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        if permitted != pool.region() {
            return Err(Error::OtherRegion { permit: permitted, pool: pool.region() });
        }
        let lease = pool.0.connections.lease().await?;
        let tx = Self {
            line: tokio::sync::Mutex::new(Line { lease: Some(lease), ahead: 0, begun: false }),
            pool: pool.clone(),
            scope: scope.clone(),
            act,
            home,
            may_write,
            now: to_microseconds(pool.0.clock.now()),
            with_commit: Mutex::default(),
            _span: crate::pool::span_of(act),
        };
        tx.put_begin()?;
        Ok(tx)
    }

    fn put_begin(&self) -> Result<(), Error> {
        let org = self.scope.org.to_string();
        let patient = self.home.map_or_else(|| String::from("any"), |(patient, _)| patient.to_string());
        let gate = self.home.map(|(patient, _)| gate(patient));
        let (role, purpose) = (self.scope.role.as_str(), self.scope.purpose.as_str());
        let line = &mut self.line.try_lock().map_err(|_| Error::Unavailable(Unavailable::Lost))?;
        self.put_in(line, Text(BEGIN), &Shape::nothing(), &[])?;
        self.put_known(line, SETTINGS, &[&org, &role, &purpose, &patient, &gate])?;
        if let Some((patient, _)) = self.home {
            self.put_known(line, FENCE, &[&patient.uuid()])?;
        }
        Ok(())
    }

    async fn under_way(self) -> Result<Self, Error> {
        self.send(&mut *self.line.lock().await).await?;
        Ok(self)
    }

    /// All rows. Anything but a SELECT is refused under a permit to read.
    pub async fn query(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        Ok(self.ask(sql, params).await?.rows)
    }

    /// At most one row.
    pub async fn query_opt(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        row::at_most_one(self.query(sql, params).await?)
    }

    /// Exactly one row.
    pub async fn query_one(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        self.query_opt(sql, params).await?.ok_or(Error::NotOneRow)
    }

    /// The rows of several statements, which travel together and are done in their order.
    pub async fn query_all(&self, asks: &[Ask<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        Ok(self.ask_all(asks).await?.into_iter().map(|answered| answered.rows).collect())
    }

    /// Changes rows and returns how many. Anything but a SELECT is refused under a permit to read.
    pub async fn execute(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        Ok(self.ask(sql, params).await?.changed)
    }

    /// Puts a change on its way, of which nobody needs to know how many rows it concerns. It travels with the next
    /// statement, or with the commit, and if it fails then that does.
    pub async fn put(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        self.check_may(sql)?;
        let mut line = self.line.lock().await;
        let shape = self.shape(&mut line, sql).await?;
        self.put_in(&mut line, Text(sql), &shape, params)
    }

    async fn ask(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Answered, Error> {
        self.ask_all(&[(sql, params)]).await?.pop().ok_or(Error::NotOneRow)
    }

    async fn ask_all(&self, asks: &[Ask<'_>]) -> Result<Vec<Answered>, Error> {
        self.in_time(async {
            let mut line = self.line.lock().await;
            let mut shapes = Vec::with_capacity(asks.len());
            for (sql, _) in asks {
                self.check_may(sql)?;
                // Before anything is put: to ask for a shape is an exchange of its own.
                shapes.push(self.shape(&mut line, sql).await?);
            }
            for ((sql, params), shape) in asks.iter().zip(&shapes) {
                self.put_in(&mut line, Text(sql), shape, params)?;
            }
            let mut answers = self.send(&mut line).await?;
            Ok(answers.split_off(answers.len().saturating_sub(asks.len())))
        })
        .await
        .unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))
    }

    /// What a statement takes and gives. Asking for it, once in the life of the program, sends what was put.
    async fn shape(&self, line: &mut Line, sql: &'static str) -> Result<Shape, Error> {
        let shapes = &self.pool.0.shapes;
        if let Some(shape) = shapes.get(Text(sql)) {
            return Ok(shape);
        }
        if line.ahead > 0 {
            self.send(line).await?;
        }
        let shape = line.wire()?.describe(Text(sql)).await.map_err(|fault| self.said(&fault))?;
        shapes.put(Text(sql), shape.clone());
        Ok(shape)
    }

    fn put_known(
        &self,
        line: &mut Line,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Error> {
        // The pool asked for it when it was opened.
        let shape = self.pool.0.shapes.get(Text(sql)).ok_or(Error::NotOneRow)?;
        self.put_in(line, Text(sql), &shape, params)
    }

    fn put_in(
        &self,
        line: &mut Line,
        text: Text,
        shape: &Shape,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Error> {
        line.wire()?.put(text, shape, params).map_err(|fault| self.said(&fault))?;
        line.ahead += 1;
        Ok(())
    }

    /// Sends what was put. The first time the fence speaks.
    async fn send(&self, line: &mut Line) -> Result<Vec<Answered>, Error> {
        let exchanged = self.exchange(line).await.map_err(|fault| self.said(&fault))?;
        let answers = exchanged.all().map_err(|fault| self.said(&fault))?;
        self.check_fence(line, &answers)?;
        Ok(answers)
    }

    async fn exchange(&self, line: &mut Line) -> Result<Exchanged, Fault> {
        line.ahead = 0;
        line.wire().map_err(|_| Fault::Lost)?.exchange().await
    }

    fn check_fence(&self, line: &mut Line, answers: &[Answered]) -> Result<(), Error> {
        if let (false, Some((patient, permit))) = (line.begun, self.home) {
            // BEGIN, the settings, the fence.
            let row = answers.get(2).and_then(|answered| answered.rows.first());
            let home = row.map(epoch_of).transpose()?.flatten();
            if home != Some(permit) {
                return Err(Error::Fenced { patient, permit, home });
            }
        }
        line.begun = true;
        Ok(())
    }

    fn check_may(&self, sql: &str) -> Result<(), Error> {
        if self.may_write || only_reads(sql) {
            Ok(())
        } else {
            Err(Error::NotPermitted("a change under a permit to read"))
        }
    }

    /// Puts an event into the outbox. It is written with the commit, so the future is ready at once.
    pub fn emit(&self, event: &Event) -> futures::future::Ready<Result<(), Error>> {
        if !self.may_write {
            return futures::future::ready(Err(Error::NotPermitted("an event under a permit to read")));
        }
        self.with_commit(|with| with.events.push(*event));
        futures::future::ready(Ok(()))
    }

    /// The instant at which the transaction began, to the microsecond. One for all rows it writes.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The permit's patient; `None` in a transaction on the region.
    pub fn patient(&self) -> Option<PatientId> {
        self.home.map(|(patient, _)| patient)
    }

    /// The permit's epoch; `None` in a transaction on the region.
    pub fn epoch(&self) -> Option<Epoch> {
        self.home.map(|(_, epoch)| epoch)
    }

    /// Who acts.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The transaction's name.
    pub fn act(&self) -> &'static str {
        self.act
    }

    pub(crate) fn with_commit<T>(&self, change: impl FnOnce(&mut WithCommit) -> T) -> T {
        change(&mut self.with_commit.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn said(&self, fault: &Fault) -> Error {
        Error::from_fault(fault, self.act)
    }

    /// The server ends a statement that takes too long; this ends the waiting when the server itself stands still.
    async fn in_time<T>(&self, ask: impl Future<Output = T>) -> Option<T> {
        let limit = self.pool.0.config.timeouts.statement + self.pool.0.config.timeouts.wait;
        tokio::time::timeout(limit, ask).await.ok()
    }
}

impl Line {
    fn wire(&mut self) -> Result<&mut crate::wire::Wire, Error> {
        self.lease.as_mut().map(Lease::wire).ok_or(Error::Unavailable(Unavailable::Lost))
    }
}

impl std::fmt::Debug for RegionTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegionTx({})", self.act)
    }
}

/// A transaction that did not begin in time is dropped half-way: its connection is rolled back and looked at.
async fn in_time_begun(
    pool: &RegionPool,
    beginning: impl Future<Output = Result<RegionTx, Error>>,
) -> Result<RegionTx, Error> {
    let tx = tokio::time::timeout(pool.0.config.timeouts.begin, beginning).await;
    tx.unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))
}

/// Postgres keeps microseconds: what is answered must be what is read later.
pub(crate) fn to_microseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// By its first word. A WITH may hide a change behind a SELECT, so it counts as one.
pub(crate) fn only_reads(sql: &str) -> bool {
    sql.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("select"))
}

#[cfg(test)]
mod tests {
    use super::only_reads;

    #[test]
    fn only_a_select_reads() {
        for sql in ["SELECT 1", "\n  select\n*"] {
            assert!(only_reads(sql), "{sql}");
        }
        for sql in [
            "",
            "UPDATE a SET b = 1",
            "WITH a AS (DELETE FROM b RETURNING c) SELECT 1",
            "-- SELECT\nDELETE",
            "selecting",
        ] {
            assert!(!only_reads(sql), "{sql}");
        }
    }
}
