//! The two doors of a node: one for callers, one for peers.
//!
//! Behind the peers' door every request carries the identity of a verified certificate. A router may forward
//! requests of callers, and where their bytes entered is taken from its certificate, never from a header. Members
//! speak Raft there. Who holds this node's own key may operate it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::MatchedPath;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::service::TowerToHyperService;
use node_access::Via;
use node_access::policies::Policies;
use rates::ClientAddress;
use residency_control::peer::{NotAPeer, PeerId, PeerKind, peer_of};
use residency_control::{Control, Reader};
use residency_policy::{Entropy, Problem, ProblemKind, wire};
use router::listen::{Drain, Limits, ListenError, Listener, TlsSource, no_certificate};
use router::{respond, traces};
use tokio::sync::watch;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use crate::operate;
use crate::wiring::{Node, policies};

/// Room for a snapshot's chunk; a forwarded request meets the API's own limit.
const PEER_BODY_BYTES_MAX: u64 = 64 << 20;
/// Members, routers and their spare connections.
const PEER_CONNECTIONS_MAX: usize = 1_024;
/// What comes by a router is let in or refused here, and does not wait there for others to be answered: each of a router's
/// two connections takes half of what it lets be at work for one home.
const PEER_STREAMS_MAX: u32 = 1_024;

/// How long callers wait for a node that does not hear from a quorum.
const HEAR_WITHIN: Duration = Duration::from_secs(2);

/// Both sockets, bound and not served yet.
pub struct Doors {
    public: Listener,
    peer: Listener,
}

/// Binds both sockets.
pub async fn bind(node: &Node) -> Result<Doors, ListenError> {
    let limits = &node.config.limits;
    let public = Limits {
        connections: limits.connections_max,
        header_bytes: limits.header_bytes_max,
        body_bytes: limits.body_bytes_max as u64,
        ..Limits::default()
    };
    let peer = Limits {
        connections: PEER_CONNECTIONS_MAX,
        body_bytes: PEER_BODY_BYTES_MAX,
        header_bytes: limits.header_bytes_max.max(Limits::default().header_bytes),
        streams: PEER_STREAMS_MAX,
        ..Limits::default()
    };
    Ok(Doors {
        public: Listener::bind(node.config.listen.public, public).await?,
        peer: Listener::bind(node.config.listen.peer, peer).await?.follow_renewals(),
    })
}

impl Doors {
    /// Serves both until the drain begins. Peers are served at once, callers when this node has heard from a quorum: one
    /// that was away would else answer from a view that it is about to replace. Where there is no quorum it goes by the
    /// view that it has, whose age bounds what may rest on it. The access policies in force are read before. Members that are
    /// connected are served until the drain of the peers begins.
    pub async fn serve(self, node: &Node, app: axum::Router, drain: &Drain, peers: &Drain) {
        let (open, opened) = watch::channel(false);
        let reader = node.control.reader();
        let settle = async {
            // Heard or not, it is opened now.
            let _ = reader.wait(Reader::has_heard, HEAR_WITHIN).await;
            // What decided when this node was away may have been replaced since: the task that follows the control
            // plane reads what is in force, or says that it cannot.
            let policies = &node.here.policies;
            policies.until(|now| policies::is_read(now, reader.access_policies().as_ref())).await;
            open.send_replace(true);
        };
        let app = match node.config.traces.endpoint {
            Some(_) => app.layer(axum::middleware::from_fn(traced)),
            None => app,
        };
        let public = self.public.serve(
            node.public_tls.source(),
            no_certificate,
            TowerToHyperService::new(app.clone()),
            Arc::clone(&node.entropy),
            drain.clone(),
        );
        let door = Arc::new(PeerDoor {
            control: node.control.clone(),
            policies: Arc::clone(&node.here.policies),
            app,
            opened: opened.clone(),
            own: node.peer_tls.own_id(),
            entropy: Arc::clone(&node.entropy),
        });
        let tls = node.peer_tls.clone();
        let source: TlsSource = Arc::new(move || tls.server_config());
        let service = hyper::service::service_fn(move |request| {
            let door = Arc::clone(&door);
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        let members = peers.clone();
        let stays = move |peer: &PeerId| matches!(peer.kind, PeerKind::Region(_)).then(|| members.clone());
        let entropy = Arc::clone(&node.entropy);
        let peer = self.peer.serve_staying(source, identify, service, entropy, drain.clone(), stays);
        let public = async {
            if are_served(opened, drain).await {
                public.await;
            }
        };
        tokio::join!(settle, public, peer);
    }
}

/// Waits until callers are served; false when the drain begins before.
async fn are_served(mut opened: watch::Receiver<bool>, drain: &Drain) -> bool {
    tokio::select! {
        opened = opened.wait_for(|opened| *opened) => opened.is_ok(),
        () = drain.begun() => false,
    }
}

/// The span of one request, beneath the router's or the caller's.
async fn traced(request: axum::extract::Request, next: axum::middleware::Next) -> Response<Body> {
    let span = traces::server_span(request.method(), request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).instrument(span.clone()).await;
    traces::name(&span, &method, route.as_ref().map_or("unmatched", MatchedPath::as_str));
    response
}

fn identify(connection: &rustls::ServerConnection) -> Result<PeerId, NotAPeer> {
    peer_of(connection)
}

struct PeerDoor {
    control: Control,
    policies: Arc<Policies>,
    app: axum::Router,
    /// Whether callers are served.
    opened: watch::Receiver<bool>,
    own: PeerId,
    entropy: Arc<dyn Entropy>,
}

/// What a peer's request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    Control,
    Operate,
    Forwarded(Via),
    /// A region looks at this one's audit log, as anybody may.
    AuditLog,
    NotTheirs,
}

/// Who may do what behind the peers' door.
fn errand(peer: &PeerId, own: &PeerId, path: &str) -> Errand {
    if path.starts_with("/raft/") || path.starts_with("/control/") {
        return Errand::Control;
    }
    if path.starts_with("/operate/") {
        return if peer == own { Errand::Operate } else { Errand::NotTheirs };
    }
    match peer.kind {
        PeerKind::Router(ingress) => Errand::Forwarded(Via(ingress)),
        PeerKind::Region(_) if path.starts_with("/v1/audit/log/") => Errand::AuditLog,
        PeerKind::Region(_) => Errand::NotTheirs,
    }
}

impl PeerDoor {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        let Some(peer) = request.extensions().get::<PeerId>().copied() else {
            return self.refuse(&request);
        };
        match errand(&peer, &self.own, request.uri().path()) {
            // In boxes: every forwarded request would carry the room that these two need.
            Errand::Control => Box::pin(self.control.serve_peer(&peer, request)).await.map(Body::new),
            Errand::Operate => Box::pin(operate::answer(&self.control, &self.policies, request)).await,
            Errand::Forwarded(via) => {
                if !*self.opened.borrow() {
                    // Who forwards has chosen how long it waits for an answer.
                    let _ = self.opened.clone().wait_for(|opened| *opened).await;
                }
                let client = client_of(&request);
                // The connection is the router's. Of its caller nothing is known but what the router says.
                request.extensions_mut().remove::<ClientAddress>();
                if let Some(client) = client {
                    request.extensions_mut().insert(client);
                }
                request.extensions_mut().insert(via);
                // The certificate has said where the bytes entered; a header that says so too is only noise.
                request.headers_mut().remove(wire::INGRESS);
                request.headers_mut().remove(wire::CLIENT);
                let Ok(response) = self.app.clone().oneshot(request.map(Body::new)).await;
                response
            }
            Errand::AuditLog => {
                request.extensions_mut().remove::<ClientAddress>();
                let Ok(response) = self.app.clone().oneshot(request.map(Body::new)).await;
                response
            }
            Errand::NotTheirs => self.refuse(&request),
        }
    }

    fn refuse(&self, request: &Request<Incoming>) -> Response<Body> {
        let id = respond::request_id(request.headers(), &*self.entropy);
        respond::problem(&Problem::new(ProblemKind::Forbidden), id).map(Body::new)
    }
}

/// Who the router's caller is, as the router says: it takes out what a caller sends under this name.
fn client_of<B>(request: &Request<B>) -> Option<ClientAddress> {
    let mut said = request.headers().get_all(wire::CLIENT).iter();
    let one = said.next().filter(|_| said.next().is_none())?;
    one.to_str().ok()?.parse().ok().map(ClientAddress)
}

/// Reads certificates and rules again on SIGHUP and when their files change.
pub fn watch(node: &Node, drain: &Drain) {
    const EVERY: Duration = Duration::from_secs(2);
    tokio::spawn(Arc::clone(&node.certificates).watch(EVERY, drain.clone()));

    let (rules, file) = (Arc::clone(&node.rules), node.config.rules.file.clone());
    tokio::spawn(router::reload::on_change(vec![file.clone()], EVERY, drain.clone(), move || {
        match crate::wiring::rules::ruleset(&file) {
            Ok(ruleset) => {
                tracing::info!(version = ruleset.version(), "the rules were read again");
                rules.replace(ruleset);
            }
            Err(stop) => tracing::warn!(error = stop.what, "the new rules are not usable; the old ones stay"),
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PeerId {
        text.parse().expect("a peer")
    }

    #[test]
    fn the_client_is_who_the_router_says_once_and_nobody_else() {
        let client = |said: &[&'static str]| {
            let mut request = Request::new(());
            for one in said {
                request.headers_mut().append(wire::CLIENT, http::HeaderValue::from_static(one));
            }
            client_of(&request).map(|client| client.0.to_string())
        };
        assert_eq!(client(&["203.0.113.7"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(client(&["2001:db8::7"]).as_deref(), Some("2001:db8::7"));
        for none in [&[][..], &[""], &["203.0.113.7:80"], &["203.0.113.7", "203.0.113.7"]] {
            assert_eq!(client(none), None, "{none:?}");
        }
    }

    #[test]
    fn only_a_router_forwards_and_only_the_node_itself_operates() {
        let own = id("spiffe://domicile/region/us-tx/node/3");
        let other = id("spiffe://domicile/region/us-ca/node/1");
        let router = id("spiffe://domicile/router/us-ca/node/100");
        let ca = residency_policy::Ingress("US-CA".parse().expect("a jurisdiction"));
        assert_eq!(errand(&router, &own, "/v1/patients"), Errand::Forwarded(Via(ca)));
        assert_eq!(errand(&other, &own, "/v1/patients"), Errand::NotTheirs);
        assert_eq!(errand(&other, &own, "/v1/audit/log/checkpoint"), Errand::AuditLog);
        assert_eq!(errand(&other, &own, "/v1/audit/events"), Errand::NotTheirs);
        assert_eq!(errand(&own, &own, "/v1/patients"), Errand::NotTheirs);
        assert_eq!(errand(&own, &own, "/operate/status"), Errand::Operate);
        for stranger in [other, router] {
            assert_eq!(errand(&stranger, &own, "/operate/status"), Errand::NotTheirs);
            assert_eq!(errand(&stranger, &own, "/raft/append"), Errand::Control);
        }
    }
}
