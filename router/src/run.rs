//! Joins the parts of a router and runs it until it is told to end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use rates::Rates;
use residency_control::peer::{self, PeerId, PeerKind, PeerPool, PeerTls};
use residency_control::rules::RulesInForce;
use residency_control::{Control, FatalReason, StartError};
use residency_policy::ruleset::RulesetError;
use residency_policy::verify_keys::{NotVerifyKeys, VerifyKeys};
use residency_policy::{Clock, Entropy, Ruleset};

use crate::certificates::Certificates;
use crate::config::{Config, Rules};
use crate::count;
use crate::known::{Known, Replica};
use crate::life_of_a_request::{Edge, life_of_a_request};
use crate::limits::Limits;
use crate::listen::{Drain, Drained, ListenError, Listener, PublicTls, TlsError, no_certificate};
use crate::metrics::Metrics;
use crate::{health, reload, respond};

/// How often files are looked at for a change.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the control plane's member has to put its last bytes on disk.
const CONTROL_ENDS: Duration = Duration::from_secs(10);

/// Why the router does not run, or ran no longer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The public certificate is not usable.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The certificate between members is not usable.
    #[error("peer: {0}")]
    PeerTls(#[from] peer::TlsError),
    /// The certificate between members is another's.
    #[error(
        "peer.cert says {said}, but ingress and control.id say {expected}; give the router the certificate that was \
         issued for it"
    )]
    WrongIdentity {
        /// What the certificate says.
        said: PeerId,
        /// What the configuration says.
        expected: PeerId,
    },
    /// A file is not there, or may not be read.
    #[error("{key}: cannot read {path}: {source}")]
    Read {
        /// Which key names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A private key may be read by others.
    #[error("{key}: {path} may be read by others than its owner: run `chmod 600 {path}`")]
    OpenToOthers {
        /// Which key names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// The rules' file is wrong.
    #[error("rules.file {path}: {source}")]
    Rules {
        /// Which file.
        path: PathBuf,
        /// Which rule.
        source: RulesetError,
    },
    /// The key file is wrong.
    #[error("rules.verify_key {path}: {source}")]
    VerifyKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NotVerifyKeys,
    },
    /// The control plane's member cannot start.
    #[error("control: {0}")]
    Control(#[from] StartError),
    /// The control plane's member stopped.
    #[error("control: {0}")]
    Fatal(FatalReason),
    /// An address is taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// What was read from files, before anything is started.
pub struct Read {
    public: Arc<PublicTls>,
    peer: PeerTls,
    rules: Ruleset,
    verify_keys: VerifyKeys,
}

/// Reads every file that the configuration names. `--check` does this and nothing else.
pub fn read_files(config: &Config, clock: &dyn Clock) -> Result<Read, RunError> {
    closed("tls.key", &config.tls.key)?;
    closed("peer.key", &config.peer.key)?;
    let public = PublicTls::load(&config.tls.cert, &config.tls.key, clock.now())?;
    let peer = PeerTls::load(config.peer.clone())?;
    let expected = PeerId { kind: PeerKind::Router(config.ingress), node: config.id };
    let said = peer.own_id();
    if said != expected {
        return Err(RunError::WrongIdentity { said, expected });
    }
    let Rules { file, verify_key } = &config.rules;
    let keys = VerifyKeys::parse(&read_text("rules.verify_key", verify_key)?)
        .map_err(|source| RunError::VerifyKey { path: verify_key.clone(), source })?;
    Ok(Read { public: Arc::new(public), peer, rules: read_rules(file)?, verify_keys: keys })
}

/// The same that a node asks of its secrets: a group may have been given them on purpose, everybody never.
fn closed(key: &'static str, path: &Path) -> Result<(), RunError> {
    let there = path.metadata().map_err(|source| RunError::Read { key, path: path.into(), source })?;
    if there.permissions().mode() & 0o027 == 0 {
        Ok(())
    } else {
        Err(RunError::OpenToOthers { key, path: path.into() })
    }
}

/// A router that runs.
pub struct Running {
    /// Where callers connect.
    pub public: SocketAddr,
    /// Where members of the control plane connect.
    pub peer: SocketAddr,
    control: Control,
    drain: Drain,
    drain_within: Duration,
}

/// Starts a router. It serves until [`Running::end`].
pub async fn start(
    config: Config,
    read: Read,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Running, RunError> {
    let limits = config.bounds.limits;
    let public = Listener::bind(config.listen, limits).await?;
    // Members send log entries and snapshots, which are larger than what a caller may send.
    let peers =
        Listener::bind(config.peer_listen, Limits { body_bytes: 1 << 30, ..limits }).await?.follow_renewals();
    let scraped = match config.metrics_listen {
        Some(at) => Some(Listener::bind(at, limits).await?),
        None => None,
    };
    let addresses = (at(&public, config.listen), at(&peers, config.peer_listen));

    let pool = PeerPool::new(read.peer.clone());
    let control = Control::start(residency_control::Config {
        id: config.id,
        dir: config.dir,
        tls: read.peer.clone(),
        pool: pool.clone(),
        peers: config.peers,
        learners: std::collections::BTreeMap::new(),
        timings: config.timings,
        clock: Arc::clone(&clock),
    })
    .await?;
    let rules = Arc::new(RulesInForce::new(read.rules, read.verify_keys, Arc::clone(&clock)));

    let certificates =
        Arc::new(Certificates::new(Arc::clone(&read.public), read.peer.clone(), Arc::clone(&clock)));
    let drain = Drain::new();
    let rates = Arc::new(Rates::new(&config.rates));
    let edge = Edge::new(
        Replica::new(control.reader(), Arc::clone(&rules)),
        pool,
        config.ingress,
        config.bounds,
        Arc::clone(&rates),
        Arc::new(Metrics::new(&public.counters()).with_certificates(&certificates)),
        scraped.is_none(),
        Arc::clone(&clock),
        Arc::clone(&entropy),
        drain.clone(),
    );
    let edge = Arc::new(edge.with_certificates(Arc::clone(&certificates)));

    tokio::spawn(serve_peers(peers, control.clone(), read.peer.clone(), Arc::clone(&entropy), drain.clone()));
    if let Some(scraped) = scraped {
        tokio::spawn(serve_metrics(scraped, Arc::clone(&edge), entropy, drain.clone()));
    }
    let (begun, forgets) = (drain.clone(), Arc::clone(&edge));
    tokio::spawn(async move {
        tokio::select! {
            () = begun.begun() => {}
            () = count::forget(rates) => {}
            () = forgets.held_back.forget_from_time_to_time() => {}
        }
    });
    tokio::spawn(read_rules_again(config.rules.file, rules, drain.clone()));
    tokio::spawn(certificates.watch(LOOK_EVERY, drain.clone()));
    tokio::spawn(serve_callers(public, read.public, edge, drain.clone()));

    tracing::info!(listen = %addresses.0, peers = %addresses.1, ingress = %config.ingress.0, "the router serves");
    Ok(Running { public: addresses.0, peer: addresses.1, control, drain, drain_within: config.drain })
}

/// Runs a router until `told` resolves, then drains it.
pub async fn run(
    config: Config,
    read: Read,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    told: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let running = start(config, read, clock, entropy).await?;
    let reason = tokio::select! {
        () = told => None,
        reason = running.control.fatal() => Some(reason),
    };
    running.end().await;
    reason.map_or(Ok(()), |reason| Err(RunError::Fatal(reason)))
}

impl Running {
    /// This process's member of the control plane.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Takes nothing new, finishes what is in flight, and stops.
    pub async fn end(self) -> Drained {
        tracing::info!("the router finishes what is in flight");
        let drained = self.drain.finish(self.drain_within).await;
        if let Drained::Cut(connections) = drained {
            tracing::warn!(connections, "connections were cut: they were not finished in time");
        }
        if tokio::time::timeout(CONTROL_ENDS, self.control.shutdown()).await.is_err() {
            tracing::warn!("the control plane's member did not stop in time; its log is on disk all the same");
        }
        tracing::info!("the router has ended");
        drained
    }
}

/// Serves callers with the stages of a request.
pub async fn serve_callers<K: Known>(
    listener: Listener,
    tls: Arc<PublicTls>,
    edge: Arc<Edge<K>>,
    drain: Drain,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let edge = Arc::clone(&edge);
        // Boxed once: whoever waits for it hands it on several times.
        Box::pin(async move { Ok::<_, Infallible>(life_of_a_request(&edge, request).await) })
    });
    listener.serve_unguarded(tls.source(), no_certificate, service, drain, |()| None).await;
}

async fn serve_peers(
    listener: Listener,
    control: Control,
    tls: PeerTls,
    entropy: Arc<dyn Entropy>,
    drain: Drain,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let control = control.clone();
        async move {
            let Some(peer) = request.extensions().get::<PeerId>().copied() else {
                // It was put there with the connection, before any request of it.
                unreachable!("the listener closes a connection whose certificate names no peer")
            };
            Ok::<_, Infallible>(control.serve_peer(&peer, request).await)
        }
    });
    listener.serve(Arc::new(move || tls.server_config()), peer::peer_of, service, entropy, drain).await;
}

async fn serve_metrics<K: Known>(
    listener: Listener,
    edge: Arc<Edge<K>>,
    entropy: Arc<dyn Entropy>,
    drain: Drain,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let id = respond::request_id(request.headers(), &*entropy);
        let response = match request.uri().path() {
            "/metrics" => health::metrics(edge.metrics_page(), id),
            _ => health::nothing(id),
        };
        async move { Ok::<_, Infallible>(response) }
    });
    listener.serve_plain(service, drain).await;
}

/// Reads the rules again when they change.
async fn read_rules_again(file: PathBuf, rules: Arc<RulesInForce>, drain: Drain) {
    reload::on_change(vec![file.clone()], LOOK_EVERY, drain, move || match read_rules(&file) {
        Ok(read) => rules.replace(read),
        Err(error) => tracing::warn!(%error, "the new rules are not usable; the old ones stay"),
    })
    .await;
}

fn read_rules(path: &Path) -> Result<Ruleset, RunError> {
    let text = read_text("rules.file", path)?;
    Ruleset::parse(&text).map_err(|source| RunError::Rules { path: path.into(), source })
}

fn read_text(key: &'static str, path: &Path) -> Result<String, RunError> {
    std::fs::read_to_string(path).map_err(|source| RunError::Read { key, path: path.into(), source })
}

fn at(listener: &Listener, asked: SocketAddr) -> SocketAddr {
    // A bound socket has an address; if the kernel does not tell, what was asked for is the best that is known.
    listener.local_addr().unwrap_or(asked)
}
