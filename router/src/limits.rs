//! How much one caller may ask for, and what is said when it is more.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::future::{Either as EitherFuture, Ready, ready as at_once};
use futures::{FutureExt, TryFutureExt, future::MapOk};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Request, Response, Version, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::Service;
use residency_policy::{Entropy, Problem, ProblemKind};

use crate::respond;

/// The limits of a listener and of each request on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at once. One more is closed as soon as it is accepted.
    pub connections: usize,
    /// The longest TLS handshake.
    pub handshake: Duration,
    /// The longest time between the first byte of an HTTP/1.1 request and the end of its headers, and the longest
    /// wait for a next request.
    pub header_read: Duration,
    /// A connection without any request for this long is closed.
    pub idle: Duration,
    /// The most bytes in the names and values of all headers of a request.
    pub header_bytes: usize,
    /// The most bytes in a path with its query.
    pub uri_bytes: usize,
    /// The most bytes in a body.
    pub body_bytes: u64,
    /// The most HTTP/2 streams at once in a connection.
    pub streams: u32,
    /// How often an HTTP/2 connection is asked whether its other end is still there.
    pub ping: Duration,
    /// How long the answer to that may take.
    pub pong: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshake: Duration::from_secs(5),
            header_read: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            header_bytes: 16 << 10,
            uri_bytes: 4 << 10,
            body_bytes: 1 << 20,
            streams: 128,
            ping: Duration::from_secs(20),
            pong: Duration::from_secs(10),
        }
    }
}

/// Put among a request's extensions by the listener when the connection carried a request whose end is in doubt.
#[derive(Debug, Clone, Copy)]
pub struct EndInDoubt;

/// Why the head of a request already is too much, if it is.
pub fn over(parts: &Parts, limits: &Limits) -> Option<Problem> {
    if parts.extensions.get::<EndInDoubt>().is_some() {
        return Some(Problem::new(ProblemKind::Malformed).detail(
            "send each body with one Content-Length or with Transfer-Encoding: chunked, and end each line with CR LF",
        ));
    }
    // RFC 9112 section 3.2. HTTP/2 has its authority elsewhere.
    if parts.version == Version::HTTP_11 && parts.headers.get_all(HOST).iter().count() != 1 {
        return Some(Problem::new(ProblemKind::Malformed).field(
            "host",
            "count",
            "send exactly one Host header",
        ));
    }
    if parts.uri.path_and_query().map_or(0, |pq| pq.as_str().len()) > limits.uri_bytes {
        return Some(Problem::new(ProblemKind::UriTooLong));
    }
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > limits.header_bytes {
        return Some(Problem::new(ProblemKind::HeadersTooLarge));
    }
    length(&parts.headers, limits.body_bytes).err()
}

/// HTTP/2 carries the length as a header like any other, so it is read here with the same care.
fn length(headers: &HeaderMap, most: u64) -> Result<(), Problem> {
    let mut said = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = said.next() else { return Ok(()) };
    if said.next().is_some() {
        return Err(Problem::new(ProblemKind::Malformed).field("content-length", "count", "send it once"));
    }
    match length.to_str().ok().and_then(|length| length.parse::<u64>().ok()) {
        None => Err(Problem::new(ProblemKind::Malformed).field(
            "content-length",
            "number",
            "send a number of bytes",
        )),
        Some(length) if length > most => Err(Problem::new(ProblemKind::ContentTooLarge)),
        Some(_) => Ok(()),
    }
}

/// Says on HTTP/1.1 that the connection ends with this answer. The rest of a body that is not wanted, or bytes
/// whose meaning is in doubt, are then never read as a request.
pub(crate) fn close_after<B>(version: Version, response: &mut Response<B>) {
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Refuses what is over the limits before the service sees it. For nodes; the router does it as one of its stages.
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    pub(crate) service: S,
    pub(crate) limits: Limits,
    pub(crate) entropy: Arc<dyn Entropy>,
}

type Widened<F, B> = MapOk<F, fn(Response<B>) -> Response<Either<B, Full<Bytes>>>>;

impl<S, B> Service<Request<Incoming>> for Guarded<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<Either<B, Full<Bytes>>>;
    type Error = Infallible;
    type Future = EitherFuture<Ready<Result<Self::Response, Infallible>>, Widened<S::Future, B>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (parts, body) = request.into_parts();
        if let Some(problem) = over(&parts, &self.limits) {
            let id = respond::request_id(&parts.headers, &*self.entropy);
            tracing::info!(request_id = %id, problem = problem.kind().slug(), "a request was over the limits");
            let mut response = respond::problem(&problem, id).map(Either::Right);
            close_after(parts.version, &mut response);
            return at_once(Ok(response)).left_future();
        }
        let widen: fn(Response<B>) -> _ = |response| response.map(Either::Left);
        self.service.call(Request::from_parts(parts, body)).map_ok(widen).right_future()
    }
}

/// What became of a request's body on its way through. Shared by the body and by whoever waits for the answer.
#[derive(Debug, Default)]
pub struct Passage {
    over: AtomicBool,
    broken: AtomicBool,
    ended: AtomicBool,
}

impl Passage {
    /// The passage of a body that has nothing in it.
    pub(crate) fn of_no_body() -> Self {
        Self { ended: AtomicBool::new(true), ..Self::default() }
    }

    /// Whether the body turned out to be over the limit.
    pub fn was_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether the caller broke the body off.
    pub fn was_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Whether the whole body has come from the caller.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

pin_project_lite::pin_project! {
    /// A body that fails once it is longer than is accepted, so that whoever sends it on aborts.
    pub struct Capped<B> {
        #[pin]
        body: B,
        left: u64,
        passage: Arc<Passage>,
    }
}

/// Why a body stopped short.
#[derive(Debug, thiserror::Error)]
pub enum CutShort<E> {
    /// It is longer than is accepted.
    #[error("the body is larger than is accepted")]
    TooLarge,
    /// The caller broke it off.
    #[error("the body was broken off")]
    Broken(#[source] E),
}

impl<B: Body> Capped<B> {
    /// Lets `most` bytes of a body pass.
    pub fn new(body: B, most: u64) -> (Self, Arc<Passage>) {
        let passage = Arc::new(if body.is_end_stream() { Passage::of_no_body() } else { Passage::default() });
        (Self { body, left: most, passage: Arc::clone(&passage) }, passage)
    }
}

impl<B: Body> Body for Capped<B>
where
    B::Error: std::error::Error + 'static,
{
    type Data = B::Data;
    type Error = CutShort<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        match ready!(this.body.as_mut().poll_frame(cx)) {
            None => {
                this.passage.ended.store(true, Ordering::Release);
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                this.passage.broken.store(true, Ordering::Release);
                Poll::Ready(Some(Err(CutShort::Broken(error))))
            }
            Some(Ok(frame)) => {
                let here = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                let Some(left) = this.left.checked_sub(here) else {
                    this.passage.over.store(true, Ordering::Release);
                    return Poll::Ready(Some(Err(CutShort::TooLarge)));
                };
                *this.left = left;
                if this.body.is_end_stream() {
                    this.passage.ended.store(true, Ordering::Release);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn through(bytes: &'static str, most: u64) -> (bool, Arc<Passage>) {
        let (body, passage) = Capped::new(Full::new(Bytes::from_static(bytes.as_bytes())), most);
        (body.collect().await.is_ok(), passage)
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let (passed, passage) = through("12345", 5).await;
        assert!(passed && passage.has_ended() && !passage.was_over());
        let (passed, passage) = through("123456", 5).await;
        assert!(!passed && passage.was_over());
    }

    #[test]
    fn each_limit_names_its_own_problem() {
        let limits = Limits { uri_bytes: 20, header_bytes: 35, body_bytes: 5, ..Limits::default() };
        let kind = |uri: &str, name: &str, value: &str| {
            let request = Request::builder()
                .uri(uri)
                .header("host", "a")
                .header(name, value)
                .body(())
                .expect("a request");
            over(&request.into_parts().0, &limits).map(|problem| problem.kind())
        };
        assert_eq!(kind("/short", "accept", "x"), None);
        assert_eq!(kind("/much/longer/than/that", "accept", "x"), Some(ProblemKind::UriTooLong));
        assert_eq!(kind("/short", "accept", &"x".repeat(40)), Some(ProblemKind::HeadersTooLarge));
        assert_eq!(kind("/short", "content-length", "5"), None);
        assert_eq!(kind("/short", "content-length", "6"), Some(ProblemKind::ContentTooLarge));
        assert_eq!(kind("/short", "content-length", "x"), Some(ProblemKind::Malformed));
    }
}
