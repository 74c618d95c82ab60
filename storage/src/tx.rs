//! `RegionTx`: the only way to SQL.
//!
//! Beginning is one round trip and so is committing: BEGIN, the settings and the fence are sent together, and so are
//! the access records, the events, the stored answer and COMMIT. As one round trip each they would take 70 % of the
//! throughput.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use deadpool_postgres::Object;
use futures::{future, poll};
use jiff::Timestamp;
use residency_policy::{Act, Epoch, PatientId, Permit, RegionPermit};
use tokio_postgres::types::ToSql;

use crate::access_log::{self, INSERT_ACCESS};
use crate::error::Unavailable;
use crate::fence::{FENCE, epoch_of, gate};
use crate::idempotency::{Answer, INSERT_ANSWER};
use crate::outbox::{self, INSERT_EVENTS};
use crate::{Access, Error, Event, RegionPool, Row, Scope, Seen};

/// Local to the transaction: nothing of it is left on the connection afterwards. A null lock is none.
const SETTINGS: &str = "SELECT set_config('app.org_id', $1, true), set_config('app.role', $2, true),
    set_config('app.purpose', $3, true), set_config('app.patient_id', $4, true), pg_advisory_xact_lock_shared($5)";

/// What every transaction needs, prepared when a connection is made.
pub(crate) const PREPARED_AHEAD: [&str; 5] = [SETTINGS, FENCE, INSERT_ACCESS, INSERT_EVENTS, INSERT_ANSWER];

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("tx.settings", SETTINGS)];

/// One transaction. Dropped without [`RegionTx::commit`], it is rolled back.
pub struct RegionTx {
    // Always there until the end: commit, rollback or drop takes it.
    client: Option<Object>,
    pub(crate) pool: RegionPool,
    scope: Scope,
    act: &'static str,
    home: Option<(PatientId, Epoch)>,
    may_write: bool,
    now: Timestamp,
    with_commit: Mutex<WithCommit>,
}

/// What is sent with COMMIT.
#[derive(Default)]
pub(crate) struct WithCommit {
    pub(crate) events: Vec<Event>,
    pub(crate) answer: Option<Answer>,
}

impl RegionTx {
    /// Begins on one patient: takes the fence, and refuses when the home's epoch is not the permit's.
    pub async fn begin(
        pool: &RegionPool,
        permit: &Permit,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        let home = (permit.patient(), permit.epoch());
        Self::start(pool, permit.home().0, Some(home), permit.act() == Act::Write, scope, act).await
    }

    /// Begins on the region: lists and searches. It changes nothing; what is stored beside it goes with the commit.
    pub async fn begin_region(
        pool: &RegionPool,
        permit: &RegionPermit,
        scope: &Scope,
        act: &'static str,
    ) -> Result<Self, Error> {
        Self::start(pool, permit.home().0, None, false, scope, act).await
    }

    async fn start(
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
        let began = tokio::time::timeout(pool.0.config.timeouts.begin, async {
            let client = pool.connection().await?;
            let tx = Self {
                client: Some(client),
                pool: pool.clone(),
                scope: scope.clone(),
                act,
                home,
                may_write,
                now: to_microseconds(pool.0.clock.now()),
                with_commit: Mutex::default(),
            };
            tx.send_begin().await?;
            Ok(tx)
        });
        // A transaction that did not begin in time was dropped half-way: its connection is rolled back and looked at.
        began.await.unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))
    }

    async fn send_begin(&self) -> Result<(), Error> {
        let client = self.client()?;
        let org = self.scope.org.to_string();
        let patient = self.home.map_or_else(|| String::from("any"), |(patient, _)| patient.to_string());
        let prepared = future::try_join(client.prepare_cached(SETTINGS), client.prepare_cached(FENCE)).await;
        let (settings, fence) = prepared.map_err(|error| self.said(&error))?;
        let gate = self.home.map(|(patient, _)| gate(patient));
        let (role, purpose) = (self.scope.role.as_str(), self.scope.purpose.as_str());
        let settings_params: [&(dyn ToSql + Sync); 5] = [&org, &role, &purpose, &patient, &gate];
        let begin = client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED");
        let set = client.query_one(&settings, &settings_params);
        let Some((patient, permit)) = self.home else {
            let both = future::try_join(begin, set).await;
            return both.map(|_| ()).map_err(|error| self.said(&error));
        };
        let id = patient.uuid();
        let fence_params: [&(dyn ToSql + Sync); 1] = [&id];
        let all = future::try_join3(begin, set, client.query_opt(&fence, &fence_params)).await;
        let ((), _, row) = all.map_err(|error| self.said(&error))?;
        let home = row.map(|row| epoch_of(&Row(row))).transpose()?.flatten();
        if home == Some(permit) { Ok(()) } else { Err(Error::Fenced { patient, permit, home }) }
    }

    /// All rows. Anything but a SELECT is refused under a permit to read.
    pub async fn query(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        self.check_may(sql)?;
        let client = self.client()?;
        let rows =
            self.in_time(async { client.query(&client.prepare_cached(sql).await?, params).await }).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// At most one row.
    pub async fn query_opt(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        let mut rows = self.query(sql, params).await?;
        let row = rows.pop();
        if rows.is_empty() { Ok(row) } else { Err(Error::NotOneRow) }
    }

    /// Exactly one row.
    pub async fn query_one(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        self.query_opt(sql, params).await?.ok_or(Error::NotOneRow)
    }

    /// Changes rows and returns how many. Anything but a SELECT is refused under a permit to read.
    pub async fn execute(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.check_may(sql)?;
        let client = self.client()?;
        self.in_time(async { client.execute(&client.prepare_cached(sql).await?, params).await }).await
    }

    fn check_may(&self, sql: &str) -> Result<(), Error> {
        if self.may_write || only_reads(sql) {
            Ok(())
        } else {
            Err(Error::NotPermitted("a change under a permit to read"))
        }
    }

    /// Puts an event into the outbox. It is written with the commit, so the future is ready at once.
    pub fn emit(&self, event: &Event) -> future::Ready<Result<(), Error>> {
        if !self.may_write {
            return future::ready(Err(Error::NotPermitted("an event under a permit to read")));
        }
        self.with_commit(|with| with.events.push(*event));
        future::ready(Ok(()))
    }

    /// Writes the access records and commits. The only way to end a transaction that succeeded.
    pub async fn commit(mut self, accesses: &[Access]) -> Result<Seen, Error> {
        if accesses.is_empty() {
            return Err(Error::NoAccessRecorded);
        }
        let sent = Box::pin(self.in_time_committing(self.send_commit(accesses))).await;
        if sent.is_ok() {
            // Given back in good order; whatever failed goes through drop, which rolls back.
            drop(self.client.take());
        }
        sent
    }

    async fn send_commit(&self, accesses: &[Access]) -> Result<Seen, Error> {
        let client = self.client()?;
        let with = self.with_commit(std::mem::take);
        let prepared = future::try_join3(
            client.prepare_cached(INSERT_EVENTS),
            client.prepare_cached(INSERT_ANSWER),
            client.prepare_cached(INSERT_ACCESS),
        );
        let (events, answers, access) = prepared.await.map_err(|error| self.said(&error))?;
        let events = async {
            if with.events.is_empty() {
                Ok(0)
            } else {
                outbox::insert(self, client, &events, &with.events).await
            }
        };
        let answers = async {
            match &with.answer {
                None => Ok(0),
                Some(answer) => answer.insert(self, client, &answers).await,
            }
        };
        let access = access_log::insert(self, client, &access, accesses);
        let mut inserts = pin!(future::try_join3(events, answers, access));
        // The first poll sends. What cannot even be sent must keep COMMIT from being sent: Postgres would not know
        // that a record is missing. COMMIT then follows in the same go. If an insert fails there, Postgres makes a
        // ROLLBACK of it, and the failure is seen here before the COMMIT's answer is believed.
        let commit = client.batch_execute("COMMIT");
        let (inserted, commit) = match poll!(&mut inserts) {
            Poll::Ready(Err(error)) => return Err(self.said(&error)),
            Poll::Ready(Ok(_)) => (Ok(()), commit.await),
            Poll::Pending => {
                let (inserted, commit) = future::join(inserts, commit).await;
                (inserted.map(|_| ()), commit)
            }
        };
        inserted.map_err(|error| self.said(&error))?;
        match commit.map_err(|error| self.said(&error)) {
            Ok(()) => Ok(Seen::recorded()),
            Err(Error::Unavailable(Unavailable::Lost | Unavailable::NotServing)) => Err(Error::CommitUncertain),
            Err(other) => Err(other),
        }
    }

    /// Undoes everything. Dropping does the same without waiting for it.
    pub async fn rollback(mut self) {
        if let Some(client) = self.client.take() {
            roll_back(client, self.pool.0.config.timeouts.wait).await;
        }
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

    pub(crate) fn client(&self) -> Result<&Object, Error> {
        self.client.as_ref().ok_or(Error::Unavailable(Unavailable::Lost))
    }

    pub(crate) fn said(&self, error: &tokio_postgres::Error) -> Error {
        Error::from_driver(error, self.act)
    }

    /// The server ends a statement that takes too long; this ends the waiting when the server itself stands still.
    pub(crate) async fn in_time<T>(
        &self,
        ask: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let limit = self.pool.0.config.timeouts.statement + self.pool.0.config.timeouts.wait;
        let answer = tokio::time::timeout(limit, ask).await;
        answer.map_err(|_| Error::Unavailable(Unavailable::Slow))?.map_err(|error| self.said(&error))
    }

    async fn in_time_committing(
        &self,
        commit: impl Future<Output = Result<Seen, Error>>,
    ) -> Result<Seen, Error> {
        let limit = self.pool.0.config.timeouts.statement + self.pool.0.config.timeouts.wait;
        tokio::time::timeout(limit, commit).await.unwrap_or(Err(Error::CommitUncertain))
    }
}

impl Drop for RegionTx {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(roll_back(client, self.pool.0.config.timeouts.wait))),
            // Closing the connection rolls back too.
            Err(_) => drop(Object::take(client)),
        }
    }
}

impl std::fmt::Debug for RegionTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegionTx({})", self.act)
    }
}

/// Rolls back and gives the connection to the next one, or closes it when it does not answer.
async fn roll_back(client: Object, limit: std::time::Duration) {
    match tokio::time::timeout(limit, client.batch_execute("ROLLBACK")).await {
        Ok(Ok(())) => drop(client),
        _ => drop(Object::take(client)),
    }
}

/// Postgres keeps microseconds: what is answered must be what is read later.
fn to_microseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// By its first word. A WITH may hide a change behind a SELECT, so it counts as one.
fn only_reads(sql: &str) -> bool {
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
