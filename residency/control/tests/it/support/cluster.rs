//! Members of a control plane in one process, over real mutual TLS on free ports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use jiff::Timestamp;
use residency_control::peer::{PeerId, PeerKind, PeerPool, PeerTls, peer_of};
use residency_control::{Config, Control, Endpoint, Member, Reader, Standing, Timings, Writer};
use residency_policy::{Clock, NodeId};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::PATIENCE;
use super::authority::Authority;

pub(crate) const TEXAS: &str = "spiffe://domicile/region/us-tx/node/1";
pub(crate) const CALIFORNIA: &str = "spiffe://domicile/region/us-ca/node/2";
pub(crate) const NEW_YORK: &str = "spiffe://domicile/region/us-ny/node/3";
pub(crate) const ROUTER: &str = "spiffe://domicile/router/us-ca/node/10";

/// Patient enough for a machine that compiles at the same time.
pub(crate) const TIMINGS: Timings = Timings {
    heartbeat_ms: 150,
    election_ms_min: 600,
    election_ms_max: 1_200,
    propose_ms: 10_000,
    snapshot_entries: 5_000,
    keep_entries: 1_000,
};

/// Where one member lies, running or not.
pub(crate) struct Seat {
    pub(crate) id: PeerId,
    pub(crate) tls: PeerTls,
    pub(crate) member: Member,
    dir: PathBuf,
    socket: Option<std::net::TcpListener>,
}

pub(crate) struct Cluster {
    pub(crate) authority: Authority,
    pub(crate) dir: TempDir,
    pub(crate) seats: BTreeMap<u64, Seat>,
    pub(crate) timings: Timings,
    pub(crate) learners: BTreeMap<NodeId, Member>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) cuts: Cuts,
}

/// Which calls are turned away at the door: who calls, who is called, and the path.
#[derive(Clone, Default)]
pub(crate) struct Cuts(Arc<Mutex<Option<Cut>>>);

type Cut = Box<dyn Fn(u64, u64, &str) -> bool + Send>;

impl Cuts {
    pub(crate) fn set(&self, cut: impl Fn(u64, u64, &str) -> bool + Send + 'static) {
        *self.0.lock().expect("no test panicked in it") = Some(Box::new(cut));
    }

    fn holds(&self, from: u64, to: u64, path: &str) -> bool {
        self.0.lock().expect("no test panicked in it").as_ref().is_some_and(|cut| cut(from, to, path))
    }
}

/// A wall clock that is set by hand.
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).expect("a time")
    }
}

/// A running member and its listener.
pub(crate) struct Running {
    pub(crate) control: Control,
    stop: watch::Sender<bool>,
}

impl Running {
    pub(crate) fn reader(&self) -> Reader {
        self.control.reader()
    }

    pub(crate) fn writer(&self) -> Writer {
        self.control.writer()
    }

    /// Ends the member without a word to anybody: its sockets are closed and its log is let go.
    pub(crate) async fn kill(self) {
        self.stop.send_replace(true);
        self.control.shutdown().await;
    }
}

impl Cluster {
    pub(crate) fn new(timings: Timings, uris: &[&str]) -> Self {
        let mut cluster = Self {
            authority: Authority::new(),
            dir: tempfile::tempdir().expect("a folder"),
            seats: BTreeMap::new(),
            timings,
            learners: BTreeMap::new(),
            clock: Arc::new(HandClock(AtomicI64::new(1_800_000_000))),
            cuts: Cuts::default(),
        };
        for uri in uris {
            cluster.add(uri);
        }
        cluster
    }

    pub(crate) fn add(&mut self, uri: &str) -> &Seat {
        let id: PeerId = uri.parse().expect("an id");
        let dir = self.dir.path().join(id.node.to_string());
        let tls = self.authority.tls(&dir.join("tls"), uri);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        let at = Endpoint::new("127.0.0.1".parse().expect("a host"), port);
        let seat = Seat { id, tls, member: Member::new(id.kind, at), dir, socket: Some(socket) };
        self.seats.entry(id.node.0).insert_entry(seat).into_mut()
    }

    pub(crate) fn voters(&self) -> BTreeMap<NodeId, Member> {
        let voters = self.seats.values().filter(|seat| matches!(seat.id.kind, PeerKind::Region(_)));
        voters.map(|seat| (seat.id.node, seat.member.clone())).collect()
    }

    /// Empties the folder in which a member keeps its log, as a new disk in the same machine would be.
    pub(crate) fn wipe(&self, node: u64) {
        std::fs::remove_dir_all(self.seats[&node].dir.join("control")).expect("it is there");
    }

    /// What a member is made of, by its seat.
    pub(crate) fn config(&self, node: u64) -> Config {
        let seat = &self.seats[&node];
        Config {
            id: seat.id.node,
            dir: seat.dir.join("control"),
            tls: seat.tls.clone(),
            pool: PeerPool::new(seat.tls.clone()),
            peers: self.voters(),
            learners: self.learners.clone(),
            timings: self.timings,
            clock: self.clock.clone(),
        }
    }

    pub(crate) async fn start(&mut self, node: u64) -> Running {
        let control = Control::start(self.config(node)).await.expect("starts");
        self.serve(node, control)
    }

    /// Opens a member's listener.
    pub(crate) fn serve(&mut self, node: u64, control: Control) -> Running {
        let seat = self.seats.get_mut(&node).expect("a seat");
        let socket = match seat.socket.take() {
            Some(socket) => socket,
            None => std::net::TcpListener::bind(("127.0.0.1", seat.member.port)).expect("the same port again"),
        };
        let stop = watch::channel(false).0;
        let door = Door { control: control.clone(), own: seat.id.node.0, cuts: self.cuts.clone() };
        tokio::spawn(listen(socket, seat.tls.clone(), door, stop.subscribe()));
        Running { control, stop }
    }

    pub(crate) async fn start_all(&mut self) -> BTreeMap<u64, Running> {
        let nodes: Vec<u64> = self.voters().keys().map(|id| id.0).collect();
        let mut running = BTreeMap::new();
        for node in nodes {
            running.insert(node, self.start(node).await);
        }
        running
    }

    /// Starts the voters and makes them a cluster.
    pub(crate) async fn form(&mut self) -> BTreeMap<u64, Running> {
        let running = self.start_all().await;
        let first = running.values().next().expect("a member");
        first.control.initialize(self.voters()).await.expect("initialises");
        leader_of(&running).await;
        running
    }
}

/// Waits until every member follows one leader and has proven its view, and tells who leads.
pub(crate) async fn leader_of(running: &BTreeMap<u64, Running>) -> u64 {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let leaders: Vec<_> = running.values().map(|r| r.reader().status().leader).collect();
        let fresh = running.values().all(|r| r.reader().age() < PATIENCE);
        if let Some(leader) = leaders[0].filter(|id| running.contains_key(&id.0))
            && leaders.iter().all(|l| *l == Some(leader))
            && running[&leader.0].reader().status().standing == Standing::Leader
            && fresh
        {
            return leader.0;
        }
        assert!(tokio::time::Instant::now() < deadline, "no leader: {leaders:?}");
        let first = running.values().next().expect("a member").reader();
        let _ = first.wait(|_| false, std::time::Duration::from_millis(20)).await;
    }
}

/// Waits until the disk of every member is noted.
pub(crate) async fn enlisted(running: &Running) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !running.control.roster().await.members.iter().all(|line| line.disk.is_some()) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", running.control.roster().await);
        let _ = running.reader().wait(|_| false, std::time::Duration::from_millis(20)).await;
    }
}

/// What answers the peers of one member.
#[derive(Clone)]
struct Door {
    control: Control,
    own: u64,
    cuts: Cuts,
}

impl Door {
    async fn answer(&self, peer: PeerId, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if self.cuts.holds(peer.node.0, self.own, request.uri().path()) {
            let mut lost = Response::new(Full::default());
            *lost.status_mut() = StatusCode::FORBIDDEN;
            return lost;
        }
        self.control.serve_peer(&peer, request).await
    }
}

async fn listen(socket: std::net::TcpListener, tls: PeerTls, door: Door, mut stop: watch::Receiver<bool>) {
    socket.set_nonblocking(true).expect("a socket");
    let listener = TcpListener::from_std(socket).expect("a listener");
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((tcp, _)) = accepted else { continue };
        let (acceptor, door) = (TlsAcceptor::from(tls.server_config()), door.clone());
        let mut stop = stop.clone();
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(tcp).await else { return };
            let Ok(peer) = peer_of(stream.get_ref().1) else { return };
            let service = service_fn(move |request| {
                let door = door.clone();
                async move { Ok::<_, std::convert::Infallible>(door.answer(peer, request).await) }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}
