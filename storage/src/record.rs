//! The writer of access records: one per node, for reads.
//!
//! Records that wait at the same moment go into one INSERT and one commit, and each of those who wait is answered when
//! that commit is durable. The writer begins as soon as it is free and takes what has come meanwhile when it is free
//! again: there is no timer, so what a record waits for is at most the commit that is under way and its own.
//!
//! What must stay true:
//! - Nobody is answered before the server has said, after the commit, that it is ready again.
//! - A record that the database refuses keeps nobody else's out: a refused batch is divided until it stands alone.
//! - Nobody waits without a bound: not more records than [`WAITING_MAX`], and the caller waits not longer than
//!   [`crate::Timeouts::read`].
//!
//! The rows of a batch are of several organisations, so no transaction's settings fit them all. The function
//! `record_accesses_whole` of the database inserts them with the rights of the tables' owner, and can do nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::Error;
use crate::access_log::{Columns, RECORD, Record};
use crate::error::Unavailable;
use crate::lend::{Connections, Lease};

/// What the writer's connection needs.
pub(crate) const AHEAD: &[&str] = &[RECORD];

/// How many records are committed together, unless one who waits has more.
const TOGETHER_MAX: usize = 1_024;
/// How many records may wait. More than are written in the time that one may wait.
const WAITING_MAX: usize = 32_768;
/// How many statements a refused batch may cost. A list of a thousand with one bad record needs about twenty.
const TRIES_MAX: usize = 64;

/// Where records wait for the writer.
pub(crate) struct Recorder {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    askers: VecDeque<Asker>,
    records: usize,
    closed: bool,
}

/// The records of one who waits: all of them are durable or none is.
struct Asker {
    records: Vec<Record>,
    answer: oneshot::Sender<Result<(), Error>>,
}

impl Recorder {
    /// Lets the writer go on a connection until [`Recorder::close`]. One batch takes no longer than `limit`.
    pub(crate) fn open(connections: Connections, limit: Duration) -> Arc<Self> {
        let recorder = Arc::new(Self { waiting: Mutex::default(), news: Notify::new() });
        tokio::spawn(serve(Arc::clone(&recorder), connections, limit));
        recorder
    }

    /// Waits until these records are durable.
    pub(crate) async fn record(&self, records: Vec<Record>) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.add(Asker { records, answer })?;
        // A writer that lets go of somebody without a word has waited too long itself.
        answered.await.unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))
    }

    /// How many records wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().records
    }

    /// Refuses every record from now on.
    pub(crate) fn close(&self) {
        let mut waiting = self.queue();
        waiting.closed = true;
        waiting.askers.clear();
        waiting.records = 0;
        drop(waiting);
        self.news.notify_waiters();
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, asker: Asker) -> Result<(), Error> {
        let mut waiting = self.queue();
        if waiting.closed {
            return Err(Error::Unavailable(Unavailable::NotServing));
        }
        if waiting.records + asker.records.len() > WAITING_MAX {
            return Err(Error::Unavailable(Unavailable::Busy));
        }
        waiting.records += asker.records.len();
        waiting.askers.push_back(asker);
        drop(waiting);
        self.news.notify_one();
        Ok(())
    }

    /// What waits, up to the bound; `None` once there is nothing more to come.
    async fn next(&self) -> Option<Vec<Asker>> {
        loop {
            let news = self.news.notified();
            {
                let mut waiting = self.queue();
                if waiting.closed {
                    return None;
                }
                let (mut batch, mut records) = (Vec::new(), 0);
                while let Some(asker) = waiting.askers.pop_front() {
                    let more = asker.records.len();
                    if records > 0 && records + more > TOGETHER_MAX {
                        waiting.askers.push_front(asker);
                        break;
                    }
                    waiting.records -= more;
                    // To somebody who no longer waits nothing is disclosed.
                    if !asker.answer.is_closed() {
                        records += more;
                        batch.push(asker);
                    }
                }
                if !batch.is_empty() {
                    return Some(batch);
                }
            }
            news.await;
        }
    }
}

async fn serve(recorder: Arc<Recorder>, connections: Connections, limit: Duration) {
    while let Some(batch) = recorder.next().await {
        match connections.lease().await {
            // One that takes too long is let go, and its connection is closed: those who wait are told so.
            Ok(lease) => drop(tokio::time::timeout(limit, write(lease, batch)).await),
            Err(error) => refuse(batch, &error),
        }
    }
    connections.close();
}

fn refuse(batch: Vec<Asker>, why: &Error) {
    let why = if let Error::Unavailable(why) = why { *why } else { Unavailable::NotServing };
    for asker in batch {
        drop(asker.answer.send(Err(Error::Unavailable(why))));
    }
}

/// Writes a batch. One that the database refuses for what is in it is divided, and its halves are written.
async fn write(lease: Lease, batch: Vec<Asker>) {
    let mut parts = vec![batch];
    let mut tries = 0;
    while let Some(mut part) = parts.pop() {
        tries += 1;
        let columns = Columns::of(part.iter().flat_map(|asker| &asker.records));
        let written = lease.ask(RECORD, &columns.params()).await;
        drop(columns);
        match written {
            Ok(_) => part.into_iter().for_each(|asker| drop(asker.answer.send(Ok(())))),
            Err(error) if part.len() > 1 && tries < TRIES_MAX && is_of_one(&error) => {
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
            }
            Err(error) => {
                for asker in part {
                    drop(asker.answer.send(Err(Error::from_driver(&error, "access_log.record"))));
                }
            }
        }
    }
    lease.give_back();
}

/// Whether what the database refused can be in one record, and is not about all of them.
fn is_of_one(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code().get(..2), Some("22" | "23" | "P0")))
}
