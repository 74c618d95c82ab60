//! The light client of benchmarks: HTTP/2 with many requests in flight on few connections.
//!
//! Client, servers and database share the machine, so what the client costs is taken from what is measured. This one
//! writes its header blocks by hand, with what is the same for all requests in the compression's table, and looks of
//! an answer at the status and the end only. It keeps so many requests in flight (a closed loop), or sends on a
//! schedule and counts the time from when a request was due (an open loop).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::future::try_join_all;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::drive::{Driven, Driver};
use super::header_blocks::{is_good, request};
use crate::client::Address;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// What a server that has not said anything takes at once (RFC 9113 section 6.5.2 recommends no less).
const STREAMS: usize = 100;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// What a server may send before it hears more of us. Raised again when half of it is used up.
const WINDOW: u32 = 1 << 30;

/// What is the same for all requests of a client.
#[derive(Clone)]
pub struct Caller {
    /// Where.
    pub at: Address,
    /// Whom to trust. The protocol is chosen here.
    pub tls: Arc<ClientConfig>,
    /// The API key.
    pub api_key: String,
    /// Whether requests have a body.
    pub posts: bool,
    /// Whether these are gRPC's calls, which have other headers and no key. Good is one that is answered with a message.
    pub grpc: Option<Grpc>,
}

/// How gRPC's calls travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grpc {
    /// Over TLS.
    Tls,
    /// Over TCP.
    Plain,
}

/// What a connection is made of.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// One request.
#[derive(Debug, Clone)]
pub struct Question {
    /// The path and query.
    pub path: String,
    /// The idempotency key of a request with a body.
    pub key: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// How requests follow each other.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many are in flight on every connection at all times.
    Closed(usize),
    /// So many a second on every connection, whether the answers come or not.
    Open(f64),
}

/// Open connections, which stay open between the turns.
pub struct Streams {
    caller: Caller,
    connections: usize,
    open: Vec<Session>,
}

impl Streams {
    /// Opens connections.
    pub fn open(driver: &Driver, caller: Caller, connections: usize) -> anyhow::Result<Self> {
        let mut streams = Self { caller, connections, open: Vec::new() };
        streams.open_missing(driver)?;
        Ok(streams)
    }

    /// A turn that failed has lost connections.
    fn open_missing(&mut self, driver: &Driver) -> anyhow::Result<()> {
        let missing = self.connections.saturating_sub(self.open.len());
        let opened = try_join_all((0..missing).map(|_| Session::open(&self.caller)));
        self.open.extend(driver.runtime().block_on(opened).with_context(|| format!("{:?}", self.caller.at))?);
        Ok(())
    }

    /// One turn. `question` gets the number of the connection and of the request on it.
    pub fn turn<F>(
        &mut self,
        driver: &Driver,
        turn: Duration,
        pace: Pace,
        question: F,
    ) -> anyhow::Result<Driven>
    where
        F: Fn(usize, u64) -> Question + Send + Sync + 'static,
    {
        self.open_missing(driver)?;
        let question = Arc::new(question);
        let sessions = std::mem::take(&mut self.open).into_iter().enumerate();
        let turns: Vec<_> = sessions
            .map(|(number, mut session)| {
                let question = Arc::clone(&question);
                driver.runtime().spawn(async move {
                    let done = session.turn(turn, pace, |sent| question(number, sent)).await;
                    done.map(|done| (session, done))
                })
            })
            .collect();
        let mut came = Driven::new()?;
        let ended = driver.runtime().block_on(try_join_all(turns)).context("a client stopped")?;
        for done in ended {
            let (session, part) = done?;
            came.add(&part)?;
            self.open.push(session);
        }
        Ok(came)
    }

    /// Where it speaks to.
    pub fn at(&self) -> &Address {
        &self.caller.at
    }
}

/// One connection.
struct Session {
    stream: Box<dyn Wire>,
    caller: Caller,
    out: BytesMut,
    came: BytesMut,
    /// The next stream. The header table is filled by the first.
    next: u32,
    /// What may still be sent, as the server counts it.
    window: i64,
    /// What came since the server was last told that it may send more.
    taken: u32,
    /// How many requests the server takes at once (RFC 9113 section 5.1.2).
    streams: usize,
    flying: Vec<Flying>,
}

struct Flying {
    stream: u32,
    since: Instant,
    good: bool,
    /// Whether a part of the body came.
    full: bool,
}

impl Session {
    async fn open(caller: &Caller) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect((caller.at.host.as_str(), caller.at.port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Wire> =
            if caller.grpc == Some(Grpc::Plain) { Box::new(tcp) } else { Box::new(secure(caller, tcp).await?) };
        let mut out = BytesMut::from(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]);
        // No push, and windows that no answer fills. A status that is not in the static table could only be told
        // with the whole of the server's table, so where such are expected it has none.
        let table = if caller.posts { 0 } else { 4_096 };
        let settings = [(2_u16, 0_u32), (4, WINDOW), (1, table)];
        frame(&mut out, SETTINGS, 0, 0, 6 * settings.len());
        for (name, value) in settings {
            out.put_u16(name);
            out.put_u32(value);
        }
        frame(&mut out, WINDOW_UPDATE, 0, 0, 4);
        out.put_u32(WINDOW);
        Ok(Self {
            stream,
            caller: caller.clone(),
            out,
            came: BytesMut::new(),
            next: 1,
            window: 65_535,
            taken: 0,
            streams: STREAMS,
            flying: Vec::new(),
        })
    }

    async fn turn(
        &mut self,
        turn: Duration,
        pace: Pace,
        question: impl Fn(u64) -> Question,
    ) -> anyhow::Result<Driven> {
        let mut driven = Driven::new()?;
        let (start, mut sent) = (Instant::now(), 0);
        loop {
            let now = Instant::now();
            let over = now.duration_since(start) >= turn;
            if over && self.flying.is_empty() {
                break;
            }
            let due = |sent: u64| match pace {
                Pace::Closed(_) => now,
                Pace::Open(rate) => start + Duration::from_secs_f64(super::drive::precise(sent) / rate),
            };
            let room = match pace {
                Pace::Closed(most) => most,
                // What is due and finds no place waits for one, and its time runs.
                Pace::Open(_) => self.streams,
            };
            let mut room_for_bodies = true;
            while !over && self.flying.len() < room && due(sent) <= now {
                let asked = question(sent);
                // A body that the server has no room for now waits for its word.
                room_for_bodies = self.window >= i64::try_from(asked.body.len()).unwrap_or(i64::MAX);
                if !room_for_bodies {
                    break;
                }
                self.ask(&asked, due(sent));
                sent += 1;
            }
            if !self.out.is_empty() {
                self.stream.write_all_buf(&mut self.out).await?;
                self.stream.flush().await?;
            }
            // Where nothing may be sent, only the server's word helps.
            let waits = over || self.flying.len() >= room || !room_for_bodies;
            let until =
                if waits { now + Duration::from_secs(30) } else { next_due(pace, due(sent), start + turn) };
            self.hear(until).await?;
            self.take(&mut driven)?;
        }
        driven.took = start.elapsed();
        Ok(driven)
    }

    /// Waits for something to come, or until then.
    async fn hear(&mut self, until: Instant) -> anyhow::Result<()> {
        self.came.reserve(16 * 1024);
        if self.flying.is_empty() && until <= Instant::now() {
            return Ok(());
        }
        match tokio::time::timeout_at(until.into(), self.stream.read_buf(&mut self.came)).await {
            Ok(Ok(0)) => bail!("the server closed the connection"),
            Ok(read) => {
                read?;
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    fn ask(&mut self, asked: &Question, since: Instant) {
        let block = request(&self.caller, asked, self.next == 1);
        let end = if asked.body.is_empty() { END_STREAM } else { 0 };
        frame(&mut self.out, HEADERS, END_HEADERS | end, self.next, block.len());
        self.out.extend_from_slice(&block);
        if !asked.body.is_empty() {
            frame(&mut self.out, DATA, END_STREAM, self.next, asked.body.len());
            self.out.extend_from_slice(&asked.body);
            self.window -= i64::try_from(asked.body.len()).unwrap_or(0);
        }
        self.flying.push(Flying { stream: self.next, since, good: false, full: false });
        self.next += 2;
    }

    /// Takes in whole frames.
    fn take(&mut self, driven: &mut Driven) -> anyhow::Result<()> {
        while self.came.len() >= 9 {
            let length =
                usize::from(self.came[0]) << 16 | usize::from(self.came[1]) << 8 | usize::from(self.came[2]);
            if self.came.len() < 9 + length {
                break;
            }
            let (kind, flags) = (self.came[3], self.came[4]);
            let stream = u32::from_be_bytes([self.came[5] & 0x7f, self.came[6], self.came[7], self.came[8]]);
            let mut frame = self.came.split_to(9 + length);
            frame.advance(9);
            match kind {
                HEADERS => {
                    let good = is_good(&frame);
                    if let Some(flying) = self.flying.iter_mut().find(|flying| flying.stream == stream) {
                        // What comes after the body has no status.
                        flying.good |= good;
                    }
                }
                DATA => {
                    self.taken += u32::try_from(length).unwrap_or(0);
                    if let Some(flying) = self.flying.iter_mut().find(|flying| flying.stream == stream) {
                        flying.full = true;
                    }
                    if self.taken > WINDOW / 2 {
                        self::frame(&mut self.out, WINDOW_UPDATE, 0, 0, 4);
                        self.out.put_u32(self.taken);
                        self.taken = 0;
                    }
                }
                SETTINGS if flags & ACK == 0 => {
                    self.streams = streams_of(&frame).unwrap_or(self.streams);
                    self::frame(&mut self.out, SETTINGS, ACK, 0, 0);
                }
                PING if flags & ACK == 0 => {
                    self::frame(&mut self.out, PING, ACK, 0, length);
                    self.out.extend_from_slice(&frame);
                }
                WINDOW_UPDATE if stream == 0 && length == 4 => self.window += i64::from(frame.get_u32()),
                GOAWAY => bail!("the server ends the connection"),
                _ => {}
            }
            let ends = matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
            if ends || kind == RESET {
                self.land(stream, kind != RESET, driven);
            }
        }
        Ok(())
    }

    fn land(&mut self, stream: u32, whole: bool, driven: &mut Driven) {
        let Some(at) = self.flying.iter().position(|flying| flying.stream == stream) else { return };
        let Flying { since, good, full, .. } = self.flying.swap_remove(at);
        let good = good && whole && (full || self.caller.grpc.is_none());
        driven.count(good, since.elapsed());
    }
}

async fn secure(caller: &Caller, tcp: TcpStream) -> anyhow::Result<impl Wire + use<>> {
    let mut tls = ClientConfig::clone(&caller.tls);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(caller.at.host.clone())?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await?;
    ensure!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), "the server does not speak HTTP/2");
    Ok(stream)
}

/// How many streams a frame of settings allows at once, if it says so.
fn streams_of(settings: &[u8]) -> Option<usize> {
    let (settings, _) = settings.as_chunks::<6>();
    let said = settings.iter().rfind(|setting| setting[..2] == [0, 3])?;
    usize::try_from(u32::from_be_bytes([said[2], said[3], said[4], said[5]])).ok()
}

fn next_due(pace: Pace, due: Instant, end: Instant) -> Instant {
    match pace {
        Pace::Closed(_) => end + Duration::from_secs(30),
        Pace::Open(_) => due.min(end),
    }
}

fn frame(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, length: usize) {
    let length = u32::try_from(length).unwrap_or(0).to_be_bytes();
    out.put_slice(&length[1..]);
    out.put_u8(kind);
    out.put_u8(flags);
    out.put_u32(stream);
}
