//! From one process to the next: W3C Trace Context (level 1, section 3.2) in and out, and AWS X-Ray's header in.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use residency_policy::RequestId;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::TARGET;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const X_RAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// The span of one request at a server, beneath the caller's. Nothing, if nobody collects.
pub fn server_span(method: &Method, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = known(method),
        http.route = Empty,
        http.response.status_code = Empty,
        domicile.home = Empty,
        domicile.outcome = Empty,
        domicile.request_id = Empty,
    );
    if !span.is_disabled()
        && let Some(parent) = parent_of(headers)
    {
        // Fails only where nobody collects.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    span
}

/// How a request went.
#[derive(Debug, Clone, Copy)]
pub struct Went<'a> {
    /// The template of its path.
    pub route: &'a str,
    /// The status of its answer.
    pub status: u16,
    /// Its id, as in the log.
    pub id: RequestId,
    /// The home that it was for.
    pub home: &'static str,
    /// What became of it here.
    pub outcome: &'static str,
}

/// Writes into the present span how its request went.
pub fn ended(method: &Method, went: &Went<'_>) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    name(&span, method, went.route);
    span.record("http.route", went.route);
    span.record("http.response.status_code", went.status);
    span.record("domicile.request_id", tracing::field::display(went.id));
    span.record("domicile.home", went.home);
    span.record("domicile.outcome", went.outcome);
    if went.status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// Names a request's span by the template of its path, once that is known. A span that has begun takes a name from
/// OpenTelemetry's own interface only: the field `otel.name` is read when it begins and not again.
pub fn name(span: &Span, method: &Method, route: &str) {
    if !span.is_disabled() {
        span.context().span().update_name(format!("{} {route}", known(method)));
    }
}

/// Makes the present span the parent of what the next process does.
pub fn pass_on(headers: &mut HeaderMap) {
    headers.remove(TRACESTATE);
    headers.remove(BAGGAGE);
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    if !context.is_valid() {
        return;
    }
    headers.remove(X_RAY);
    let text = format!(
        "00-{:032x}-{:016x}-{:02x}",
        u128::from_be_bytes(context.trace_id().to_bytes()),
        u64::from_be_bytes(context.span_id().to_bytes()),
        context.trace_flags().to_u8() & TraceFlags::SAMPLED.to_u8()
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(TRACEPARENT, value);
    }
}

fn parent_of(headers: &HeaderMap) -> Option<SpanContext> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text(TRACEPARENT).and_then(w3c).or_else(|| text(X_RAY).and_then(x_ray))
}

/// `00-{trace id}-{span id}-{flags}`, lower-case hexadecimal.
fn w3c(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // A later version may have more parts; version ff is forbidden.
    let whole = version.len() == 2 && hex(version).is_some() && version != "ff";
    if !whole || (version == "00" && parts.next().is_some()) || flags.len() != 2 {
        return None;
    }
    context(trace, span, hex(flags)? & 1 == 1)
}

/// `Root=1-{8}-{24};Parent={16};Sampled=1`.
fn x_ray(text: &str) -> Option<SpanContext> {
    let (mut root, mut parent, mut sampled) = (None, None, false);
    for part in text.split(';') {
        match part.trim().split_once('=')? {
            ("Root", value) => root = Some(value),
            ("Parent", value) => parent = Some(value),
            ("Sampled", value) => sampled = value == "1",
            _ => {}
        }
    }
    let (time, rest) = root?.strip_prefix("1-")?.split_once('-')?;
    let whole = time.len() == 8 && rest.len() == 24;
    whole.then(|| context(&format!("{time}{rest}"), parent?, sampled)).flatten()
}

fn context(trace: &str, span: &str, sampled: bool) -> Option<SpanContext> {
    if trace.len() != 32 || span.len() != 16 {
        return None;
    }
    let trace = TraceId::from_bytes(hex(trace)?.to_be_bytes());
    let span = SpanId::from_bytes(u64::try_from(hex(span)?).ok()?.to_be_bytes());
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

fn hex(text: &str) -> Option<u128> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// A caller may invent methods; a span may not grow with them (OpenTelemetry's name for the others).
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn read(name: HeaderName, text: &str) -> Option<(String, String, bool)> {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(text).expect("a value"))]);
        parent_of(&headers).map(|c| (c.trace_id().to_string(), c.span_id().to_string(), c.is_sampled()))
    }

    #[test]
    fn a_right_traceparent_is_read_and_a_wrong_one_is_none() {
        let span = "00f067aa0ba902b7";
        let right = Some((TRACE.to_owned(), span.to_owned(), true));
        assert_eq!(read(TRACEPARENT, &format!("00-{TRACE}-{span}-01")), right);
        assert_eq!(read(TRACEPARENT, &format!("cc-{TRACE}-{span}-01-what-comes")), right);
        for wrong in [
            format!("00-{TRACE}-{span}-01-more"),
            format!("ff-{TRACE}-{span}-01"),
            format!("00-{}-{span}-01", TRACE.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{span}"),
            format!("00-+{}-{span}-01", &TRACE[1..]),
            String::new(),
        ] {
            assert_eq!(read(TRACEPARENT, &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_header_of_x_ray_is_the_same_trace() {
        let text = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let trace = "5759e988bd862e3fe1be46a994272793".to_owned();
        assert_eq!(read(X_RAY, text), Some((trace, "53995c3f42cd8ad8".to_owned(), true)));
        assert_eq!(read(X_RAY, "Root=1-5759e988-bd862e3fe1be46a994272793"), None, "nobody's child");
        assert_eq!(read(X_RAY, "Self=1;nothing"), None);
    }

    #[test]
    fn what_a_caller_wrote_freely_is_not_passed_on() {
        let text = |text| HeaderValue::from_static(text);
        let mut headers = HeaderMap::from_iter([(TRACESTATE, text("a=Ana")), (BAGGAGE, text("name=Ana"))]);
        pass_on(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }
}
