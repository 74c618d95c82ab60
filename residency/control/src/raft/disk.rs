//! The log's file, and the one thread that writes to it.
//!
//! Log and vote go through one ordered queue, each job is one redb transaction with one fsync, and a job is answered
//! after that fsync. The first failed write latches: the kernel marks pages clean when an fsync fails, so a later
//! fsync could succeed over lost bytes ("Can applications recover from fsync failures?", USENIX ATC 2020). After it
//! every write fails, the process must end, and the next one copies the file before it believes it.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use residency_policy::{DiskId, NodeId};
use tokio::sync::{oneshot, watch};

use super::remembered::Remembered;
use super::suspect;
use crate::snapshot_file;
use crate::system::SystemEntropy;

pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

pub(super) const VOTE: &str = "vote";
pub(super) const COMMITTED: &str = "committed";
pub(super) const PURGED: &str = "purged";
const REMEMBERED: &str = "remembered";
const LOG_FILE: &str = "log.redb";
const NODE: &str = "node";
const DISK: &str = "disk";

/// How much of the log's file redb keeps in memory. Its own default of 1 GiB would not fit a small node.
const CACHE_BYTES: usize = 8 << 20;
/// How long the commit index may wait for company before it is written by itself.
const COMMITTED_WAIT: Duration = Duration::from_millis(100);

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder cannot be used.
    #[error("the control plane's log cannot be opened: {0}")]
    Database(String),
    /// Others may read the store.
    #[error(
        "{path} of the control plane's store may be read or written by others than its owner: run `chmod 600 {path}`",
        path = _0.display()
    )]
    OpenToOthers(PathBuf),
    /// The disk belongs to another member.
    #[error(
        "the log on this disk belongs to node {found}, not to node {expected}: node ids are never used again"
    )]
    OtherNode {
        /// Who the log says it belongs to.
        found: NodeId,
        /// Who was to start on it.
        expected: NodeId,
    },
}

impl OpenError {
    fn database(error: impl Into<redb::Error>) -> Self {
        Self::Database(error.into().to_string())
    }
}

/// Why a write failed, for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the control plane's log can no longer be written: {0}")]
pub struct Latched(pub Arc<str>);

/// One change of the file.
pub(crate) enum Work {
    Append(Vec<(u64, Vec<u8>)>),
    Vote(Vec<u8>),
    /// The commit index that was noted, and nothing else.
    Noted,
    TruncateFrom(u64),
    PurgeThrough(u64, Vec<u8>),
    /// When the view was last proven. What is committed goes with it, so that a member which starts from here has
    /// applied as much as it had then.
    Remember(Vec<u8>),
}

struct Job {
    work: Work,
    done: oneshot::Sender<Result<(), Latched>>,
}

/// The commit index that waits for the next write. It may be lost: it is derived from what a quorum holds.
#[derive(Default)]
struct Noted {
    committed: Option<Vec<u8>>,
    /// Whether the writer looks here by itself, soon.
    awaited: bool,
}

/// The file. It is closed when the last clone is gone.
pub(super) struct Opened {
    pub(super) database: Database,
    /// Made with the file, and gone with it.
    pub(super) id: DiskId,
    /// Dropped after the database, which tells whoever waits that the file is free.
    _closed: watch::Sender<()>,
}

/// The log's file with its writer; cheap to clone.
#[derive(Clone)]
pub struct Disk {
    pub(super) opened: Arc<Opened>,
    /// Whose it is.
    pub(super) node: NodeId,
    jobs: Sender<Job>,
    noted: Arc<Mutex<Noted>>,
    latch: Latch,
    closed: watch::Receiver<()>,
}

/// The first failure of a write.
#[derive(Clone)]
struct Latch {
    first: Arc<OnceLock<Latched>>,
    /// Where the file lies, if it is one.
    dir: Option<Arc<Path>>,
    told: Arc<watch::Sender<Option<Latched>>>,
}

impl Latch {
    fn close(&self, error: &redb::Error) -> Latched {
        if let Some(dir) = &self.dir {
            suspect::mark(dir);
        }
        let latched = self.first.get_or_init(|| Latched(error.to_string().into())).clone();
        tracing::error!(%latched, "a write of the control plane's log failed");
        self.told.send_replace(Some(latched.clone()));
        latched
    }
}

impl Disk {
    /// Opens or creates the log in a folder.
    pub fn open(dir: &Path, node: NodeId) -> Result<Self, OpenError> {
        let failed = |e: std::io::Error| OpenError::Database(e.to_string());
        // Who has the log has the digests of all keys, and whoever writes it has the vote.
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        if let Some(path) = snapshot_file::open_to_others(dir, LOG_FILE).map_err(failed)? {
            return Err(OpenError::OpenToOthers(path));
        }
        suspect::renew(dir, LOG_FILE).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(dir.join(LOG_FILE)).map_err(failed)?;
        let backend = FileBackend::new(file).map_err(OpenError::database)?;
        let database = builder().create_with_backend(backend).map_err(OpenError::database)?;
        snapshot_file::sync_dir(dir).map_err(failed)?;
        Self::start(database, node, Some(dir))
    }

    /// Opens or creates the log on something that models a disk.
    pub fn open_on(backend: impl StorageBackend, node: NodeId) -> Result<Self, OpenError> {
        Self::start(builder().create_with_backend(backend).map_err(OpenError::database)?, node, None)
    }

    fn start(database: Database, node: NodeId, dir: Option<&Path>) -> Result<Self, OpenError> {
        let id = claim(&database, node)?;
        let (closed_sender, closed) = watch::channel(());
        let opened = Arc::new(Opened { database, id, _closed: closed_sender });
        let told = Arc::new(watch::channel(None).0);
        let latch = Latch { first: Arc::default(), dir: dir.map(Into::into), told };
        let (jobs, queue) = channel();
        let noted = Arc::<Mutex<Noted>>::default();
        let writer = Writer { opened: opened.clone(), latch: latch.clone(), noted: noted.clone() };
        std::thread::Builder::new()
            .name("control-log".into())
            .spawn(move || writer.run(&queue))
            .map_err(|e| OpenError::Database(e.to_string()))?;
        Ok(Self { opened, node, jobs, noted, latch, closed })
    }

    /// Queues a write and waits until it is on disk.
    pub(crate) async fn write(&self, work: Work) -> Result<(), Latched> {
        let (done, answer) = oneshot::channel();
        let stopped = || Latched("the writer has stopped".into());
        self.jobs.send(Job { work, done }).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Has the commit index written with the next write, or by itself after a moment of silence. Nobody waits for it, and
    /// the writer is not woken for it where it is about to look.
    pub(crate) fn note_committed(&self, committed: Vec<u8>) -> Result<(), Latched> {
        if let Some(latched) = self.latch.first.get() {
            return Err(latched.clone());
        }
        let awaited = {
            let mut noted = lock(&self.noted);
            noted.committed = Some(committed);
            std::mem::replace(&mut noted.awaited, true)
        };
        if !awaited {
            let (done, _) = oneshot::channel();
            let stopped = |_| Latched("the writer has stopped".into());
            self.jobs.send(Job { work: Work::Noted, done }).map_err(stopped)?;
        }
        Ok(())
    }

    /// Which disk this is.
    pub(crate) fn id(&self) -> DiskId {
        self.opened.id
    }

    /// When the view was last proven, if that can be read.
    pub(crate) fn remembered(&self) -> Option<Remembered> {
        let bytes = meta(&self.opened, REMEMBERED).ok().flatten()?;
        postcard::from_bytes(&bytes).ok()
    }

    /// Tells of the first write that failed.
    pub fn latched(&self) -> watch::Receiver<Option<Latched>> {
        self.latch.told.subscribe()
    }

    /// Resolves when the file is closed, after every clone is gone.
    pub fn closed(&self) -> watch::Receiver<()> {
        self.closed.clone()
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Writes whose disk this is and gives it an id, or finds that it is another's.
fn claim(database: &Database, node: NodeId) -> Result<DiskId, OpenError> {
    let (found, disk) = {
        let write = database.begin_write().map_err(OpenError::database)?;
        let found = {
            write.open_table(LOG).map_err(OpenError::database)?;
            let mut meta = write.open_table(META).map_err(OpenError::database)?;
            let found = meta.get(NODE).map_err(OpenError::database)?.map(|value| value.value().to_vec());
            if found.is_none() {
                meta.insert(NODE, node.0.to_le_bytes().as_slice()).map_err(OpenError::database)?;
            }
            let disk = meta.get(DISK).map_err(OpenError::database)?.map(|value| value.value().to_vec());
            let disk = if let Some(bytes) = disk {
                <[u8; 16]>::try_from(bytes.as_slice()).ok().map(DiskId::from_bytes)
            } else {
                let new = DiskId::random(&SystemEntropy::new());
                meta.insert(DISK, new.to_bytes().as_slice()).map_err(OpenError::database)?;
                Some(new)
            };
            (found, disk)
        };
        write.commit().map_err(OpenError::database)?;
        found
    };
    let unreadable = || OpenError::Database("its owner cannot be read".into());
    match found.map(|bytes| <[u8; 8]>::try_from(bytes.as_slice()).map(u64::from_le_bytes)) {
        None => disk.ok_or_else(unreadable),
        Some(Ok(found)) if found == node.0 => disk.ok_or_else(unreadable),
        Some(Ok(found)) => Err(OpenError::OtherNode { found: NodeId(found), expected: node }),
        Some(Err(_)) => Err(unreadable()),
    }
}

struct Writer {
    opened: Arc<Opened>,
    latch: Latch,
    noted: Arc<Mutex<Noted>>,
}

fn lock(noted: &Mutex<Noted>) -> MutexGuard<'_, Noted> {
    noted.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let next = if lock(&self.noted).awaited {
                queue.recv_timeout(COMMITTED_WAIT)
            } else {
                queue.recv().map_err(RecvTimeoutError::from)
            };
            match next {
                // It waits for company, from now on.
                Ok(Job { work: Work::Noted, .. }) => {}
                Ok(Job { work, done }) => {
                    let result = self.write(Some(work));
                    // What was appended is committed soon.
                    lock(&self.noted).awaited = true;
                    // Whoever asked may have gone; the write stands all the same.
                    let _ = done.send(result);
                }
                Err(RecvTimeoutError::Timeout) => self.write_noted(),
                Err(RecvTimeoutError::Disconnected) => return self.write_noted(),
            }
        }
    }

    /// After a moment in which nothing was written.
    fn write_noted(&mut self) {
        let alone = {
            let mut noted = lock(&self.noted);
            noted.awaited = noted.committed.is_some();
            noted.awaited
        };
        if alone {
            let _ = self.write(None);
        }
    }

    fn write(&mut self, work: Option<Work>) -> Result<(), Latched> {
        let committed = lock(&self.noted).committed.take();
        if let Some(latched) = self.latch.first.get() {
            return Err(latched.clone());
        }
        transact(&self.opened.database, work, committed).map_err(|error| self.latch.close(&error))
    }
}

/// One transaction. redb's default durability is an fsync before `commit` returns.
fn transact(database: &Database, work: Option<Work>, committed: Option<Vec<u8>>) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut log = write.open_table(LOG)?;
        let mut meta = write.open_table(META)?;
        if let Some(id) = committed {
            meta.insert(COMMITTED, id.as_slice())?;
        }
        match work {
            None | Some(Work::Noted) => {}
            Some(Work::Append(entries)) => {
                for (index, entry) in entries {
                    log.insert(index, entry.as_slice())?;
                }
            }
            Some(Work::Vote(vote)) => {
                meta.insert(VOTE, vote.as_slice())?;
            }
            Some(Work::TruncateFrom(first)) => log.retain_in(first.., |_, _| false)?,
            Some(Work::PurgeThrough(last, id)) => {
                log.retain_in(..=last, |_, _| false)?;
                meta.insert(PURGED, id.as_slice())?;
            }
            Some(Work::Remember(proof)) => {
                meta.insert(REMEMBERED, proof.as_slice())?;
            }
        }
    }
    write.commit()?;
    Ok(())
}

/// One value beside the log.
pub(super) fn meta(opened: &Opened, name: &str) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = opened.database.begin_read()?.open_table(META)?;
    Ok(table.get(name)?.map(|value| value.value().to_vec()))
}
