//! One running member of the control plane.

mod barrier;
mod compact;
mod company;
mod config;
mod hand_over;
mod propose;
mod remember;
mod report;
mod roster;
mod serve;
mod status;
mod tend;
mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use openraft::{ServerState, SnapshotPolicy};
use residency_policy::NodeId;
use tokio::sync::{mpsc, watch as channel};

use crate::peer::{PeerId, PeerKind};
use crate::raft::disk::Disk;
use crate::raft::log::{LogStore, MESSAGE_BYTES, OwnEntries};
use crate::raft::machine_adapter::{Machine, View};
use crate::raft::membership::{self, MembershipError};
use crate::raft::network::{Calls, Network};
use crate::raft::types::{Member, Raft};
use crate::system::SystemEntropy;
use crate::{Reader, Writer};

pub use config::{Config, FatalReason, StartError, Timings};
pub use report::{MemberLine, MemberReport, Roster};
pub use roster::{CAUGHT_UP_WITHIN, RosterChange};
pub use status::{MemberStatus, Standing, Status};

/// How long a stopping member waits for its log to be closed.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// A running member. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    core: Arc<Core>,
}

/// What readers, writers and the peer routes share.
pub(crate) struct Core {
    pub(crate) view: Arc<View>,
    id: u64,
    kind: PeerKind,
    raft: Raft,
    own_entries: OwnEntries,
    calls: Arc<Calls>,
    learners: BTreeMap<NodeId, Member>,
    timings: Timings,
    asks: mpsc::Sender<propose::Ask>,
    wishes: mpsc::Sender<barrier::Wish>,
    counters: Counters,
    /// Whether this member, as leader, takes no more proposals because it hands the lead over.
    yielding: AtomicBool,
    /// Held while an entry of this member's own is on its way.
    appending: tokio::sync::Mutex<()>,
    /// Held while this member hands the lead over.
    handing_over: tokio::sync::Mutex<()>,
    stopping: channel::Sender<bool>,
    fatal: channel::Sender<Option<FatalReason>>,
    closed: channel::Receiver<()>,
}

#[derive(Default)]
struct Counters {
    entries: AtomicU64,
    commands: AtomicU64,
    forwarded: AtomicU64,
    rounds: AtomicU64,
}

/// Who leads, as far as this member knows.
enum Leads {
    /// This member, and a quorum agreed a moment ago.
    Here,
    /// Another member.
    There(u64, Member),
    /// Nobody that is known, or this member without a quorum.
    Nobody,
    /// This member no longer runs.
    Stopped,
}

impl Control {
    /// Starts the member from its disk.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let (dir, node) = (config.dir.clone(), config.id);
        let opened = tokio::task::spawn_blocking(move || Disk::open(&dir, node));
        let disk = opened.await.map_err(|e| StartError::Raft(e.to_string()))??;
        Self::start_on(config, disk).await
    }

    /// Starts the member with a log on a disk that is open already, for tests of failing disks.
    #[doc(hidden)]
    pub async fn start_on(config: Config, disk: Disk) -> Result<Self, StartError> {
        let own = config.check()?;
        let view = Arc::new(View::new(&SystemEntropy::new()));
        let (dir, shared) = (config.dir.clone(), view.clone());
        let machine = tokio::task::spawn_blocking(move || {
            Machine::open(&dir, shared).map_err(|e| StartError::Snapshot(e.to_string()))
        });
        let machine = machine.await.map_err(|e| StartError::Raft(e.to_string()))??;
        let (latched, closed) = (disk.latched(), disk.closed());
        let before = disk.remembered();
        if let Some((age, before)) = before.and_then(|before| before.age(config.clock.now()).zip(Some(before)))
        {
            view.freshness.resume(age, before.applied);
        }
        let memory = disk.clone();

        let fatal = channel::channel(None).0;
        let calls = Arc::new(Calls {
            pool: config.pool,
            configured: config.peers,
            own: config.id,
            disk: disk.id(),
            view: view.clone(),
            heard: Mutex::default(),
            fatal: fatal.clone(),
        });
        let network = Network { calls: calls.clone(), view: view.clone(), own: config.id.0 };
        let settings = Arc::new(raft_config(config.timings)?);
        let log = LogStore::new(disk);
        let own_entries = log.own_entries();
        let raft = Raft::new(config.id.0, settings, network, log, machine)
            .await
            .map_err(|e| StartError::Raft(e.to_string()))?;

        let (asks, queue) = mpsc::channel(propose::QUEUE);
        let (wishes, waiting) = mpsc::channel(barrier::QUEUE);
        let core = Arc::new(Core {
            view,
            id: config.id.0,
            kind: own.kind,
            raft,
            own_entries,
            calls,
            learners: config.learners,
            timings: config.timings,
            asks,
            wishes,
            counters: Counters::default(),
            yielding: AtomicBool::new(false),
            appending: tokio::sync::Mutex::default(),
            handing_over: tokio::sync::Mutex::default(),
            stopping: channel::channel(false).0,
            fatal,
            closed,
        });
        tokio::spawn(propose::run(core.clone(), queue));
        tokio::spawn(barrier::run(core.clone(), waiting));
        tokio::spawn(compact::run(core.clone()));
        tokio::spawn(watch::run(core.clone(), latched));
        tokio::spawn(remember::run(core.clone(), memory, config.clock));
        tokio::spawn(tend::run(core.clone()));
        Ok(Self { core })
    }

    /// Makes a new cluster of these voters. Once, on one of them.
    pub async fn initialize(&self, voters: BTreeMap<NodeId, Member>) -> Result<(), MembershipError> {
        membership::initialize(&self.core.raft, voters).await
    }

    /// Whether this member belongs to a cluster already.
    pub async fn is_initialized(&self) -> bool {
        self.core.raft.is_initialized().await.unwrap_or(false)
    }

    /// Local reads.
    pub fn reader(&self) -> Reader {
        Reader::new(self.core.clone())
    }

    /// Proposals.
    pub fn writer(&self) -> Writer {
        Writer::new(self.core.clone())
    }

    /// Answers a peer: `POST /raft/{append,vote,snapshot}` and
    /// `/control/{propose,barrier,report,roster,lead}`. `peer` is who the
    /// certificate of the connection names; whoever owns the listener hands it over.
    pub async fn serve_peer<B>(&self, peer: &PeerId, request: http::Request<B>) -> http::Response<Full<Bytes>>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        serve::answer(&self.core, peer, request).await
    }

    /// Resolves when this member can no longer take part, for one after a failed fsync: the process must say so and
    /// end. It does not resolve otherwise.
    pub async fn fatal(&self) -> FatalReason {
        let mut fatal = self.core.fatal.subscribe();
        loop {
            if let Some(reason) = fatal.borrow_and_update().clone() {
                return reason;
            }
            if fatal.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Asks for a snapshot now, rather than after the configured number of log entries.
    pub async fn build_snapshot(&self) -> Result<(), MembershipError> {
        self.core.raft.trigger().snapshot().await.map_err(|_| MembershipError::ShuttingDown)
    }

    /// Stops and closes the log. Proposals that wait are told; readers keep the last view.
    pub async fn shutdown(&self) {
        self.core.stopping.send_replace(true);
        let _ = self.core.raft.shutdown().await;
        let mut closed = self.core.closed.clone();
        if tokio::time::timeout(CLOSE_WAIT, closed.changed()).await.is_err() {
            tracing::warn!("the control plane's log was not closed in time");
        }
    }
}

impl Core {
    /// The members as this view has them: id -> (member, whether it votes).
    fn members(&self) -> BTreeMap<u64, (Member, bool)> {
        let metrics = self.raft.metrics();
        let membership = metrics.borrow().membership_config.clone();
        crate::raft::machine_adapter::members(&membership)
    }

    fn leads(&self) -> Leads {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        if metrics.running_state.is_err() {
            return Leads::Stopped;
        }
        match metrics.current_leader {
            None => Leads::Nobody,
            Some(id) if id == self.id => {
                let fresh =
                    self.view.freshness.shown().is_some_and(|age| age <= self.timings.quorum_patience());
                let yields = self.yielding.load(Ordering::Acquire);
                if metrics.state == ServerState::Leader && fresh && !yields {
                    Leads::Here
                } else {
                    Leads::Nobody
                }
            }
            Some(id) => match metrics.membership_config.membership().get_node(&id) {
                Some(member) => Leads::There(id, member.clone()),
                None => Leads::Nobody,
            },
        }
    }

    /// Waits until this member has applied an index, or gives up at an instant.
    async fn applied(&self, index: u64, until: tokio::time::Instant) -> bool {
        if self.view.index() >= index {
            return true;
        }
        let mut seen = self.view.watch();
        matches!(tokio::time::timeout_at(until, seen.wait_for(|now| *now >= index)).await, Ok(Ok(_)))
    }
}

fn raft_config(timings: Timings) -> Result<openraft::Config, StartError> {
    let config = openraft::Config {
        cluster_name: "domicile".to_owned(),
        heartbeat_interval: timings.heartbeat_ms,
        election_timeout_min: timings.election_ms_min,
        election_timeout_max: timings.election_ms_max,
        install_snapshot_timeout: 30_000,
        // It cannot know how large the state is.
        snapshot_policy: SnapshotPolicy::Never,
        // A follower that lacks an entry which is purged gets a snapshot. Any other gets entries, however many.
        max_in_snapshot_log_to_keep: timings.keep_entries,
        snapshot_max_chunk_size: MESSAGE_BYTES as u64,
        ..openraft::Config::default()
    };
    config.validate().map_err(|e| StartError::Timings(e.to_string()))
}
