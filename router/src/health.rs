//! The router's own pages: alive, ready, metrics.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use residency_policy::{Problem, ProblemKind, RequestId, exposition};
use serde::Serialize;

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

/// What a router that can route says of itself.
#[derive(Serialize)]
struct Ready {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<&'static str>,
}

const OLD_VIEW: &str = "this router hears nothing from the control plane: what it knows is still forwarded, and what \
                        it does not know is answered 503";

/// Whether it can route. An old view, or what is wrong with its certificates, is said and is no reason to send nothing
/// here: a router goes on forwarding, and a load balancer that believed otherwise would take away every router at the
/// same time.
pub fn ready(
    unready: Option<Unready>,
    view_is_old: bool,
    certificates: Option<&'static str>,
    request: RequestId,
) -> Response<Full<Bytes>> {
    if let Some(why) = unready {
        return respond::problem(&why.problem(), request);
    }
    let (view, detail) = if view_is_old { (Some("old"), Some(OLD_VIEW)) } else { (None, None) };
    // Text always serializes.
    let body = serde_json::to_vec(&Ready { status: "ready", view, detail, certificates }).unwrap_or_default();
    page(JSON, Bytes::from(body), request)
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
