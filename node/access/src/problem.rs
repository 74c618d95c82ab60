//! The only way an error becomes an answer.
//!
//! [`Refused`] is made from a type that is [`Disclosable`], and a [`Problem`] holds constants of the program and
//! ids only. The document is written in [`crate::finish`], where the request's id is known.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use residency_policy::{Problem, ProblemKind, Reason, RequestId};
use storage::{Retriable, Unavailable};

/// An error that says itself what of it a caller may know.
pub trait Disclosable {
    /// What the caller is told.
    fn problem(&self) -> Problem;

    /// What the log is told: ids and constants, never a value. `None` where the refusal is the caller's doing.
    fn cause(&self) -> Option<String> {
        None
    }

    /// Whether the act may simply be repeated here, before anything is answered.
    fn gave_way(&self) -> bool {
        false
    }
}

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub struct Refused {
    // In a box: every handler can return one, and hardly ever does.
    problem: Box<Problem>,
    cause: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    gave_way: bool,
}

impl Refused {
    /// What the caller is told.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// What the log is told.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Adds a header, such as an `ETag`.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A defect on this side. `what` is a constant that tells where to look.
    pub fn internal(what: &'static str) -> Self {
        Self {
            problem: Box::new(Problem::new(ProblemKind::Internal)),
            cause: Some(what.to_owned()),
            headers: Vec::new(),
            gave_way: false,
        }
    }

    /// The refusal that an answer of the web framework stands for.
    pub(crate) fn of_status(status: StatusCode, headers: &HeaderMap) -> Self {
        let kind = match status.as_u16() {
            400 => ProblemKind::Malformed,
            401 => ProblemKind::Unauthenticated,
            404 => ProblemKind::NotFound,
            405 => ProblemKind::MethodNotAllowed,
            408 => ProblemKind::RequestTimeout,
            413 => ProblemKind::ContentTooLarge,
            414 => ProblemKind::UriTooLong,
            415 => ProblemKind::UnsupportedMediaType,
            431 => ProblemKind::HeadersTooLarge,
            _ => return Self::internal("an answer that is not a problem"),
        };
        let refused = Self::from(Problem::new(kind));
        match headers.get(ALLOW) {
            Some(allow) => refused.header(ALLOW, allow.clone()),
            None => refused,
        }
    }

    /// The answer, with the id of the request it is for.
    pub(crate) fn render(self, request: RequestId) -> Response {
        let mut response = render(&self.problem, request);
        response.headers_mut().extend(self.headers);
        response
    }
}

/// A problem document (RFC 9457 section 3).
fn render(problem: &Problem, request: RequestId) -> Response {
    let kind = problem.kind();
    // A problem is constants, ids and numbers; nothing in it can fail to serialise.
    let body = serde_json::to_vec(&problem.document(request)).unwrap_or_default();
    let mut response = Response::new(axum::body::Body::from(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if kind.status() == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"domicile\""));
    }
    response
}

impl<E: Disclosable> From<E> for Refused {
    fn from(error: E) -> Self {
        let (problem, cause, gave_way) = (Box::new(error.problem()), error.cause(), error.gave_way());
        Self { problem, cause, headers: Vec::new(), gave_way }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.problem.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(self);
        response
    }
}

impl Retriable for Refused {
    fn is_retriable(&self) -> bool {
        self.gave_way
    }
}

/// The database's own refusals. None of them holds a value, but most are nobody's business outside.
impl Disclosable for storage::Error {
    fn problem(&self) -> Problem {
        match self {
            Self::Unavailable(Unavailable::Busy) | Self::GaveWay => {
                Problem::new(ProblemKind::Overloaded).retry_after(1)
            }
            Self::Unavailable(_) | Self::CommitUncertain => {
                Problem::new(ProblemKind::RegionUnavailable).retry_after(2)
            }
            // The id was given to this region, and nobody is served here under it: no patient was registered yet, or
            // one was and no longer is. Another answer than an unknown id gets would tell the two apart.
            Self::Fenced { home: None, .. } => not_found(),
            // The caller's own organisation has the patient, so that the reason tells nothing new.
            Self::NotAllowed { reason } => Problem::new(ProblemKind::Forbidden).reason(reason),
            // The directory and the home name different epochs: one of them is behind, and which is not known.
            Self::Fenced { .. } => Problem::new(ProblemKind::ViewUnproven).retry_after(1),
            _ => Problem::new(ProblemKind::Internal),
        }
    }

    fn cause(&self) -> Option<String> {
        (!matches!(self, Self::GaveWay | Self::NotAllowed { .. } | Self::Fenced { home: None, .. }))
            .then(|| self.to_string())
    }

    fn gave_way(&self) -> bool {
        self.is_retriable()
    }
}

impl Disclosable for storage::ids::TakeError {
    fn problem(&self) -> Problem {
        match self {
            // The node asks for more ids as long as it runs; without a quorum it gets none.
            Self::Empty => Problem::new(ProblemKind::ControlUnavailable).retry_after(5),
            Self::Storage(error) => error.problem(),
        }
    }

    fn cause(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Disclosable for Problem {
    fn problem(&self) -> Problem {
        self.clone()
    }
}

/// Nothing is found here: the one answer for what does not exist and for what the caller may not know of.
pub fn not_found() -> Problem {
    Problem::new(ProblemKind::NotFound)
}

impl Disclosable for Reason {
    fn problem(&self) -> Problem {
        match *self {
            Self::Unknown => not_found(),
            Self::ViewTooOld | Self::RulesUnverified => Problem::new(ProblemKind::ViewUnproven).retry_after(1),
            Self::NoRule | Self::TransitRefused | Self::ForwardedAgainstRules => {
                Problem::new(ProblemKind::TransitRefused)
            }
            Self::NotHome(home, epoch) => Problem::new(ProblemKind::Misdirected).home(home, Some(epoch)),
            Self::NotThisRegion(home) => Problem::new(ProblemKind::Misdirected).home(home, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_that_http_knows() {
        for kind in ProblemKind::ALL {
            let response = render(&Problem::new(*kind), RequestId::from_bytes([0; 16]));
            assert_eq!(response.status().as_u16(), kind.status());
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
    }

    #[test]
    fn an_unknown_error_says_nothing_of_itself() {
        let refused = Refused::internal("patients.read");
        let text = format!("{:?}", refused.problem());
        assert!(!text.contains("patients.read"), "{text}");
    }
}
