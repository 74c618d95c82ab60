//! Headers that every answer carries.

use http::{HeaderMap, HeaderName, HeaderValue};
use residency_policy::wire::ANSWER_HEADERS;

/// Adds what is missing. An answer that sets one of these itself (the documentation's pages do) keeps its own.
pub(crate) fn complete(headers: &mut HeaderMap) {
    for (name, value) in ANSWER_HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
}
