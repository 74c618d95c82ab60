//! The state machine as Raft drives it, and the view of it that readers share.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError};
use tokio::sync::watch;

use super::freshness::{Freshness, Stamp};
use super::types::{Entry, LogId, Member, SnapshotMeta, StorageError, StoredMembership, TypeConfig};
use crate::command::Outcome;
use crate::machine::{State, apply};
use crate::snapshot;
use crate::snapshot_file;

/// The state and how far it got. Both change together.
#[derive(Clone, Default)]
pub(crate) struct Applied {
    pub(crate) state: State,
    pub(crate) last: Option<LogId>,
    pub(crate) membership: StoredMembership,
}

/// What a member knows, shared by Raft, readers and the network.
pub struct View {
    applied: RwLock<Applied>,
    index: watch::Sender<u64>,
    pub(crate) freshness: Freshness,
}

impl View {
    /// An empty view.
    pub fn new(entropy: &dyn residency_policy::Entropy) -> Self {
        Self { applied: RwLock::default(), index: watch::channel(0).0, freshness: Freshness::new(entropy) }
    }

    /// Reads the state. The lock is held for memory reads only, so the wait is that of one entry's changes.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&Applied) -> T) -> T {
        f(&self.applied.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The index of the last entry in the state.
    pub(crate) fn index(&self) -> u64 {
        *self.index.borrow()
    }

    /// Tells of every new index, after the state can be read.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.index.subscribe()
    }

    /// A peer accepted an append that this member sent as the leader of `term`. Before an entry of that term is
    /// applied a leader may not know all that its predecessor told a client of, so it proves nothing.
    pub(crate) fn accepted(&self, own: u64, term: u64, by: u64, sent: Stamp) {
        let voters = self.read(|applied| {
            let own_term = applied.last.is_some_and(|id| id.leader_id.term == term);
            own_term.then(|| applied.membership.membership().get_joint_config().clone())
        });
        if let Some(voters) = voters {
            self.freshness.accepted(term, by, sent, own, &voters);
        }
    }

    fn write<T>(&self, f: impl FnOnce(&mut Applied) -> T) -> T {
        let (out, index) = {
            let mut applied = self.applied.write().unwrap_or_else(PoisonError::into_inner);
            let out = f(&mut applied);
            (out, applied.last.map_or(0, |id| id.index))
        };
        self.index.send_replace(index);
        self.freshness.applied(index);
        out
    }
}

/// Raft's state machine.
pub struct Machine {
    view: Arc<View>,
    file: Arc<SnapshotFile>,
}

/// The snapshot on disk. Only one is written at a time, and never an older one over a newer one.
struct SnapshotFile {
    dir: PathBuf,
    last: Mutex<Option<LogId>>,
    built: AtomicU64,
}

fn failed_read(error: &(impl std::error::Error + 'static)) -> StorageError {
    StorageIOError::read_snapshot(None, AnyError::new(error)).into()
}

fn failed_write(error: &(impl std::error::Error + 'static)) -> StorageError {
    StorageIOError::write_snapshot(None, AnyError::new(error)).into()
}

impl Machine {
    /// Restores the machine from the snapshot in this folder, if there is one.
    pub fn open(dir: &Path, view: Arc<View>) -> Result<Self, StorageError> {
        let machine = Self {
            view,
            file: Arc::new(SnapshotFile {
                dir: dir.to_owned(),
                last: Mutex::default(),
                built: AtomicU64::new(0),
            }),
        };
        if let Some((meta, image)) = machine.file.read()? {
            let state = snapshot::restore(&image).map_err(|e| failed_read(&e))?;
            machine.take(&meta, state);
            *machine.file.last.lock().unwrap_or_else(PoisonError::into_inner) = meta.last_log_id;
        }
        Ok(machine)
    }

    fn take(&self, meta: &SnapshotMeta, state: State) {
        self.view.write(|applied| {
            *applied = Applied { state, last: meta.last_log_id, membership: meta.last_membership.clone() };
        });
    }
}

impl SnapshotFile {
    fn read(&self) -> Result<Option<(SnapshotMeta, Vec<u8>)>, StorageError> {
        let Some((meta, image)) = snapshot_file::read(&self.dir).map_err(|e| failed_read(&e))? else {
            return Ok(None);
        };
        let meta = postcard::from_bytes(&meta).map_err(|e| failed_read(&e))?;
        Ok(Some((meta, image.into())))
    }

    fn replace(&self, meta: &SnapshotMeta, image: &[u8]) -> Result<(), StorageError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last > meta.last_log_id {
            return Ok(());
        }
        let described = postcard::to_allocvec(meta).map_err(|e| failed_write(&e))?;
        snapshot_file::replace(&self.dir, &described, image).map_err(|e| failed_write(&e))?;
        *last = meta.last_log_id;
        Ok(())
    }
}

/// One log entry's change. The outcomes answer the proposals in it, in order.
fn apply_entry(applied: &mut Applied, entry: Entry) -> Vec<Outcome> {
    applied.last = Some(entry.log_id);
    match entry.payload {
        EntryPayload::Blank => Vec::new(),
        EntryPayload::Normal(batch) => {
            batch.0.into_iter().map(|command| apply(&mut applied.state, command)).collect()
        }
        EntryPayload::Membership(membership) => {
            applied.membership = StoredMembership::new(Some(entry.log_id), membership);
            Vec::new()
        }
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok(self.view.read(|applied| (applied.last, applied.membership.clone())))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Outcome>>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        // One lock for an entry, not for all of them: a follower that catches up must not hold readers up.
        Ok(entries.into_iter().map(|entry| self.view.write(|applied| apply_entry(applied, entry))).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        // The clone shares the directory's shards; what changes from here on is copied shard by shard.
        Builder { applied: self.view.read(Applied::clone), file: self.file.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let (file, described) = (self.file.clone(), meta.clone());
        let state = blocking(move || {
            let image = snapshot.into_inner();
            let state = snapshot::restore(&image).map_err(|e| failed_read(&e))?;
            file.replace(&described, &image)?;
            Ok(state)
        })
        .await?;
        self.take(meta, state);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let file = self.file.clone();
        let found = blocking(move || file.read()).await?;
        Ok(found.map(|(meta, image)| Snapshot { meta, snapshot: Box::new(Cursor::new(image)) }))
    }
}

/// Builds a snapshot of the state as it was when the builder was made.
pub struct Builder {
    applied: Applied,
    file: Arc<SnapshotFile>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let number = self.file.built.fetch_add(1, Ordering::Relaxed);
        let last = self.applied.last;
        let place = last.map_or_else(|| "0-0".to_owned(), |id| format!("{}-{}", id.leader_id.term, id.index));
        let meta = SnapshotMeta {
            last_log_id: last,
            last_membership: self.applied.membership.clone(),
            snapshot_id: format!("{place}-{number}"),
        };
        let (file, state, described) = (self.file.clone(), self.applied.state.clone(), meta.clone());
        let image = blocking(move || {
            let image = snapshot::encode(&state).map_err(|e| failed_write(&e))?;
            file.replace(&described, &image)?;
            Ok(Vec::from(image))
        })
        .await?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(image)) })
    }
}

/// Hashing and disk work, off the threads that answer requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(failed_write(&e)))
}

/// The members as this view has them: node id -> (member, whether it votes).
pub(crate) fn members(membership: &StoredMembership) -> BTreeMap<u64, (Member, bool)> {
    let voters: std::collections::BTreeSet<u64> = membership.voter_ids().collect();
    membership.nodes().map(|(id, member)| (*id, (member.clone(), voters.contains(id)))).collect()
}
