//! Members of a control plane, each on a thread of its own, that can be paused, killed and started again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use residency_control::peer::{PeerPaths, PeerPool, PeerTls, peer_of};
use residency_control::system::SystemClock;
use residency_control::{Config, Control, Endpoint, Member, Timings};
use residency_policy::{Clock, Jurisdiction, NodeId, Region};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::wires::Wires;

/// The regions that the members speak for, by their ids.
pub(super) const REGIONS: [&str; 6] = ["US-TX", "US-CA", "US-NY", "US-WA", "US-FL", "US-OH"];

/// Short, so that a fault of a second is a long one. Snapshots come early.
const TIMINGS: Timings = Timings {
    heartbeat_ms: 50,
    election_ms_min: 200,
    election_ms_max: 400,
    propose_ms: 700,
    snapshot_entries: 40,
    keep_entries: 5,
};

/// The region of a member.
pub(super) fn region(node: u64) -> Region {
    Region(jurisdiction(node))
}

/// The jurisdiction of a member's region.
pub(super) fn jurisdiction(node: u64) -> Jurisdiction {
    let code = REGIONS[usize::try_from(node - 1).expect("small")];
    code.parse().expect("a jurisdiction")
}

fn uri(node: u64) -> String {
    let region = REGIONS[usize::try_from(node - 1).expect("small")].to_lowercase();
    format!("spiffe://domicile/region/{region}/node/{node}")
}

/// One authority for all histories of this process, and a certificate for each node id.
fn certificates(node: u64) -> PeerTls {
    static ALL: OnceLock<Vec<PeerPaths>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let dir = tests::cluster::folder("histories-tls").expect("a folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
        (1..=REGIONS.len() as u64).map(|node| issue(&issuer, &dir, node)).collect()
    });
    PeerTls::load(all[usize::try_from(node - 1).expect("small")].clone()).expect("loads")
}

fn issue(issuer: &CertifiedIssuer<'static, KeyPair>, dir: &Path, node: u64) -> PeerPaths {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.subject_alt_names.push(SanType::URI(uri(node).try_into().expect("ASCII")));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, issuer).expect("a certificate");
    let at = |name: &str| dir.join(format!("{node}-{name}"));
    let paths = PeerPaths { ca: at("ca.pem"), cert: at("cert.pem"), key: at("key.pem") };
    for (path, pem) in [(&paths.ca, issuer.pem()), (&paths.cert, leaf.pem()), (&paths.key, key.serialize_pem())]
    {
        std::fs::write(path, pem).expect("writes");
    }
    paths
}

/// A clock that can be wrong.
#[derive(Debug, Default)]
pub(super) struct Skewed {
    /// By so many seconds.
    pub(super) by: AtomicI64,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.by.load(Ordering::Relaxed))
    }
}

/// One member, running or not.
pub(super) struct Seat {
    pub(super) node: u64,
    pub(super) clock: Arc<Skewed>,
    dir: PathBuf,
    running: Option<Running>,
}

/// A running member.
pub(super) struct Running {
    control: Control,
    on: Handle,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    paused: Option<mpsc::Sender<()>>,
}

impl Seat {
    pub(super) fn new(node: u64, dir: &Path) -> Self {
        Self { node, clock: Arc::default(), dir: dir.join(node.to_string()), running: None }
    }

    /// The member and the runtime that its work has to be done on, while it runs.
    pub(super) fn running(&self) -> Option<(Control, Handle)> {
        self.running.as_ref().map(|running| (running.control.clone(), running.on.clone()))
    }

    /// What it takes the others to be: where it reaches them is its own end of the link.
    pub(super) fn members(&self, wires: &Wires, nodes: impl Iterator<Item = u64>) -> BTreeMap<NodeId, Member> {
        let host = || "127.0.0.1".parse().expect("a host");
        let port = |to: u64| if to == self.node { 1 } else { wires.entrance(self.node, to) };
        nodes
            .map(|node| {
                let kind = uri(node).parse::<residency_control::peer::PeerId>().expect("an id").kind;
                (NodeId(node), Member::new(kind, Endpoint::new(host(), port(node))))
            })
            .collect()
    }

    /// What starts it on a thread of its own, from its disk.
    pub(super) fn starting(
        &self,
        wires: &Wires,
    ) -> impl Future<Output = Result<Running, String>> + Send + use<> {
        let tls = certificates(self.node);
        let config = Config {
            id: NodeId(self.node),
            dir: self.dir.clone(),
            pool: PeerPool::new(tls.clone()),
            peers: self.members(wires, 1..=wires.doors.len() as u64),
            learners: BTreeMap::new(),
            timings: TIMINGS,
            clock: self.clock.clone(),
            tls,
        };
        let (node, door) = (self.node, wires.doors[&self.node].clone());
        async move {
            let (tell, told) = oneshot::channel();
            let (stop, stopped) = oneshot::channel();
            let thread = std::thread::spawn(move || live(config, &door, tell, stopped));
            let (control, on) = told.await.map_err(|_| format!("member {node} does not start"))??;
            Ok(Running { control, on, stop, thread, paused: None })
        }
    }

    /// Whether it runs.
    pub(super) fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// It runs from now on.
    pub(super) fn put(&mut self, running: Running) {
        self.running = Some(running);
    }

    /// It is nobody's any more.
    pub(super) fn take(&mut self) -> Option<Running> {
        self.running.take()
    }

    /// Stops its thread in the middle of whatever it does. Others see a process that stands still.
    pub(super) fn pause(&mut self) {
        let Some(running) = &mut self.running else { return };
        let (go_on, wait) = mpsc::channel::<()>();
        running.on.spawn(async move {
            // It waits as a stopped process does, with everything else on this thread.
            let _ = wait.recv();
        });
        running.paused = Some(go_on);
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self) {
        if let Some(running) = &mut self.running {
            running.paused = None;
        }
    }
}

impl Running {
    /// Ends it: its sockets are closed and its log is let go. What it was doing is not finished.
    pub(super) async fn end(self) {
        let Self { control, stop, thread, paused, .. } = self;
        drop((control, paused));
        let _ = stop.send(());
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

type Told = Result<(Control, Handle), String>;

/// A member's life, on its thread.
fn live(config: Config, door: &AtomicU16, tell: oneshot::Sender<Told>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let tls = config.tls.clone();
        let started = async {
            let control = Control::start(config).await.map_err(|e| e.to_string())?;
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|e| e.to_string())?;
            Ok::<_, String>((control, listener))
        };
        let (control, listener) = match started.await {
            Ok(started) => started,
            Err(why) => return drop(tell.send(Err(why))),
        };
        door.store(listener.local_addr().map_or(0, |at| at.port()), Ordering::Release);
        let listening = tokio::spawn(listen(listener, tls, control.clone()));
        let _ = tell.send(Ok((control.clone(), Handle::current())));
        let _ = stopped.await;
        door.store(0, Ordering::Release);
        listening.abort();
        control.shutdown().await;
    });
    // Connections and calls that are under way end here, whatever they were doing.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
}

async fn listen(listener: TcpListener, tls: PeerTls, control: Control) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let (acceptor, control) = (TlsAcceptor::from(tls.server_config()), control.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(tcp).await else { return };
            let Ok(peer) = peer_of(stream.get_ref().1) else { return };
            let service = service_fn(move |request| {
                let control = control.clone();
                async move { Ok::<_, std::convert::Infallible>(control.serve_peer(&peer, request).await) }
            });
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
