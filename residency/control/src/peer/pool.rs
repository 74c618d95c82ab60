//! Pooled HTTP/2 over mutual TLS.
//!
//! Each peer gets two connections: all streams of one connection share one TCP window, and a lost segment of one
//! large body must not hold up a heartbeat. A general-purpose client was rejected because it takes the host name
//! for the identity and keeps one connection for an authority.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response, Version, header};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use residency_policy::{NodeId, Region};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{PeerId, PeerKind, PeerTls};
use crate::Endpoint;

const CONNECTIONS: usize = 2;
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// After a failed connect, callers are told the same for this long instead of queueing up to try.
const FAILURE_HOLDS: Duration = Duration::from_millis(100);
/// How often a request that is held for a peer is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(50);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_WAIT: Duration = Duration::from_secs(5);
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;
type Connection = http2::Connection<TokioIo<TlsStream<TcpStream>>, Body, TokioExecutor>;
/// A few dozen at most: looking through them takes less than a hash of a name.
type Peers = Vec<Arc<Peer>>;

/// Who must be at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerExpect {
    /// Any node of this region.
    Region(Region),
    /// Exactly this member.
    Member(PeerKind, NodeId),
}

impl PeerExpect {
    /// Whether this peer is the one meant.
    pub fn is(&self, peer: &PeerId) -> bool {
        match *self {
            Self::Region(region) => peer.kind == PeerKind::Region(region),
            Self::Member(kind, node) => *peer == PeerId { kind, node },
        }
    }
}

/// Why a request to a peer has no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// No connection could be made.
    #[error("{to} cannot be reached: {why}")]
    Unreachable {
        /// Where the peer should be.
        to: Endpoint,
        /// Why not: of network or TLS, never of the request.
        why: Arc<str>,
    },
    /// Someone else answered there.
    #[error("{found} answered at {to}, which is not the peer expected")]
    WrongPeer {
        /// Where the peer should be.
        to: Endpoint,
        /// Who is there.
        found: PeerId,
    },
    /// The peer was ending, and did nothing of the request.
    #[error("{to} was ending and did not take the request")]
    TurnedAway {
        /// Where the peer is.
        to: Endpoint,
    },
    /// The connection broke after the request, or a part of it, was sent.
    #[error("the connection to {to} broke")]
    Broken {
        /// Where the peer is.
        to: Endpoint,
    },
}

impl PeerError {
    /// Whether it is certain that the peer did nothing of the request.
    pub fn not_sent(&self) -> bool {
        !matches!(self, Self::Broken { .. })
    }
}

/// Connections to peers. Cheap to clone.
#[derive(Clone)]
pub struct PeerPool {
    tls: PeerTls,
    peers: Arc<StdMutex<Peers>>,
}

struct Peer {
    to: Endpoint,
    expect: PeerExpect,
    /// The endpoint as a request names it; none where it makes no URI.
    authority: Option<Authority>,
    slots: [Mutex<Slot>; CONNECTIONS],
    turn: AtomicUsize,
    /// When it first could not be reached, while it has not been reached since.
    away: StdMutex<Option<Instant>>,
}

impl Peer {
    fn new(to: &Endpoint, expect: PeerExpect) -> Self {
        Self {
            to: to.clone(),
            expect,
            authority: Authority::try_from(to.to_string()).ok(),
            slots: Default::default(),
            turn: AtomicUsize::new(0),
            away: StdMutex::new(None),
        }
    }

    fn is_away(&self) {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// Lets go of a line whose connection has ended, so that what was queued on it comes back.
    async fn forget_ended(&self, turn: usize) {
        let mut slot = self.slots[turn].lock().await;
        if slot.line.as_ref().is_some_and(|line| line.sender.is_closed()) {
            slot.line = None;
        }
    }

    fn is_back(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it is worth waiting for: it went away only so lately, or is back meanwhile.
    fn may_be_back(&self, patience: Duration) -> bool {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        !patience.is_zero() && away.is_none_or(|since| since.elapsed() < patience)
    }
}

#[derive(Default)]
struct Slot {
    line: Option<Line>,
    failed: Option<(Instant, PeerError)>,
}

struct Line {
    sender: SendRequest<Body>,
    generation: u64,
}

impl Slot {
    /// The line, if it can still be used and was made with the present certificates.
    fn live(&self, generation: u64) -> Option<SendRequest<Body>> {
        let line = self.line.as_ref()?;
        (line.generation == generation && !line.sender.is_closed()).then(|| line.sender.clone())
    }
}

impl PeerPool {
    /// A pool that uses these certificates.
    pub fn new(tls: PeerTls) -> Self {
        Self { tls, peers: Arc::default() }
    }

    /// The certificates that it uses.
    pub fn tls(&self) -> &PeerTls {
        &self.tls
    }

    /// Sends a request and gives the response as soon as its head is there. The URI needs a path only.
    pub async fn send<B>(
        &self,
        to: &Endpoint,
        expect: PeerExpect,
        request: Request<B>,
    ) -> Result<Response<Incoming>, PeerError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.send_held(to, expect, request, Duration::ZERO).await
    }

    /// The same for a peer that may just be starting again: what was certainly not sent is held and tried again until
    /// the peer has been away for so long. Of one that is away for longer, everybody is told so at once.
    pub async fn send_held<B>(
        &self,
        to: &Endpoint,
        expect: PeerExpect,
        request: Request<B>,
        patience: Duration,
    ) -> Result<Response<Incoming>, PeerError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let peer = self.peer(to, expect);
        let mut unsent = Some(addressed(&peer, request)?);
        loop {
            match self.attempt(&peer, to, expect, &mut unsent).await {
                Err(PeerError::Unreachable { .. }) if unsent.is_some() && peer.may_be_back(patience) => {
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                answered => return answered,
            }
        }
    }

    /// Sends once. What was certainly not sent is there afterwards.
    async fn attempt(
        &self,
        peer: &Arc<Peer>,
        to: &Endpoint,
        expect: PeerExpect,
        unsent: &mut Option<Request<Body>>,
    ) -> Result<Response<Incoming>, PeerError> {
        // A pooled connection may have ended since. What was certainly not sent is sent once more.
        for _ in 0..=CONNECTIONS {
            let mut sender = self.sender(peer, to, expect).await?;
            if sender.ready().await.is_err() {
                continue;
            }
            let Some(request) = unsent.take() else { break };
            let sent = sender.try_send_request(request);
            // A request that is queued in the very moment in which its connection ends is given back only when nobody
            // can queue another: tokio's channel holds it until its last sender is gone.
            drop(sender);
            match sent.await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    Some(request) => *unsent = Some(request),
                    None if was_not_taken(&error.into_error()) => {
                        return Err(PeerError::TurnedAway { to: to.clone() });
                    }
                    None => return Err(PeerError::Broken { to: to.clone() }),
                },
            }
        }
        peer.is_away();
        Err(PeerError::Unreachable { to: to.clone(), why: "connections end as soon as they are made".into() })
    }

    fn peer(&self, to: &Endpoint, expect: PeerExpect) -> Arc<Peer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = peers.iter().find(|peer| peer.expect == expect && peer.to == *to) {
            return Arc::clone(known);
        }
        let new = Arc::new(Peer::new(to, expect));
        peers.push(Arc::clone(&new));
        new
    }

    async fn sender(
        &self,
        peer: &Arc<Peer>,
        to: &Endpoint,
        expect: PeerExpect,
    ) -> Result<SendRequest<Body>, PeerError> {
        let turn = peer.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let generation = self.tls.generation();
        let mut slot = peer.slots[turn].lock().await;
        if let Some(sender) = slot.live(generation) {
            return Ok(sender);
        }
        let error = match &slot.failed {
            Some((when, error)) if when.elapsed() < FAILURE_HOLDS => error.clone(),
            // Boxed, as it is rare and large: a request would carry the room for it along.
            Some(_) | None => match Box::pin(self.connect(to, expect)).await {
                Ok((sender, connection)) => {
                    let peer_of_line = Arc::clone(peer);
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection to a peer ended");
                        }
                        peer_of_line.forget_ended(turn).await;
                    });
                    // The old line's streams end in peace: without a sender nothing new is opened on its connection,
                    // which lasts until the last of them has ended.
                    peer.is_back();
                    *slot = Slot { line: Some(Line { sender: sender.clone(), generation }), failed: None };
                    return Ok(sender);
                }
                Err(error) => {
                    peer.is_away();
                    *slot = Slot { line: None, failed: Some((Instant::now(), error.clone())) };
                    error
                }
            },
        };
        drop(slot);
        // One connection that cannot be made is no reason to fail where another stands.
        let live = peer.slots.iter().find_map(|other| other.try_lock().ok()?.live(generation));
        live.ok_or(error)
    }

    async fn connect(
        &self,
        to: &Endpoint,
        expect: PeerExpect,
    ) -> Result<(SendRequest<Body>, Connection), PeerError> {
        let unreachable =
            |why: &dyn fmt::Display| PeerError::Unreachable { to: to.clone(), why: why.to_string().into() };
        let connected = tokio::time::timeout(CONNECT_WAIT, async {
            let tcp = TcpStream::connect((to.host.as_str(), to.port)).await.map_err(|e| unreachable(&e))?;
            tcp.set_nodelay(true).map_err(|e| unreachable(&e))?;
            // Only for SNI. Who answers is told by the certificate.
            let name = ServerName::try_from(to.host.as_str().to_owned()).map_err(|e| unreachable(&e))?;
            TlsConnector::from(self.tls.client_config()).connect(name, tcp).await.map_err(|e| unreachable(&e))
        });
        let tls = connected.await.map_err(|_| unreachable(&"no connection in time"))??;
        let found = PeerId::from_chain(tls.get_ref().1.peer_certificates()).map_err(|e| unreachable(&e))?;
        if !expect.is(&found) {
            return Err(PeerError::WrongPeer { to: to.clone(), found });
        }
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_WAIT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(|e| unreachable(&e))
    }
}

/// Whether the other end said that it did nothing of a request: it was opened after the end of the connection was
/// announced (RFC 9113 section 6.8), or refused as a stream (section 8.7). A connection that merely broke says neither.
fn was_not_taken(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let announced = cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR);
        let refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        cause.is_remote() && (announced || refused)
    })
}

/// The request as HTTP/2 wants it: an absolute URI, no `Host`, a boxed body.
fn addressed<B>(peer: &Peer, request: Request<B>) -> Result<Request<Body>, PeerError>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let wrong = || PeerError::Unreachable { to: peer.to.clone(), why: "the endpoint makes no URI".into() };
    let (mut head, body) = request.into_parts();
    let mut uri = head.uri.into_parts();
    uri.scheme = Some(Scheme::HTTPS);
    uri.authority = Some(peer.authority.clone().ok_or_else(wrong)?);
    if uri.path_and_query.is_none() {
        uri.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    head.uri = Uri::from_parts(uri).map_err(|_| wrong())?;
    head.version = Version::HTTP_2;
    head.headers.remove(header::HOST);
    Ok(Request::from_parts(head, UnsyncBoxBody::new(body.map_err(Into::into))))
}
