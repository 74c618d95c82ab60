//! A connection to Postgres on which many statements travel under one Sync.
//!
//! The driver ends every statement with a Sync of its own, and the server answers each Sync with a TLS record, a
//! system call and a wake-up of whoever listens. Of the server's time for a read in a batch of 32 (who asks, the fence,
//! the row, under row-level security) 40 microseconds that was 16, as measured on Postgres 15; a registration sends a
//! dozen statements. So what is on the hot path speaks the extended protocol itself, with `postgres-protocol` for its
//! messages. Connecting stays the driver's work ([`connect`]).
//!
//! Rejected: the simple protocol, which plans every statement anew and has values in its text; functions in the
//! database that do several statements in one, which would keep the SQL of one act in two places; and the driver on a
//! Unix socket without TLS, which is not what a region with a server of its own has.
//!
//! What must stay true:
//! - Nothing is believed before the server is ready again: what is not in a transaction of its own is committed by
//!   the Sync, after the last statement's answer.
//! - After an error the server skips everything up to the Sync. So must whoever reads the answers.
//! - An exchange that was given up half-way leaves its answers to be read, and the next one reads past them.

mod connect;
mod encoded;
mod fault;
mod shape;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, BytesMut};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::IsNull as Nullity;
use postgres_protocol::message::backend::{Message, RowDescriptionBody};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio_postgres::types::{IsNull, Oid, ToSql, Type};

use crate::Row;
use connect::Secured;

pub(crate) use connect::connect;
pub(crate) use encoded::Encoded;
pub(crate) use fault::Fault;
pub(crate) use shape::{Column, Shape, Shapes, Text};

/// How much is read at once, at least.
const READ: usize = 16 * 1024;
/// Everything travels in binary form.
const BINARY: [i16; 1] = [1];
/// The server is in no transaction.
const IDLE: u8 = b'I';

/// One connection.
pub(crate) struct Wire {
    // Gone when the connection is.
    stream: Option<Secured>,
    /// What is still to be written.
    out: BytesMut,
    /// What has come and was not looked at yet.
    came: BytesMut,
    /// What the server has still to answer, in its order.
    expected: VecDeque<Expected>,
    /// What it has answered of the present group.
    group: Exchanged,
    /// The statements that this connection knows, by their numbers.
    names: HashMap<Text, u32>,
    names_given: u32,
    /// Whether it is in a transaction, as the server last said.
    status: u8,
}

enum Expected {
    /// A statement: whether the server knows it already, and what it gives.
    Statement { text: Text, parsed: bool, columns: Arc<[Column]> },
    /// What a statement takes and gives.
    Description { text: Text, parsed: bool, params: Vec<Oid>, columns: Vec<Column> },
    /// The end of a group.
    Sync,
}

/// What became of the statements of one group.
#[derive(Debug, Default)]
pub(crate) struct Exchanged {
    /// What was answered, in order.
    pub(crate) answers: Vec<Answered>,
    /// Why no more was: of the statement after the last that is answered, or of the end, if all are.
    pub(crate) failed: Option<Fault>,
    /// Of the statement that is being answered.
    rows: Vec<Row>,
    shape: Option<Shape>,
}

/// One statement's answer.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Its rows.
    pub(crate) rows: Vec<Row>,
    /// How many rows it changed, or found.
    pub(crate) changed: u64,
}

impl Exchanged {
    /// Nothing was answered.
    pub(crate) fn none(why: Fault) -> Self {
        Self { failed: Some(why), ..Self::default() }
    }

    /// All answers, when nothing failed.
    pub(crate) fn all(self) -> Result<Vec<Answered>, Fault> {
        self.failed.map_or(Ok(self.answers), Err)
    }
}

impl Wire {
    fn over(stream: Secured) -> Self {
        let mut wire = Self::lost();
        wire.stream = Some(stream);
        wire
    }

    /// A connection that is none.
    pub(crate) fn lost() -> Self {
        Self {
            stream: None,
            out: BytesMut::new(),
            came: BytesMut::new(),
            expected: VecDeque::new(),
            group: Exchanged::default(),
            names: HashMap::new(),
            names_given: 0,
            status: IDLE,
        }
    }

    /// Whether it can be given to somebody else: it is there, owes no answer and is in no transaction.
    pub(crate) fn is_as_new(&self) -> bool {
        self.stream.is_some() && self.expected.is_empty() && self.out.is_empty() && self.status == IDLE
    }

    /// Whether an idle connection has been ended by the server meanwhile. Does not wait.
    pub(crate) async fn has_ended(&mut self) -> bool {
        let looked = poll_fn(|cx| Poll::Ready(self.poll_read(cx))).await;
        if matches!(looked, Poll::Ready(Err(_))) || self.came.first() == Some(&b'E') {
            self.stream = None;
        }
        self.stream.is_none()
    }

    /// Puts a statement on its way; it goes with the next exchange.
    pub(crate) fn put(
        &mut self,
        text: Text,
        shape: &Shape,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Fault> {
        if params.len() != shape.params.len() {
            return Err(Fault::Misuse);
        }
        let before = self.out.len();
        let parsed = self.names.contains_key(&text);
        let name = self.name(text);
        let put = (|| {
            if !parsed {
                frontend::parse(&name, text.0, shape.params.iter().map(Type::oid), &mut self.out)
                    .map_err(drop)?;
            }
            let values = params.iter().zip(shape.params.iter());
            let value = |(value, ty): (&&(dyn ToSql + Sync), &Type), out: &mut BytesMut| {
                Ok(match value.to_sql_checked(ty, out)? {
                    IsNull::No => Nullity::No,
                    IsNull::Yes => Nullity::Yes,
                })
            };
            frontend::bind("", &name, BINARY, values, value, BINARY, &mut self.out).map_err(drop)?;
            frontend::execute("", 0, &mut self.out).map_err(drop)
        })();
        if put.is_err() {
            self.out.truncate(before);
            if !parsed {
                self.names.remove(&text);
            }
            return Err(Fault::Misuse);
        }
        let columns = Arc::clone(&shape.columns);
        self.expected.push_back(Expected::Statement { text, parsed, columns });
        Ok(())
    }

    /// Sends what was put, and returns what became of it once the server is ready again.
    pub(crate) async fn exchange(&mut self) -> Result<Exchanged, Fault> {
        frontend::sync(&mut self.out);
        self.expected.push_back(Expected::Sync);
        loop {
            let group = self.group().await?;
            // An earlier one's, which nobody waited for.
            if self.expected.is_empty() {
                return Ok(group);
            }
        }
    }

    /// Asks what a statement takes and gives. Nothing may be put and not exchanged.
    pub(crate) async fn describe(&mut self, text: Text) -> Result<Shape, Fault> {
        let parsed = self.names.contains_key(&text);
        let name = self.name(text);
        if !parsed {
            frontend::parse(&name, text.0, [], &mut self.out)?;
        }
        frontend::describe(b'S', &name, &mut self.out)?;
        let (params, columns) = (Vec::new(), Vec::new());
        self.expected.push_back(Expected::Description { text, parsed, params, columns });
        let exchanged = self.exchange().await?;
        exchanged.failed.map_or(exchanged.shape.ok_or(Fault::Lost), Err)
    }

    /// Reads past what is still to be answered and ends the transaction, if there is one.
    pub(crate) async fn roll_back(&mut self) -> Result<(), Fault> {
        // Twice: the first is skipped when something before it in its group fails.
        for _ in 0..2 {
            if self.is_as_new() {
                break;
            }
            self.put(Text("ROLLBACK"), &Shape::nothing(), &[])?;
            self.exchange().await?;
        }
        if self.is_as_new() { Ok(()) } else { Err(Fault::Lost) }
    }

    /// The name under which the server knows a statement, or will.
    fn name(&mut self, text: Text) -> String {
        let given = &mut self.names_given;
        let number = *self.names.entry(text).or_insert_with(|| {
            *given += 1;
            *given
        });
        format!("s{number}")
    }

    /// The answers up to the next Sync.
    async fn group(&mut self) -> Result<Exchanged, Fault> {
        loop {
            match self.message().await {
                Ok(message) => {
                    if self.take(message)? {
                        return Ok(std::mem::take(&mut self.group));
                    }
                }
                // The server says why before it hangs up.
                Err(Fault::Lost) if self.group.failed.is_some() => {
                    self.expected.clear();
                    return Ok(std::mem::take(&mut self.group));
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Takes one message in, and says whether it ended a group.
    fn take(&mut self, message: Message) -> Result<bool, Fault> {
        match (message, self.expected.front_mut()) {
            (Message::ParameterStatus(_) | Message::NoticeResponse(_) | Message::BindComplete, _) => {}
            (
                Message::ParseComplete,
                Some(Expected::Statement { parsed, .. } | Expected::Description { parsed, .. }),
            ) => *parsed = true,
            (Message::DataRow(row), Some(Expected::Statement { columns, .. })) => {
                let row = Row::read(Arc::clone(columns), row.buffer_bytes().clone());
                let row = row.ok_or_else(|| self.end())?;
                self.group.rows.push(row);
            }
            (Message::CommandComplete(body), Some(Expected::Statement { .. })) => {
                // Such as `INSERT 0 1`, `SELECT 1` and `COMMIT`.
                let counted = |tag: &str| tag.rsplit(' ').next().and_then(|word| word.parse().ok());
                let changed = body.tag().ok().and_then(counted).unwrap_or(0);
                let rows = std::mem::take(&mut self.group.rows);
                self.group.answers.push(Answered { rows, changed });
                self.expected.pop_front();
            }
            (Message::ParameterDescription(body), Some(Expected::Description { params, .. })) => {
                *params = body.parameters().collect()?;
            }
            (Message::RowDescription(body), Some(Expected::Description { columns, .. })) => {
                *columns = read_columns(&body)?;
                self.described()?;
            }
            (Message::NoData, Some(Expected::Description { .. })) => self.described()?,
            (Message::ErrorResponse(body), _) => {
                self.group.failed = Some(Fault::said(&body));
                self.skip_to_sync();
            }
            (Message::ReadyForQuery(body), Some(Expected::Sync)) => {
                self.status = body.status();
                self.expected.pop_front();
                return Ok(true);
            }
            _ => return Err(self.end()),
        }
        Ok(false)
    }

    fn described(&mut self) -> Result<(), Fault> {
        let Some(Expected::Description { params, columns, .. }) = self.expected.pop_front() else {
            return Err(self.end());
        };
        let params: Option<Vec<Type>> = params.into_iter().map(Type::from_oid).collect();
        let params = params.ok_or(Fault::Misuse)?;
        self.group.shape = Some(Shape { params: params.into(), columns: columns.into() });
        Ok(())
    }

    /// The server answers nothing more of this group. What it did not come to parse it does not know.
    fn skip_to_sync(&mut self) {
        while let Some(Expected::Statement { text, parsed, .. } | Expected::Description { text, parsed, .. }) =
            self.expected.front()
        {
            if !parsed {
                self.names.remove(text);
            }
            self.expected.pop_front();
        }
    }

    async fn message(&mut self) -> Result<Message, Fault> {
        loop {
            match Message::parse(&mut self.came) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(_) => return Err(self.end()),
            }
            if poll_fn(|cx| self.poll_both(cx)).await.is_err() {
                return Err(self.end());
            }
        }
    }

    /// Nothing sensible can be expected of it any more.
    fn end(&mut self) -> Fault {
        self.stream = None;
        Fault::Lost
    }

    /// Writes and reads, whichever goes on: a server whose answers nobody takes would not take more questions.
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = self.stream.as_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        while !self.out.is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, &self.out)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => self.out.advance(written),
                Poll::Pending => break,
            }
        }
        // Cheap when nothing is held back, and what is must be asked for each time.
        let _ = Pin::new(stream).poll_flush(cx)?;
        self.poll_read(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = self.stream.as_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        self.came.reserve(READ);
        // It keeps nothing between polls.
        match pin!(stream.read_buf(&mut self.came)).poll(cx)? {
            Poll::Ready(0) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Says goodbye, if that needs no waiting: a server that is hung up on writes a line about it into its log.
impl Drop for Wire {
    fn drop(&mut self) {
        if self.is_as_new() {
            frontend::terminate(&mut self.out);
            let _ = self.poll_both(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wire({} to come)", self.expected.len())
    }
}

fn read_columns(body: &RowDescriptionBody) -> Result<Vec<Column>, Fault> {
    let columns = body.fields().map(|field| {
        let ty = Type::from_oid(field.type_oid()).unwrap_or(Type::UNKNOWN);
        Ok(Column { name: field.name().into(), ty })
    });
    Ok(columns.collect()?)
}
