//! Statements on a connection, many in one round trip.
//!
//! The driver sends a statement when its future is first polled, and hands out answers in the order of sending. So
//! [`send`] polls each of many once, which sends all of them, and [`Sent::next`] waits for one after the other.
//!
//! The driver ends every statement with a Sync of its own, and the server answers each Sync with a TLS record and a
//! system call. A client of our own, which put many statements under one Sync, spared that and was given up: the
//! protocol is the driver's to speak. What is saved is saved in statements: the settings and the fence are one,
//! an attempt's lock and its look-up are one, what a transaction leaves behind is one, and many reads share one BEGIN.
//!
//! What must stay true:
//! - Statements travel together in one explicit transaction. In it a failed one fails all after it (SQLSTATE 25P02),
//!   COMMIT included: so the first failure in order is the one that counts, and nothing after it does.
//! - Parameters are encoded before anything is sent. One that the driver could not encode would stay behind alone,
//!   and COMMIT would go.
//! - An answer is complete when the server is ready again: what is in no transaction is committed then.
//! - An answer that nobody waits for any more is read past, by the driver.

use std::collections::VecDeque;
use std::error::Error;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use futures::future::{BoxFuture, MaybeDone, maybe_done};
use futures::{FutureExt as _, TryStreamExt as _};
use tokio_postgres::types::{BorrowToSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};

use crate::Row;

/// One statement's answer.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Its rows.
    pub(crate) rows: Vec<Row>,
    /// How many rows it changed, or found.
    pub(crate) changed: u64,
}

/// One statement alone.
pub(crate) async fn ask<P, I>(
    client: &Client,
    statement: &Statement,
    params: I,
) -> Result<Answered, tokio_postgres::Error>
where
    P: BorrowToSql,
    I: IntoIterator<Item = P>,
    I::IntoIter: ExactSizeIterator,
{
    let mut answer = pin!(client.query_raw(statement, params).await?);
    let mut rows = Vec::new();
    while let Some(row) = answer.try_next().await? {
        rows.push(Row(row));
    }
    Ok(Answered { rows, changed: answer.rows_affected().unwrap_or(0) })
}

/// The parameters of a statement as they travel: they were encoded when their owners still had them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Encoded(Arc<Values>);

struct Values {
    bytes: BytesMut,
    /// Where each is among the bytes; `None` is NULL.
    at: Vec<Option<Range<usize>>>,
}

impl Encoded {
    /// The parameters of a statement that takes these types; `None` when they are others.
    pub(crate) fn all(types: &[Type], params: &[&(dyn ToSql + Sync)]) -> Option<Self> {
        if params.len() != types.len() {
            return None;
        }
        let (mut bytes, mut at) =
            (BytesMut::with_capacity(32 * params.len()), Vec::with_capacity(params.len()));
        for (param, ty) in params.iter().zip(types) {
            let from = bytes.len();
            at.push(match param.to_sql_checked(ty, &mut bytes).ok()? {
                IsNull::Yes => None,
                IsNull::No => Some(from..bytes.len()),
            });
        }
        Some(Self(Arc::new(Values { bytes, at })))
    }

    /// Of a statement that takes none.
    pub(crate) fn none() -> Self {
        Self(Arc::new(Values { bytes: BytesMut::new(), at: Vec::new() }))
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = One<'_>> {
        self.0.at.iter().map(|at| One(at.as_ref().map(|at| &self.0.bytes[at.clone()])))
    }
}

/// One of them.
struct One<'a>(Option<&'a [u8]>);

impl ToSql for One<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(bytes) = self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The driver prints parameters when it is asked to say all it does.
impl std::fmt::Debug for One<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoded(…)")
    }
}

/// A statement and its parameters, ready to be sent.
pub(crate) struct Question {
    pub(crate) statement: Statement,
    pub(crate) params: Encoded,
}

/// Statements that were sent together, and whose answers are still to come.
pub(crate) struct Sent<'a>(VecDeque<MaybeDone<BoxFuture<'a, Result<Answered, tokio_postgres::Error>>>>);

/// Sends all of these, in their order, which must be within one transaction.
pub(crate) async fn send(client: &Client, questions: impl IntoIterator<Item = Question>) -> Sent<'_> {
    let asked = |Question { statement, params }| {
        maybe_done(async move { ask(client, &statement, params.iter()).await }.boxed())
    };
    let mut sent: VecDeque<_> = questions.into_iter().map(asked).collect();
    poll_fn(|cx| {
        for asked in &mut sent {
            let _ = asked.poll_unpin(cx);
        }
        Poll::Ready(())
    })
    .await;
    Sent(sent)
}

impl Sent<'_> {
    /// The next answer; `None` when all were given.
    pub(crate) async fn next(&mut self) -> Option<Result<Answered, tokio_postgres::Error>> {
        // It stays where it is until it is there: whoever gives up here loses no answer's place.
        self.0.front_mut()?.await;
        self.0.pop_front().as_mut().and_then(|asked| Pin::new(asked).take_output())
    }

    /// The last answer, whatever those before it are.
    pub(crate) async fn last(mut self) -> Option<Result<Answered, tokio_postgres::Error>> {
        self.0.drain(..self.0.len().saturating_sub(1));
        self.next().await
    }

    /// The answers up to the first failure, and that failure.
    pub(crate) async fn all(mut self) -> (Vec<Answered>, Option<tokio_postgres::Error>) {
        let mut answers = Vec::with_capacity(self.0.len());
        while let Some(answered) = self.next().await {
            match answered {
                Ok(answered) => answers.push(answered),
                Err(error) => return (answers, Some(error)),
            }
        }
        (answers, None)
    }
}
