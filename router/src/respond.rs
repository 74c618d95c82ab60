//! Renders refusals as `application/problem+json` (RFC 9457), and gives every answer the headers it must have.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{Either, Full};
use residency_policy::{Entropy, Problem, ProblemKind, RequestId, wire};

use crate::passing::Answer;

/// The media type of a problem document.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"domicile\"");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const REQUEST_ID: HeaderName = HeaderName::from_static(wire::REQUEST_ID);

/// [`wire::ANSWER_HEADERS`], parsed once.
static ANSWER_HEADERS: LazyLock<[(HeaderName, HeaderValue); wire::ANSWER_HEADERS.len()]> =
    LazyLock::new(|| {
        wire::ANSWER_HEADERS
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
    });

/// The answer that refuses.
pub fn problem(problem: &Problem, request: RequestId) -> Response<Full<Bytes>> {
    // A problem document is made of constants and ids: there is nothing in it that JSON could not hold.
    let body = serde_json::to_vec(&problem.document(request)).unwrap_or_default();
    let length = body.len();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let status = StatusCode::from_u16(problem.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    // Said here and not left to the encoder, which would put it elsewhere than where a node's answer has it.
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(seconds) = problem.retry_after_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.kind() == ProblemKind::MethodNotAllowed {
        headers.insert(ALLOW, METHODS);
    }
    settle(status, headers, request);
    response
}

/// The answer that sends the caller to the home itself (RFC 9110 section 15.4.8: method and body stay).
pub fn redirect(to: HeaderValue, request: RequestId) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(LOCATION, to);
    settle(StatusCode::TEMPORARY_REDIRECT, response.headers_mut(), request);
    response
}

/// Gives an answer, the router's own or a node's, the headers that every answer has.
///
/// A refusal by the router and the same refusal by a node must look the same, or a caller could tell an id that
/// is not there from one that may not be seen; so a refusal's headers are put into one order as well.
pub fn settle(status: StatusCode, headers: &mut HeaderMap, request: RequestId) {
    headers.reserve(ANSWER_HEADERS.len() + 2);
    for (name, value) in &*ANSWER_HEADERS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, BEARER);
    }
    headers.insert(REQUEST_ID, id_value(request));
    if status.is_client_error() || status.is_server_error() {
        in_order(headers);
    }
}

fn in_order(headers: &mut HeaderMap) {
    let mut ordered = HeaderMap::with_capacity(headers.len());
    let first = [
        CONTENT_TYPE,
        REQUEST_ID,
        CACHE_CONTROL,
        RETRY_AFTER,
        WWW_AUTHENTICATE,
        STRICT_TRANSPORT_SECURITY,
        CONTENT_LENGTH,
    ];
    for name in first.iter().chain(ANSWER_HEADERS.iter().map(|(name, _)| name)) {
        if let Some(value) = headers.remove(name) {
            ordered.insert(name.clone(), value);
        }
    }
    ordered.extend(std::mem::take(headers));
    *headers = ordered;
}

fn id_value(request: RequestId) -> HeaderValue {
    let mut text = [0; 36];
    // A hyphenated UUID is always a header value.
    HeaderValue::from_str(request.uuid().hyphenated().encode_lower(&mut text))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The caller's request id when it is one, otherwise a new one.
pub fn request_id(headers: &HeaderMap, entropy: &dyn Entropy) -> RequestId {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or_else(|| RequestId::random(entropy))
}

/// Puts the request id among the headers that go to a home.
pub(crate) fn carry_id(headers: &mut HeaderMap, request: RequestId) {
    let mut value = id_value(request);
    // No other request has it, so there is nothing to gain from HPACK's table of headers (RFC 7541 section 7.1.3).
    value.set_sensitive(true);
    headers.insert(REQUEST_ID, value);
}

/// An answer to HEAD says how long its body would be and has none (RFC 9110 section 9.3.2). HTTP/1.1's encoder
/// sees to that itself.
pub(crate) fn without_body(response: &mut Response<Answer>) {
    if let Either::Left(body) = response.body_mut() {
        let length = body.size_hint().exact().unwrap_or(0);
        *body = Full::default();
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> RequestId {
        RequestId::from_bytes([7; 16])
    }

    #[test]
    fn a_refusal_of_the_router_and_one_passed_on_from_a_node_have_the_same_headers() {
        let ours = problem(&Problem::new(ProblemKind::Unauthenticated), id());
        let mut theirs = HeaderMap::new();
        theirs.insert(CONTENT_LENGTH, ours.headers()[CONTENT_LENGTH].clone());
        theirs.insert(REQUEST_ID, id_value(id()));
        // A node's own headers, in another order.
        for (name, value) in wire::ANSWER_HEADERS.iter().rev() {
            theirs.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        theirs.insert(CONTENT_TYPE, PROBLEM_JSON);
        settle(StatusCode::UNAUTHORIZED, &mut theirs, id());
        let list = |h: &HeaderMap| h.iter().map(|(n, v)| (n.clone(), v.clone())).collect::<Vec<_>>();
        assert_eq!(list(ours.headers()), list(&theirs));
    }

    #[test]
    fn a_request_id_is_kept_only_when_it_is_one() {
        struct Nines;
        impl Entropy for Nines {
            fn fill(&self, dest: &mut [u8]) {
                dest.fill(9);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, id_value(id()));
        assert_eq!(request_id(&headers, &Nines), id());
        headers.insert(REQUEST_ID, HeaderValue::from_static("Ana Garcia 1980-02-03"));
        assert_eq!(request_id(&headers, &Nines), RequestId::random(&Nines));
    }
}
