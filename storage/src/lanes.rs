//! Lanes: a few connections on which the questions of many reads travel together.
//!
//! A lane takes what waits when it is free, sends all of it at once, and takes what has come meanwhile when the
//! answers are there. So a read alone is sent at once, and under load the reads of one moment share a transaction, a
//! snapshot, one write to the socket and one read from it. There is no timer.
//!
//! What must stay true:
//! - Every read's questions are preceded, in the same transaction, by the statement that sets its own organisation,
//!   role, purpose and patient for row-level security. If that fails, so does everything after it. Without BEGIN the
//!   settings would end with their own statement, and whoever asks without settings sees nothing.
//! - That statement also says what the fence says, in the snapshot that the questions are answered from: REPEATABLE
//!   READ has one for the whole transaction, and it is taken after the last of these reads was asked for.
//! - The transaction is READ ONLY, by the connection's own settings.
//! - A failure is of the read that failed. Those before it have their answers; those after it are asked again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use residency_policy::{Epoch, PatientId};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use crate::ask::{Answered, Encoded, Question, Sent, send};
use crate::error::Unavailable;
use crate::fence::{ENTER, Entered, enter};
use crate::lend::{Connections, Lease};
use crate::tx::{Ask, COMMIT};
use crate::{Error, RegionPool, Row, Scope};

/// Who asks, what the fence says of the patient, and what a decision depends on.
pub(crate) const SETTINGS: &str = ENTER;

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("lanes.settings", SETTINGS)];

const BEGIN: &str = "BEGIN";

/// What every connection of a lane needs.
pub(crate) const AHEAD: &[&str] = &[BEGIN, SETTINGS, COMMIT];

/// Given to the connections of lanes, beside what all connections are given.
pub(crate) const OPTIONS: &str =
    "-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read";

/// How many reads travel together at most: enough that what they share costs each of them nothing, and so few that
/// nobody waits long for the answer of another.
const TOGETHER_MAX: usize = 64;
/// How many reads may wait. More than are answered in the time that one may take.
const WAITING_MAX: usize = 8_192;

/// Where reads wait for a lane.
pub(crate) struct Lanes {
    waiting: Mutex<Waiting>,
    news: Notify,
    count: usize,
}

#[derive(Default)]
struct Waiting {
    reads: VecDeque<Read>,
    closed: bool,
}

/// What one read asks at one time: first [`SETTINGS`].
struct Read {
    asks: Vec<Asked>,
    answer: oneshot::Sender<Result<Vec<Answered>, Error>>,
    act: &'static str,
}

/// A statement with its parameters as they travel, so that they can wait after their owner has gone.
type Asked = (&'static str, Encoded);

impl Lanes {
    /// Lets so many lanes go on connections until [`Lanes::close`]. What travels together takes no longer than `limit`.
    pub(crate) fn open(connections: &Connections, count: usize, limit: Duration) -> Arc<Self> {
        let lanes = Arc::new(Self { waiting: Mutex::default(), news: Notify::new(), count });
        for _ in 0..count {
            tokio::spawn(serve(Arc::clone(&lanes), connections.clone(), limit));
        }
        lanes
    }

    /// How many reads wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().reads.len()
    }

    /// Refuses every read from now on.
    pub(crate) fn close(&self) {
        let mut waiting = self.queue();
        waiting.closed = true;
        waiting.reads.clear();
        drop(waiting);
        self.news.notify_waiters();
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, read: Read) -> Result<(), Error> {
        let mut waiting = self.queue();
        if waiting.closed {
            return Err(Error::Unavailable(Unavailable::NotServing));
        }
        if waiting.reads.len() >= WAITING_MAX {
            return Err(Error::Unavailable(Unavailable::Busy));
        }
        waiting.reads.push_back(read);
        drop(waiting);
        self.news.notify_one();
        Ok(())
    }

    /// This lane's share of what waits; `None` once there is nothing more to come.
    async fn next(&self) -> Option<Vec<Read>> {
        loop {
            let news = self.news.notified();
            {
                let mut waiting = self.queue();
                if waiting.closed {
                    return None;
                }
                let share = waiting.reads.len().div_ceil(self.count).min(TOGETHER_MAX);
                if share > 0 {
                    // Whoever no longer waits has no use for the answer.
                    let share = waiting.reads.drain(..share).filter(|read| !read.answer.is_closed()).collect();
                    if !waiting.reads.is_empty() {
                        self.news.notify_one();
                    }
                    return Some(share);
                }
            }
            news.await;
        }
    }
}

impl RegionPool {
    /// Asks on a lane, as of an instant. Returns the home's word on the patient, and the rows.
    pub(crate) async fn look(
        &self,
        scope: &Scope,
        act: &'static str,
        home: Option<(PatientId, Epoch)>,
        (now, until): (Timestamp, Instant),
        asks: &[Ask<'_>],
    ) -> Result<(Option<Entered>, Vec<Vec<Row>>), Error> {
        let patient = home.map(|(patient, _)| patient.uuid());
        let settings: [&(dyn ToSql + Sync); 9] = [
            &scope.org.uuid(),
            &scope.role.as_str(),
            &scope.purpose.as_str(),
            &patient,
            &None::<i64>,
            &scope.category.name(),
            &scope.key.uuid(),
            &now,
            &scope.role.patient().map(PatientId::uuid),
        ];
        let (enter, taken) = enter(scope.role);
        let mut encoded = Vec::with_capacity(1 + asks.len());
        for (sql, params) in [(enter, &settings[..taken])].iter().chain(asks) {
            let types = self.types(act, sql).await?;
            encoded.push((*sql, Encoded::all(&types, params).ok_or(Error::misused(act))?));
        }
        let (answer, answered) = oneshot::channel();
        self.0.lanes.add(Read { asks: encoded, answer, act })?;
        let limit = self.0.config.timeouts.statement + self.0.config.timeouts.wait;
        let until = until.min(Instant::now() + limit);
        let answered = tokio::time::timeout_at(until, answered).await;
        let answered = answered.map_err(|_| Error::Unavailable(Unavailable::Slow))?;
        // A lane that lets go of a read without a word has waited too long itself.
        let mut answers = answered.unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))?.into_iter();
        let fence = answers.next().and_then(|settings| settings.rows.into_iter().next());
        let entered = fence.as_ref().map(Entered::read).transpose()?;
        Ok((entered, answers.map(|answered| answered.rows).collect()))
    }
}

async fn serve(lanes: Arc<Lanes>, connections: Connections, limit: Duration) {
    while let Some(reads) = lanes.next().await {
        if reads.is_empty() {
            continue;
        }
        match connections.lease().await {
            // One that takes too long is let go with everything on it: those who wait are told so.
            Ok(lease) => drop(tokio::time::timeout(limit, travel(lease, reads)).await),
            Err(Error::Unavailable(why)) => {
                for read in reads {
                    drop(read.answer.send(Err(Error::Unavailable(why))));
                }
            }
            Err(_) => {}
        }
    }
    connections.close();
}

/// Asks for all of these reads, and again for those that another one's failure kept from an answer.
async fn travel(lease: Lease, mut reads: Vec<Read>) {
    loop {
        let mut questions = Vec::with_capacity(2 + 2 * reads.len());
        let mut asking = Vec::with_capacity(reads.len());
        let mut known = Known::default();
        for read in reads {
            match prepare(&lease, &mut known, &read).await {
                Ok(own) => {
                    questions.extend(own);
                    asking.push(read);
                }
                Err(error) => read.refuse(&error),
            }
        }
        let (Ok(begin), Ok(commit)) = (plain(&lease, BEGIN).await, plain(&lease, COMMIT).await) else { return };
        let all = std::iter::once(begin).chain(questions).chain(std::iter::once(commit));
        let mut sent = send(lease.client(), all).await;
        reads = deal_out(&mut sent, asking).await;
        // Nothing depends on how a transaction that has changed nothing ends, but that it has.
        let ended = sent.last().await;
        if reads.is_empty() {
            if matches!(ended, Some(Ok(_))) {
                lease.give_back();
            }
            return;
        }
    }
}

/// The statements that this journey has had prepared: many reads ask the same few questions.
type Known = Vec<(&'static str, Statement)>;

/// The questions of one read, on this connection.
async fn prepare(
    lease: &Lease,
    known: &mut Known,
    read: &Read,
) -> Result<Vec<Question>, tokio_postgres::Error> {
    let mut questions = Vec::with_capacity(read.asks.len());
    for (sql, params) in &read.asks {
        // A text that is the same at another place is prepared once more, which costs a look.
        let before = known.iter().find(|(there, _)| std::ptr::eq(*there, *sql));
        let statement = if let Some((_, statement)) = before {
            statement.clone()
        } else {
            let statement = lease.client().prepare_cached(sql).await?;
            known.push((sql, statement.clone()));
            statement
        };
        questions.push(Question { statement, params: params.clone() });
    }
    Ok(questions)
}

async fn plain(lease: &Lease, sql: &str) -> Result<Question, tokio_postgres::Error> {
    Ok(Question { statement: lease.client().prepare_cached(sql).await?, params: Encoded::none() })
}

/// Gives every read its answers as they come, and a failure to the read that it is of. Returns those after it.
async fn deal_out(sent: &mut Sent<'_>, reads: Vec<Read>) -> Vec<Read> {
    let mut failed = sent.next().await.and_then(Result::err);
    let mut reads = reads.into_iter();
    while let Some(read) = reads.next() {
        let mut answers = Vec::with_capacity(read.asks.len());
        while failed.is_none() && answers.len() < read.asks.len() {
            match sent.next().await {
                Some(Ok(answered)) => answers.push(answered),
                Some(Err(error)) if error.as_db_error().is_some() => {
                    read.refuse(&error);
                    return reads.collect();
                }
                Some(Err(error)) => failed = Some(error),
                None => return Vec::new(),
            }
        }
        match &failed {
            None => drop(read.answer.send(Ok(answers))),
            // Of the connection, and so of all.
            Some(error) => read.refuse(error),
        }
    }
    Vec::new()
}

impl Read {
    fn refuse(self, why: &tokio_postgres::Error) {
        drop(self.answer.send(Err(Error::from_driver(why, self.act))));
    }
}
