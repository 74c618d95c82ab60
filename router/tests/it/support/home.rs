//! A home that records what reaches it, behind the listener that real nodes use.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use residency_control::Endpoint;
use residency_control::peer::{PeerId, peer_of};
use residency_control::system::SystemEntropy;
use residency_policy::{Problem, ProblemKind};
use router::limits::Limits;
use router::listen::{Drain, Listener};
use router::respond;
use tokio::sync::Semaphore;

use super::certificates::Authority;

#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) whole: bool,
    pub(crate) peer: PeerId,
}

#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) arrived: std::sync::atomic::AtomicUsize,
    /// Whether it finds fault as a node does, in a node's order, and has no patient for anybody.
    pub(crate) strict: std::sync::atomic::AtomicBool,
    /// The status of the next answers, when not 200.
    pub(crate) says: Mutex<Option<ProblemKind>>,
}

pub(crate) struct FakeHome {
    pub(crate) endpoint: Endpoint,
    pub(crate) recorded: Arc<Recorded>,
    /// An answer is given for each permit; `hold` takes them away.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) drain: Drain,
}

impl FakeHome {
    pub(crate) async fn start(authority: &Authority, place: &str, node: u64) -> Self {
        Self::start_at(authority, place, node, 0).await
    }

    /// At a port where one was before, as a home that starts again.
    pub(crate) async fn start_at(authority: &Authority, place: &str, node: u64, port: u16) -> Self {
        let tls = authority.peer(&format!("spiffe://domicile/region/{place}/node/{node}"), place);
        let listener = Listener::bind(([127, 0, 0, 1], port).into(), Limits::default()).await.unwrap();
        let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
        let (recorded, drain) = (Arc::new(Recorded::default()), Drain::new());
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let service = service_fn({
            let (recorded, gate) = (Arc::clone(&recorded), Arc::clone(&gate));
            move |request| answer(Arc::clone(&recorded), Arc::clone(&gate), request)
        });
        let source = Arc::new(move || tls.server_config());
        tokio::spawn(listener.serve(source, peer_of, service, Arc::new(SystemEntropy::new()), drain.clone()));
        Self { endpoint, recorded, gate, drain }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.recorded.seen.lock().unwrap().clone()
    }

    pub(crate) fn arrived(&self) -> usize {
        self.recorded.arrived.load(std::sync::atomic::Ordering::SeqCst)
    }

    pub(crate) fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }
}

/// Whether the fake view has this patient, or the path names none.
fn is_there(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/v1/patients/") else { return true };
    let named = rest.split('/').next().unwrap_or_default();
    (1..=4).any(|n| super::patient(n).to_string() == named)
}

fn nodes_word(head: &http::request::Parts, body: &[u8], recorded: &Recorded) -> Problem {
    let has = |name: &str| head.headers.contains_key(name);
    let kind = match head.method.as_str() {
        _ if !recorded.strict.load(std::sync::atomic::Ordering::SeqCst) => ProblemKind::NotFound,
        "PUT" | "OPTIONS" => ProblemKind::MethodNotAllowed,
        _ if !has("purpose-of-use") => ProblemKind::Forbidden,
        _ if head.uri.query().is_some() => ProblemKind::BadParameter,
        "PATCH" if !has("if-match") => ProblemKind::PreconditionRequired,
        "POST" | "PATCH" if !body.starts_with(b"{") => ProblemKind::Malformed,
        _ => ProblemKind::NotFound,
    };
    Problem::new(kind)
}

async fn answer(
    recorded: Arc<Recorded>,
    gate: Arc<Semaphore>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    recorded.arrived.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let (head, mut incoming) = request.into_parts();
    let peer = *head.extensions.get::<PeerId>().unwrap();
    let (mut body, mut whole) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        let Ok(frame) = frame else {
            whole = false;
            break;
        };
        body.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    let content: Bytes = body.into();
    let line = format!("{} {}", head.method, head.uri.path_and_query().unwrap());
    let seen = Seen { line, headers: head.headers.clone(), body: content.clone(), whole, peer };
    recorded.seen.lock().unwrap().push(seen);
    gate.acquire().await.unwrap().forget();

    let id = respond::request_id(&head.headers, &SystemEntropy::new());
    if recorded.strict.load(std::sync::atomic::Ordering::SeqCst) || !is_there(head.uri.path()) {
        return Ok(respond::problem(&nodes_word(&head, &content, &recorded), id));
    }
    let says = *recorded.says.lock().unwrap();
    if let Some(kind) = says {
        let mut refusal = respond::problem(&Problem::new(kind), id);
        if kind == ProblemKind::Overloaded {
            refusal.headers_mut().insert("domicile-shed", "1".parse().unwrap());
        }
        return Ok(refusal);
    }
    let size = head.uri.query().and_then(|query| query.strip_prefix("size=")?.parse().ok());
    let said = size.map_or(Bytes::from_static(b"{\"from\":\"texas\"}"), |size| Bytes::from(vec![b'x'; size]));
    let mut response = Response::new(Full::new(said));
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response.headers_mut().insert("etag", "\"1\"".parse().unwrap());
    response.headers_mut().insert("domicile-secret", "inside".parse().unwrap());
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}
