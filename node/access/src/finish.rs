//! Around every request: its id, its log line, its numbers, and the last look at its answer.

use std::any::Any;
use std::convert::Infallible;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use node_policy::RefusalReason;
use rates::{ClientAddress, Standing, Turn, too_many};
use residency_policy::{Problem, ProblemKind, RequestId, wire};
use tower::Service;
use tower::layer::layer_fn;

use crate::admit::Admitted;
use crate::{Credential, Disclosable, Here, Refused, Via, headers, metrics};

/// Tells a router that the request was not begun with, so that it holds others of the same caller back.
const SHED: HeaderName = HeaderName::from_static(wire::SHED);

/// What extractors leave for the end of the request.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Left>);

#[derive(Default)]
pub(crate) struct Left {
    /// Who asked, for the log.
    pub(crate) caller: OnceLock<Credential>,
    /// The version of the policies that decided; 0 for the set that comes with the program.
    pub(crate) policies: OnceLock<u64>,
    /// What is left of the caller's quota, to be said.
    pub(crate) standing: OnceLock<Standing>,
    /// The room that the request takes until it is answered.
    pub(crate) admitted: OnceLock<Admitted>,
    /// When its body had come.
    pub(crate) whole: OnceLock<Instant>,
}

impl Deref for Known {
    type Target = Left;

    fn deref(&self) -> &Left {
        &self.0
    }
}

/// Puts the whole frame around a router. It is one layer: axum puts each around every route, and copies all of them, in
/// boxes of their own, for each request.
pub fn around(router: axum::Router<Here>, here: &Here) -> axum::Router<Here> {
    let here = here.clone();
    router.layer(layer_fn(move |service| Finished { service, here: here.clone() }))
}

/// A route within the frame.
#[derive(Clone)]
struct Finished<S> {
    service: S,
    here: Here,
}

impl<S> Service<Request> for Finished<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that was asked whether it is ready is the one that is called.
        let next = self.service.clone();
        let service = std::mem::replace(&mut self.service, next);
        Box::pin(finish(self.here.clone(), request, service).map(Ok))
    }
}

async fn finish<S>(here: Here, mut request: Request, mut service: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let started = Instant::now();
    let in_flight = here.metrics.started();
    let id = request_id(&here, &request);
    let known = Known::default();
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(known.clone());
    let method = request.method().clone();
    // The template, such as `/v1/patients/{id}`. The path itself has a patient in it.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);

    let mut response = match counted(&here, &request, &known) {
        // What was in hand when it panicked is not looked at again.
        Ok(turn) => {
            let answer = AssertUnwindSafe(async { service.call(request).await }).catch_unwind();
            let answer = in_time(&here, answer.map(answered)).await;
            drop(turn);
            answer
        }
        Err(problem) => Refused::from(problem).into_response(),
    };
    if let Some(refused) = refusal(&mut response) {
        if let Some(cause) = refused.cause() {
            tracing::error!(request_id = %id, route, cause, "a request failed on this side");
        }
        if refused.problem().reason_code() == Some(RefusalReason::ObligationUnmet.as_str()) {
            here.metrics.obligation_unmet();
        }
        // What was let in may be refused for being too much later, by something that it needs.
        let shed = refused.problem().kind() == ProblemKind::Overloaded && known.admitted.get().is_none();
        response = refused.render(id);
        if shed {
            response.headers_mut().insert(SHED, HeaderValue::from_static("1"));
        }
    }
    headers::complete(response.headers_mut());
    if let Some(standing) = known.standing.get() {
        standing.tell(response.headers_mut());
    }
    response.headers_mut().insert(HeaderName::from_static(wire::REQUEST_ID), id_value(id));

    if let Some(admitted) = known.admitted.get().filter(|_| response.status().is_success()) {
        admitted.done(known.whole.get().copied());
    }
    let status = response.status().as_u16();
    let taken = started.elapsed();
    here.metrics.answered(&method, route, status, taken.as_secs_f64());
    drop(in_flight);
    // The span of the listener, which names it, when traces are collected.
    let span = tracing::Span::current();
    span.record("http.route", route);
    span.record("http.response.status_code", status);
    span.record("domicile.request_id", tracing::field::display(id));
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
    let caller = known.caller.get();
    tracing::info!(
        request_id = %id,
        method = metrics::bounded(&method),
        route,
        status,
        micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX),
        // An organisation is no person. Who of it asked is a token: the id is in the access log.
        org_id = caller.map(|c| tracing::field::display(c.org)),
        credential = caller.map(|c| tracing::field::display(here.log_token(c.key))),
        policies = known.policies.get(),
        "answered"
    );
    response
}

/// Counts a request of an address that came here directly; a router has counted those that it forwards. Of sign-ins, wherever
/// they came in, one address has only so many at work here at once.
fn counted(here: &Here, request: &Request, known: &Left) -> Result<Option<Turn>, Problem> {
    let (about, path) = (request.extensions(), request.uri().path());
    let Some(from) = about.get::<ClientAddress>() else { return Ok(None) };
    if about.get::<Via>().is_none() {
        here.rates.address(from.0, path).map_err(|over| {
            let _ = known.standing.set(over);
            too_many(&over)
        })?;
    }
    here.rates.turn(from.0, path)
}

/// The answer of a route.
fn answered(answer: Result<Result<Response, Infallible>, Box<dyn Any + Send>>) -> Response {
    match answer {
        Ok(Ok(response)) => response,
        // What was thrown may hold anything, so it is not looked at.
        Err(_panic) => Refused::internal("a handler panicked").into_response(),
    }
}

/// Ends a request that takes too long. What it was doing is dropped, and a transaction that is dropped is rolled back.
/// If it was committing just then, it is unknown whether the change was made, as when a connection is lost: nothing was
/// acknowledged, and the idempotency key makes trying again safe.
async fn in_time(here: &Here, answer: impl Future<Output = Response>) -> Response {
    tokio::time::timeout(here.limits.request_time_max, answer)
        .await
        .unwrap_or_else(|_| Refused::from(TookTooLong).into_response())
}

struct TookTooLong;

impl Disclosable for TookTooLong {
    fn problem(&self) -> Problem {
        Problem::new(ProblemKind::RegionUnavailable).retry_after(2)
    }

    fn cause(&self) -> Option<String> {
        Some("it took too long and was ended".to_owned())
    }
}

/// A caller's own id is kept when it is one, so that both logs can be read side by side.
fn request_id(here: &Here, request: &Request) -> RequestId {
    request
        .headers()
        .get(wire::REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| RequestId::random(&*here.entropy))
}

fn id_value(id: RequestId) -> HeaderValue {
    // A hyphenated UUID is always a header value.
    HeaderValue::from_str(&id.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The refusal in an answer. An error that the web framework made by itself is one too.
fn refusal(response: &mut Response) -> Option<Refused> {
    if let Some(refused) = response.extensions_mut().remove::<Refused>() {
        return Some(refused);
    }
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    // Readiness answers 503 with a document of its own.
    let ours = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
    (failed && !ours).then(|| Refused::of_status(status, response.headers()))
}
