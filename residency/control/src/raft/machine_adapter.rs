//! The state machine as Raft drives it, and the view of it that readers share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError};
use residency_policy::NodeId;
use tokio::sync::watch;

use super::freshness::{Freshness, Stamp};
use super::kept::Kept;
use super::spool::Spool;
use super::types::{Entry, LogId, Member, SnapshotMeta, StorageError, StoredMembership, TypeConfig};
use crate::command::Outcome;
use crate::machine::{State, apply};
use crate::seats;

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

    /// Moves a few of the directory's late entries to where they belong. Says whether there are more that could be moved
    /// now.
    fn settle(&self) -> bool {
        let unsettled = self.read(|applied| !applied.state.directory.is_settled());
        // No index is told of: the state says what it said before.
        unsettled && self.applied.write().unwrap_or_else(PoisonError::into_inner).state.directory.settle()
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
    kept: Arc<Kept>,
}

impl Machine {
    /// Restores the machine from the snapshot in this folder, if there is one.
    pub fn open(dir: &Path, view: Arc<View>) -> Result<Self, StorageError> {
        let (kept, there) = Kept::open(dir)?;
        let machine = Self { view, kept: Arc::new(kept) };
        if let Some((meta, state)) = there {
            machine.take(&meta, state);
        }
        Ok(machine)
    }

    /// Puts a state in the place of the present one, which is given back: letting go of a large one takes a while.
    fn take(&self, meta: &SnapshotMeta, mut state: State) -> Applied {
        // A snapshot from before ids were kept holds none of them, and its members are known all the same.
        seats::seat(&mut state, meta.last_membership.nodes().map(|(id, _)| NodeId(*id)));
        let mut new = Applied { state, last: meta.last_log_id, membership: meta.last_membership.clone() };
        self.view.write(|applied| {
            new.state.directory.count_on_from(&applied.state.directory);
            std::mem::replace(applied, new)
        })
    }
}

/// One log entry's change. The outcomes answer the proposals in it, in order.
fn apply_entry(applied: &mut Applied, entry: Entry) -> Vec<Outcome> {
    applied.last = Some(entry.log_id);
    applied.state.directory.settle();
    match entry.payload {
        EntryPayload::Blank => Vec::new(),
        EntryPayload::Normal(batch) => {
            batch.0.iter().map(|command| apply(&mut applied.state, command.clone())).collect()
        }
        EntryPayload::Membership(membership) => {
            seats::seat(&mut applied.state, membership.nodes().map(|(id, _)| NodeId(*id)));
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
        // The clone shares what is large with the living state, and what changes from here on does not change in it.
        let applied = self.view.read(Applied::clone);
        Builder { applied, view: self.view.clone(), kept: self.kept.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Spool>, StorageError> {
        let kept = self.kept.clone();
        blocking(move || kept.receive()).await.map(Box::new)
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Spool>,
    ) -> Result<(), StorageError> {
        let (file, draft) = snapshot.into_parts().await;
        let (kept, described) = (self.kept.clone(), meta.clone());
        let state = blocking(move || kept.install(&described, file, draft)).await?;
        let past = self.take(meta, state);
        tokio::task::spawn_blocking(move || drop(past));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let kept = self.kept.clone();
        let found = blocking(move || kept.present()).await?;
        Ok(found.map(|(meta, spool)| Snapshot { meta, snapshot: Box::new(spool) }))
    }
}

/// Builds a snapshot of the state as it was when the builder was made.
pub struct Builder {
    applied: Applied,
    view: Arc<View>,
    kept: Arc<Kept>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let last = self.applied.last;
        let place = last.map_or_else(|| "0-0".to_owned(), |id| format!("{}-{}", id.leader_id.term, id.index));
        let meta = SnapshotMeta {
            last_log_id: last,
            last_membership: self.applied.membership.clone(),
            snapshot_id: format!("{place}-{}", self.kept.next_number()),
        };
        let (kept, state, described) =
            (self.kept.clone(), std::mem::take(&mut self.applied.state), meta.clone());
        let built = blocking(move || kept.build(&described, &state)).await;
        // The state that was shared is gone, and what came meanwhile can find its place. Nobody waits for it.
        tokio::spawn(settle(self.view.clone()));
        let spool = built?;
        Ok(Snapshot { meta, snapshot: Box::new(spool) })
    }
}

/// A few entries at a time, so that readers and changes come in between.
async fn settle(view: Arc<View>) {
    while view.settle() {
        tokio::task::yield_now().await;
    }
}

/// Hashing and disk work, off the threads that answer requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(StorageIOError::write_snapshot(None, AnyError::new(&e)).into()))
}

/// The members as this view has them: node id -> (member, whether it votes).
pub(crate) fn members(membership: &StoredMembership) -> BTreeMap<u64, (Member, bool)> {
    let voters: std::collections::BTreeSet<u64> = membership.voter_ids().collect();
    membership.nodes().map(|(id, member)| (*id, (member.clone(), voters.contains(id)))).collect()
}
