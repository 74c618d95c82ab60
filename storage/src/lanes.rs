//! Lanes: a few connections on which the questions of many reads travel together.
//!
//! A lane takes what waits when it is free, sends all of it at once, and takes what has come meanwhile when the
//! answers are there. So a read alone is sent at once, and under load the reads of one moment share a transaction, a
//! snapshot, one write to the socket and one read from it. There is no timer.
//!
//! What must stay true:
//! - Every read's questions are preceded, in the same transaction, by the statement that sets its own organisation,
//!   role, purpose and patient for row-level security. If that fails, the server skips everything after it.
//! - That statement also says what the fence says, in the snapshot that the questions are answered from: REPEATABLE
//!   READ has one for the whole transaction, and it is taken after the last of these reads was asked for.
//! - The transaction is READ ONLY, by the connection's own settings.
//! - A failure is of the read that failed. Those before it have their answers; those after it are asked again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use residency_policy::{Epoch, PatientId};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::connections::Maker;
use crate::error::Unavailable;
use crate::tx::Ask;
use crate::wire::{Answered, Encoded, Exchanged, Fault, Shape, Text, Wire};
use crate::{Error, RegionPool, Row, Scope};

/// Who asks, and what the fence says of the patient.
pub(crate) const SETTINGS: &str = "SELECT set_config('app.org_id', $1, true), set_config('app.role', $2, true),
    set_config('app.purpose', $3, true), set_config('app.patient_id', $4, true),
    (SELECT epoch FROM patient_home WHERE patient_id = $5 AND state = 'active') AS epoch";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("lanes.settings", SETTINGS)];

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
    /// How long one transaction of a lane may take.
    limit: Duration,
}

#[derive(Default)]
struct Waiting {
    reads: VecDeque<Read>,
    closed: bool,
}

/// What one read asks at one time.
struct Read {
    who: Who,
    questions: Vec<Question>,
    answer: oneshot::Sender<Result<Vec<Answered>, Error>>,
    act: &'static str,
}

/// The parameters of [`SETTINGS`].
struct Who {
    org: String,
    role: &'static str,
    purpose: &'static str,
    patient: String,
    id: Option<Uuid>,
}

/// A statement with its parameters as they travel, so that they can wait after their owner has gone.
struct Question {
    text: Text,
    shape: Shape,
    params: Vec<Encoded>,
}

impl Lanes {
    pub(crate) fn new(count: usize, limit: Duration) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), news: Notify::new(), count, limit })
    }

    /// Lets the lanes go on their connections until [`Lanes::close`].
    pub(crate) fn open(self: &Arc<Self>, maker: &Arc<Maker>) {
        for _ in 0..self.count {
            tokio::spawn(serve(Arc::clone(self), Arc::clone(maker)));
        }
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
    /// Asks on a lane. Returns the fence's word on the patient, and the rows.
    pub(crate) async fn look(
        &self,
        scope: &Scope,
        act: &'static str,
        home: Option<(PatientId, Epoch)>,
        until: Instant,
        asks: &[Ask<'_>],
    ) -> Result<(Option<Epoch>, Vec<Vec<Row>>), Error> {
        let mut questions = Vec::with_capacity(asks.len());
        for (sql, params) in asks {
            let shape = self.shape(act, sql).await?;
            let params = Encoded::all(&shape, params).ok_or_else(|| Error::from_fault(&Fault::Misuse, act))?;
            questions.push(Question { text: Text(sql), shape, params });
        }
        let who = Who {
            org: scope.org.to_string(),
            role: scope.role.as_str(),
            purpose: scope.purpose.as_str(),
            patient: home.map_or_else(|| String::from("any"), |(patient, _)| patient.to_string()),
            id: home.map(|(patient, _)| patient.uuid()),
        };
        let (answer, answered) = oneshot::channel();
        self.0.lanes.add(Read { who, questions, answer, act })?;
        let limit = self.0.config.timeouts.statement + self.0.config.timeouts.wait;
        let until = until.min(Instant::now() + limit);
        let answered = tokio::time::timeout_at(until, answered).await;
        let answered = answered.map_err(|_| Error::Unavailable(Unavailable::Slow))?;
        // A lane that lets go of a read without a word has waited too long itself.
        let mut answers = answered.unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))?.into_iter();
        let fence = answers.next().and_then(|settings| settings.rows.into_iter().next());
        let epoch = fence.map(|row| row.get::<Option<i64>>("epoch")).transpose()?.flatten();
        let epoch = epoch.map(u32::try_from).transpose().map_err(|_| Error::Row { column: "epoch" })?;
        Ok((epoch.map(Epoch), answers.map(|answered| answered.rows).collect()))
    }
}

async fn serve(lanes: Arc<Lanes>, maker: Arc<Maker>) {
    let mut kept = None;
    while let Some(reads) = lanes.next().await {
        if reads.is_empty() {
            continue;
        }
        kept = match ready(kept.take(), &maker).await {
            // One that takes too long is let go with everything on it: those who wait are told so.
            Ok(wire) => tokio::time::timeout(lanes.limit, travel(wire, reads, &maker)).await.ok(),
            Err(error) => {
                let Error::Unavailable(why) = error else { continue };
                for read in reads {
                    drop(read.answer.send(Err(Error::Unavailable(why))));
                }
                None
            }
        };
    }
}

/// The lane's connection, or a new one when it has none that is of use.
async fn ready(kept: Option<Wire>, maker: &Maker) -> Result<Wire, Error> {
    if let Some(mut wire) = kept
        && wire.is_as_new()
        && !wire.has_ended().await
    {
        return Ok(wire);
    }
    maker.make().await
}

/// Asks for all of these reads, and again for those that another one's failure kept from an answer.
async fn travel(mut wire: Wire, mut reads: Vec<Read>, maker: &Maker) -> Wire {
    let Some(settings) = maker.shapes.get(Text(SETTINGS)) else { return wire };
    while !reads.is_empty() {
        for read in &reads {
            // What was encoded after a statement's shape fits it; if it does not, nothing here is to be trusted.
            if put(&mut wire, &settings, read).is_err() {
                return Wire::lost();
            }
        }
        reads = match wire.exchange().await {
            Ok(exchanged) => deal_out(exchanged, reads),
            Err(fault) => deal_out(Exchanged::none(fault), reads),
        };
    }
    wire
}

fn put(wire: &mut Wire, settings: &Shape, read: &Read) -> Result<(), Fault> {
    let who = &read.who;
    let params: [&(dyn ToSql + Sync); 5] = [&who.org, &who.role, &who.purpose, &who.patient, &who.id];
    wire.put(Text(SETTINGS), settings, &params)?;
    for question in &read.questions {
        let params: Vec<&(dyn ToSql + Sync)> =
            question.params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        wire.put(question.text, &question.shape, &params)?;
    }
    Ok(())
}

/// Gives every read its answers, and the failure to the one that it is of. Returns those after it.
fn deal_out(exchanged: Exchanged, reads: Vec<Read>) -> Vec<Read> {
    let mut answers = exchanged.answers.into_iter();
    let mut failed = Some(exchanged.failed.unwrap_or(Fault::Lost));
    let mut again = Vec::new();
    for read in reads {
        let all = 1 + read.questions.len();
        let own: Vec<Answered> = answers.by_ref().take(all).collect();
        if own.len() == all {
            drop(read.answer.send(Ok(own)));
        } else if let Some(fault) = failed.take() {
            let error = Error::from_fault(&fault, read.act);
            drop(read.answer.send(Err(error)));
            if matches!(fault, Fault::Lost) {
                // Of the connection, and so of all.
                failed = Some(fault);
            }
        } else {
            again.push(read);
        }
    }
    again
}
