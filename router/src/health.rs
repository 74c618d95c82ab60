//! The router's own pages: alive, ready, metrics.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use residency_policy::{Problem, ProblemKind, RequestId, exposition};

use crate::respond;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EXPOSITION: HeaderValue = HeaderValue::from_static(exposition::CONTENT_TYPE);

/// Why nothing should be sent here now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unready {
    /// The process was told to end.
    Draining,
    /// The region map is empty.
    NoRegions,
    /// The rules in force are not proven here.
    NoRules,
}

impl Unready {
    fn problem(self) -> Problem {
        let (kind, why) = match self {
            Self::Draining => (ProblemKind::Overloaded, "this router is about to end"),
            Self::NoRegions => {
                (ProblemKind::ViewUnproven, "the region map is empty: no region has joined the control plane")
            }
            Self::NoRules => (
                ProblemKind::ViewUnproven,
                "the rules in force are not proven here: rules.file is not what the control plane names",
            ),
        };
        Problem::new(kind).detail(why).retry_after(1)
    }
}

/// Whether the process is alive.
pub fn live(request: RequestId) -> Response<Full<Bytes>> {
    page(JSON, Bytes::from_static(b"{\"status\":\"ok\"}"), request)
}

const READY: &[u8] = b"{\"status\":\"ready\"}";
const READY_WITH_OLD_VIEW: &[u8] =
    b"{\"status\":\"ready\",\"view\":\"old\",\"detail\":\"this router hears nothing from \
    the control plane: what it knows is still forwarded, and what it does not know is answered 503\"}";

/// Whether it can route. An old view is said and is no reason to send nothing here: a router goes on forwarding without
/// a quorum, and a load balancer that believed otherwise would take away every router at the same time.
pub fn ready(unready: Option<Unready>, view_is_old: bool, request: RequestId) -> Response<Full<Bytes>> {
    match unready {
        Some(why) => respond::problem(&why.problem(), request),
        None => page(JSON, Bytes::from_static(if view_is_old { READY_WITH_OLD_VIEW } else { READY }), request),
    }
}

/// What it has counted.
pub fn metrics(text: String, request: RequestId) -> Response<Full<Bytes>> {
    page(EXPOSITION, Bytes::from(text), request)
}

/// Nothing of that name.
pub fn nothing(request: RequestId) -> Response<Full<Bytes>> {
    respond::problem(&Problem::new(ProblemKind::NotFound), request)
}

fn page(media_type: HeaderValue, body: Bytes, request: RequestId) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    respond::settle(StatusCode::OK, response.headers_mut(), request);
    response
}
