//! `RegionTx`: the only way to change anything.
//!
//! What needs no answer waits for what does, and travels with it: BEGIN, the settings and the fence go with the first
//! statement; what was put on its way with [`RegionTx::put`] goes with the next one; the access records, the events,
//! the stored answer and COMMIT go together ([`end`]). As one round trip each they would take 70 % of the throughput.
//! And what can be one statement is one: to a small one, asking and answering is most of the work.

mod end;
mod leave;
mod line;

use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use residency_policy::{Act, Epoch, GrantId, PatientId, Permit, RegionPermit};
use tokio_postgres::types::ToSql;

use crate::ask::{Answered, Question};
use crate::error::Unavailable;
use crate::fence::{Asking, ENTER, Entered, enter, gate};
use crate::idempotency::Answer;
use crate::seal::LastKeys;
use crate::{Error, Event, RegionPool, Row, Rules, Scope, row};

use leave::LEAVE;
use line::{Line, Stage};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
pub(crate) const COMMIT: &str = "COMMIT";

/// What every transaction needs, or any may need to end.
pub(crate) const AHEAD: &[&str] = &[BEGIN, ENTER, LEAVE, COMMIT];

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("tx.leave", LEAVE)];

/// One transaction. Dropped without [`RegionTx::commit`], it is rolled back.
pub struct RegionTx {
    line: tokio::sync::Mutex<Line>,
    pub(crate) pool: RegionPool,
    scope: Scope,
    act: &'static str,
    home: Option<(PatientId, Epoch)>,
    may_write: bool,
    now: Timestamp,
    /// The grant under which the caller broke the glass, if they did.
    glass: OnceLock<GrantId>,
    /// Which policies decided at the home, if any was asked.
    rules: OnceLock<Rules>,
    with_commit: Mutex<WithCommit>,
    pub(crate) last_keys: LastKeys,
    /// Ends with the transaction.
    _span: tracing::Span,
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
            line: tokio::sync::Mutex::new(Line::new(lease)),
            pool: pool.clone(),
            scope: scope.clone(),
            act,
            home,
            may_write,
            now: to_microseconds(pool.0.clock.now()),
            glass: OnceLock::new(),
            rules: OnceLock::new(),
            with_commit: Mutex::default(),
            last_keys: LastKeys::default(),
            _span: crate::pool::span_of(act),
        };
        tx.put_begin().await?;
        Ok(tx)
    }

    async fn put_begin(&self) -> Result<(), Error> {
        let patient = self.home.map(|(patient, _)| patient.uuid());
        let gate = self.home.map(|(patient, _)| gate(patient));
        let Scope { org, role, purpose, category, key, .. } = &self.scope;
        let settings: [&(dyn ToSql + Sync); 9] = [
            &org.uuid(),
            &role.as_str(),
            &purpose.as_str(),
            &patient,
            &gate,
            &category.name(),
            &key.uuid(),
            &self.now,
            &role.patient().map(PatientId::uuid),
        ];
        let (enter, taken) = enter(*role);
        let mut line = self.line.lock().await;
        line.put(self.act, BEGIN, &[]).await?;
        line.put(self.act, enter, &settings[..taken]).await
    }

    async fn under_way(self) -> Result<Self, Error> {
        self.send(&mut *self.line.lock().await, Vec::new()).await?;
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
        self.line.lock().await.put(self.act, sql, params).await
    }

    async fn ask(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Answered, Error> {
        self.ask_all(&[(sql, params)]).await?.pop().ok_or(Error::NotOneRow)
    }

    async fn ask_all(&self, asks: &[Ask<'_>]) -> Result<Vec<Answered>, Error> {
        for (sql, _) in asks {
            self.check_may(sql)?;
        }
        self.in_time(async {
            let mut line = self.line.lock().await;
            let mut questions = Vec::with_capacity(asks.len());
            for (sql, params) in asks {
                questions.push(line.question(self.act, sql, params).await?);
            }
            let mut answers = self.send(&mut line, questions).await?;
            Ok(answers.split_off(answers.len().saturating_sub(asks.len())))
        })
        .await
        .unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))
    }

    /// Sends what was put, and these. The first time the fence speaks.
    async fn send(&self, line: &mut Line, questions: Vec<Question>) -> Result<Vec<Answered>, Error> {
        let first = line.stage() == Stage::New;
        let (answers, failed) = line.exchange(self.act, questions).await?;
        if let Some(error) = failed {
            return Err(Error::from_driver(&error, self.act));
        }
        if first {
            let passed = self.check_fence(&answers).await;
            line.is_now(if passed.is_ok() { Stage::Begun } else { Stage::Failed });
            passed?;
        }
        Ok(answers)
    }

    async fn check_fence(&self, answers: &[Answered]) -> Result<(), Error> {
        let Some(home) = self.home else { return Ok(()) };
        // BEGIN, then the fence.
        let row = answers.get(1).and_then(|answered| answered.rows.first());
        let entered = row.map(Entered::read).transpose()?;
        let (pool, scope, act, now) = (&self.pool, &self.scope, self.act, self.now);
        let asking = Asking { pool, scope, act, home, may_write: self.may_write, now };
        let passed = asking.check(entered).await?;
        if let Some(glass) = passed.glass {
            self.glass.get_or_init(|| glass);
        }
        if let Some(rules) = passed.rules {
            self.rules.get_or_init(|| rules);
        }
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

    /// The grant under which the caller broke the glass, once the home has spoken.
    pub(crate) fn glass(&self) -> Option<GrantId> {
        self.glass.get().copied()
    }

    /// Which policies decided: at the home, or else before.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.rules.get().or(self.scope.circumstances.rules.as_ref())
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

    /// The server ends a statement that takes too long; this ends the waiting when the server itself stands still.
    async fn in_time<T>(&self, ask: impl Future<Output = T>) -> Option<T> {
        let limit = self.pool.0.config.timeouts.statement + self.pool.0.config.timeouts.wait;
        tokio::time::timeout(limit, ask).await.ok()
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
