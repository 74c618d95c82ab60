//! Accepts connections: TLS, limits, the peer's identity, drain.
//!
//! The accept loop is our own because every part of it is a promise: the handshake runs in the connection's own
//! task and within a time, the TLS configuration is asked for at each accept, the peer's certificate is known
//! before its first request is read, and a drain has a deadline. Routers and nodes listen with the same code.

use std::convert::Infallible;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::Service;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rates::ClientAddress;
use residency_policy::Entropy;
use rustls::ServerConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::connection::{BoxError, Http};
pub use crate::drain::{Drain, Drained};
use crate::limits::Guarded;
pub use crate::limits::Limits;
pub use crate::tls::{PublicTls, TlsError, TlsSource};

/// How long the loop rests when the process has no file descriptor left.
const BREATH: Duration = Duration::from_millis(100);
/// How long a caller who spoke no TLS has to take its answer, and how much of what it sent is read for that.
const GOODBYE: Duration = Duration::from_secs(1);
const GOODBYE_BYTES_MAX: u64 = 64 << 10;

/// Why nothing can be accepted there.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {at}: {source}; choose another address or end the process that has it")]
pub struct ListenError {
    at: SocketAddr,
    source: std::io::Error,
}

/// What a listener has counted.
#[derive(Debug, Default)]
pub struct Counters {
    open: Gauge,
    accepted: Counter,
    turned_away: Counter,
    handshakes_failed: Counter,
}

impl Counters {
    /// Connections that are open now.
    pub fn open(&self) -> i64 {
        self.open.get()
    }

    /// Connections closed at once because there were too many.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.get()
    }

    /// Connections that ended in their TLS handshake, or whose certificate was not accepted.
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.get()
    }

    /// Shows these on a page of metrics.
    pub fn register(&self, on: &mut Registry) {
        on.register("connections", "Connections open now", self.open.clone());
        on.register("connections_accepted", "Connections accepted", self.accepted.clone());
        on.register(
            "connections_turned_away",
            "Connections closed for being too many",
            self.turned_away.clone(),
        );
        on.register("handshakes_failed", "TLS handshakes that failed", self.handshakes_failed.clone());
    }
}

/// A bound socket, ready to serve.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    limits: Limits,
    counters: Arc<Counters>,
    follows_renewals: bool,
}

/// For listeners whose callers show no certificate.
///
/// # Errors
/// Never.
pub fn no_certificate(_: &ServerConnection) -> Result<(), Infallible> {
    Ok(())
}

impl Listener {
    /// Binds. Port 0 takes a free one.
    pub async fn bind(at: SocketAddr, limits: Limits) -> Result<Self, ListenError> {
        let socket = TcpListener::bind(at).await.map_err(|source| ListenError { at, source })?;
        Ok(Self::from_socket(socket, limits))
    }

    /// Takes a socket that is bound already.
    pub fn from_socket(socket: TcpListener, limits: Limits) -> Self {
        Self { socket, limits, counters: Arc::default(), follows_renewals: false }
    }

    /// Ends connections in good order, within [`Limits::idle`], once the certificates that they were made with were
    /// replaced: whose authority is no longer believed is then let in no more, however long it was connected.
    #[must_use]
    pub fn follow_renewals(self) -> Self {
        Self { follows_renewals: true, ..self }
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What this listener has counted, also after [`Listener::serve`] took it.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Serves until the drain begins. Requests over the limits are refused with a problem document before the
    /// service sees them.
    ///
    /// `peer` reads the connection after its handshake. What it gives is put among the extensions of every request
    /// of the connection; when it fails, the connection is closed unserved.
    pub async fn serve<S, B, P, E>(
        self,
        tls: TlsSource,
        peer: impl Fn(&ServerConnection) -> Result<P, E> + Send + Sync + 'static,
        service: S,
        entropy: Arc<dyn Entropy>,
        drain: Drain,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
        P: Clone + Send + Sync + 'static,
        E: Display + Send,
    {
        self.serve_staying(tls, peer, service, entropy, drain, |_| None).await;
    }

    /// The same, where some connections go on when nothing new is accepted any more, until another drain begins: a
    /// member must still hear its peers while it finishes what callers wait for.
    pub async fn serve_staying<S, B, P, E>(
        self,
        tls: TlsSource,
        peer: impl Fn(&ServerConnection) -> Result<P, E> + Send + Sync + 'static,
        service: S,
        entropy: Arc<dyn Entropy>,
        drain: Drain,
        stays: impl Fn(&P) -> Option<Drain> + Send + Sync + 'static,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
        P: Clone + Send + Sync + 'static,
        E: Display + Send,
    {
        let service = Guarded { service, limits: self.limits, entropy };
        self.serve_unguarded(tls, peer, service, drain, stays).await;
    }

    /// Serves without refusing what is over the limits: the service does that itself, as a stage of its own.
    pub(crate) async fn serve_unguarded<S, B, P, E>(
        self,
        tls: TlsSource,
        peer: impl Fn(&ServerConnection) -> Result<P, E> + Send + Sync + 'static,
        service: S,
        drain: Drain,
        stays: impl Fn(&P) -> Option<Drain> + Send + Sync + 'static,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
        P: Clone + Send + Sync + 'static,
        E: Display + Send,
    {
        let (limits, follows_renewals) = (self.limits, self.follows_renewals);
        let http = Arc::new(Http::new(&limits));
        let (peer, stays) = (Arc::new(peer), Arc::new(stays));
        self.accept(drain.clone(), move |tcp, from, open| {
            let (config, http, peer) = (tls(), Arc::clone(&http), Arc::clone(&peer));
            let stays = Arc::clone(&stays);
            let (acceptor, now) = (TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&tls));
            let outlived = move || follows_renewals && !Arc::ptr_eq(&config, &now());
            let (service, drain) = (service.clone(), drain.clone());
            async move {
                let handshake = acceptor.accept(tcp).into_fallible();
                let failed = || open.0.handshakes_failed.inc();
                let stream = match timeout(limits.handshake, handshake).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err((_, tcp))) => {
                        failed();
                        return say_goodbye(tcp).await;
                    }
                    Err(_) => {
                        failed();
                        return;
                    }
                };
                let tls = stream.get_ref().1;
                let speaks_h2 = tls.alpn_protocol() == Some(b"h2");
                let peer = match peer(tls) {
                    Ok(peer) => peer,
                    Err(error) => {
                        failed();
                        return tracing::warn!(%error, "a connection was refused for its certificate");
                    }
                };
                let stays = stays(&peer);
                let told_by = stays.clone().unwrap_or(drain);
                let serving = async move {
                    let _open = open;
                    http.serve((stream, from), speaks_h2, service, peer, &limits, &told_by, outlived).await;
                };
                match stays {
                    None => serving.await,
                    Some(drain) => drain.run(serving),
                }
            }
        })
        .await;
    }

    /// Serves without TLS, for a listener that only this machine can reach.
    pub(crate) async fn serve_plain<S, B>(self, service: S, drain: Drain)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let limits = self.limits;
        let http = Arc::new(Http::new(&limits));
        self.accept(drain.clone(), move |tcp, from, open| {
            let (http, service, drain) = (Arc::clone(&http), service.clone(), drain.clone());
            async move {
                let _open = open;
                http.serve((tcp, from), false, service, (), &limits, &drain, || false).await;
            }
        })
        .await;
    }

    async fn accept<F>(self, drain: Drain, connection: impl Fn(TcpStream, ClientAddress, Open) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.begun() => return,
                accepted = self.socket.accept() => accepted,
            };
            let (tcp, from) = match accepted {
                Ok((tcp, from)) => (tcp, ClientAddress(from.ip())),
                Err(error) => {
                    // A caller that went away again, or no descriptor left. The loop must outlive both.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let counters = Arc::clone(&self.counters);
            counters.accepted.inc();
            if usize::try_from(counters.open.inc()).is_ok_and(|open| open >= self.limits.connections) {
                counters.open.dec();
                counters.turned_away.inc();
                continue;
            }
            let open = Open(Arc::clone(&counters));
            // Answers are small and wait for nothing: Nagle's algorithm would only delay them.
            let _ = tcp.set_nodelay(true);
            drain.run(connection(tcp, from, open));
        }
    }
}

/// A connection that counts as open until this is dropped.
struct Open(Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

/// Ends a connection whose first bytes were no TLS: the end is sent, and what came is read, so that the caller
/// sees an orderly close and not a reset.
async fn say_goodbye(mut tcp: TcpStream) {
    let goodbye = async {
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp.take(GOODBYE_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // Whatever the caller does now, it was told.
    let _ = timeout(GOODBYE, goodbye).await;
}
