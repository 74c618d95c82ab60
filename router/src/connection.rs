//! One accepted connection: HTTP on it, what is known of its other end, and how it ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rates::ClientAddress;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Interval, interval_at};

use crate::drain::Drain;
use crate::framing::{InDoubt, Watched};
use crate::limits::{EndInDoubt, Limits};
use crate::when_woken::WhenWoken;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The parser's own bound on a request's head. Well above [`Limits::header_bytes`], so that what is only somewhat
/// too large is refused by us, with a problem document.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The parser's own bound on the number of headers. Its default of 100 would end requests that are within ours.
const HEADERS_MAX: usize = 256;

/// The two protocols, set up once per listener. ALPN has chosen before the first byte of HTTP, so nothing guesses
/// from the bytes, and a connection that never sends any is closed by the time limits.
pub(crate) struct Http {
    h1: Builder<TokioExecutor>,
    h2: Builder<TokioExecutor>,
}

impl Http {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut h1 = Builder::new(TokioExecutor::new()).http1_only();
        h1.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX.max(limits.header_bytes + limits.uri_bytes));
        let mut h2 = Builder::new(TokioExecutor::new()).http2_only();
        h2.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .keep_alive_interval(limits.ping)
            .keep_alive_timeout(limits.pong)
            // A caller that opens streams and resets them at once makes work without waiting for it
            // (CVE-2023-44487): after this many the connection is ended.
            .max_pending_accept_reset_streams(32)
            .max_local_error_reset_streams(64);
        Self { h1, h2 }
    }

    #[expect(clippy::too_many_arguments, reason = "what a connection is made of, said once")]
    pub(crate) async fn serve<T, S, B, P>(
        &self,
        (stream, from): (T, ClientAddress),
        speaks_h2: bool,
        service: S,
        peer: P,
        limits: &Limits,
        drain: &Drain,
        outlived: impl Fn() -> bool,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
        P: Clone + Send + Sync + 'static,
    {
        let in_doubt = InDoubt::default();
        let activity = Arc::new(Activity::default());
        let service =
            Attach { service, from, peer, in_doubt: in_doubt.clone(), activity: Arc::clone(&activity) };
        if speaks_h2 {
            let connection = self.h2.serve_connection(TokioIo::new(stream), service);
            drive(connection, &activity, limits.idle, drain, outlived).await;
        } else {
            let watched = Watched::new(stream, in_doubt);
            let connection = self.h1.serve_connection(TokioIo::new(watched), service);
            drive(connection, &activity, limits.idle, drain, outlived).await;
        }
    }
}

/// Runs a connection to its end: told once when it should finish, which is at the drain, when it was idle, or when
/// its certificates are others by now; dropped when it then stays idle all the same.
async fn drive<I, S, B>(
    connection: hyper_util::server::conn::auto::Connection<'_, I, S, TokioExecutor>,
    activity: &Activity,
    idle: Duration,
    drain: &Drain,
    outlived: impl Fn() -> bool,
) where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    tokio::pin!(connection);
    let mut turn = WhenWoken::new(next_turn(drain, interval_at(Instant::now() + idle, idle), false));
    let mut told = false;
    let mut seen = 0;
    loop {
        let (begun, tick) = tokio::select! {
            biased;
            // A connection's error is its caller's: broken off, timed out, or not HTTP. The limits count them.
            _ = connection.as_mut() => return,
            turn = &mut turn => turn,
        };
        let idle = !begun && activity.idle_since(&mut seen);
        if idle && told {
            return;
        }
        if !told && (begun || idle || outlived()) {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        turn = WhenWoken::new(next_turn(drain, tick, told));
    }
}

/// Waits for the next time at which there is something to see to besides the connection itself, and says whether that
/// is the drain. Whoever was told to finish hears of it no more.
async fn next_turn(drain: &Drain, mut tick: Interval, told: bool) -> (bool, Interval) {
    let begun = tokio::select! {
        () = drain.begun(), if !told => true,
        _ = tick.tick() => false,
    };
    (begun, tick)
}

/// What a connection is doing.
#[derive(Default)]
struct Activity {
    in_flight: AtomicUsize,
    begun: AtomicU64,
}

impl Activity {
    /// Whether nothing is in flight and nothing was begun since the last time this was asked.
    fn idle_since(&self, seen: &mut u64) -> bool {
        let begun = self.begun.load(Ordering::Acquire);
        std::mem::replace(seen, begun) == begun && self.in_flight.load(Ordering::Acquire) == 0
    }
}

/// A request that counts as in flight until this is dropped.
struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Release);
    }
}

/// Puts what is known of the connection among a request's extensions.
struct Attach<S, P> {
    service: S,
    from: ClientAddress,
    peer: P,
    in_doubt: InDoubt,
    activity: Arc<Activity>,
}

impl<S, B, P> Service<Request<Incoming>> for Attach<S, P>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    P: Clone + Send + Sync + 'static,
{
    type Response = Response<Held<B>>;
    type Error = Infallible;
    type Future = Serving<S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.from);
        // An extension costs an allocation: nothing is inserted where there is nothing to know.
        if size_of::<P>() > 0 {
            request.extensions_mut().insert(self.peer.clone());
        }
        if self.in_doubt.is_set() {
            request.extensions_mut().insert(EndInDoubt);
        }
        self.activity.begun.fetch_add(1, Ordering::Release);
        self.activity.in_flight.fetch_add(1, Ordering::Release);
        Serving { future: self.service.call(request), held: Some(InFlight(Arc::clone(&self.activity))) }
    }
}

pin_project_lite::pin_project! {
    /// Waits for the answer.
    struct Serving<F> {
        #[pin]
        future: F,
        held: Option<InFlight>,
    }
}

impl<F: Future<Output = Result<Response<B>, Infallible>>, B> Future for Serving<F> {
    type Output = Result<Response<Held<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.future.poll(cx));
        let held = this.held.take();
        Poll::Ready(Ok(response.map(|body| Held { body, held })))
    }
}

pin_project_lite::pin_project! {
    /// A body that keeps its request in flight until it is sent.
    struct Held<B> {
        #[pin]
        body: B,
        held: Option<InFlight>,
    }
}

impl<B: Body> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
