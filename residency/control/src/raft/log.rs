//! Raft's log and vote on redb.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    AnyError, EntryPayload, ErrorSubject, ErrorVerb, LogState, OptionalSend, RaftLogReader, StorageIOError,
};
use redb::{ReadableDatabase, ReadableTable};
use serde::de::DeserializeOwned;

use super::disk::{self, Disk, LOG, Latched, Opened, Work};
use super::recent::Recent;
use super::types::{Entry, LogId, StorageError, TypeConfig, Vote};

/// How many bytes of entries one message to a follower carries, unless one entry alone is larger: a message must
/// fit into its time-out, which is one heartbeat.
pub const MESSAGE_BYTES: usize = 1 << 20;

/// Raft's log and vote.
#[derive(Clone)]
pub struct LogStore {
    disk: Disk,
    own: OwnEntries,
    recent: Recent,
}

/// How many entries with commands were handed to this log in the name of the member whose log it is. openraft gives
/// one answer to what it never appended and to what it appended and another leader then cut off; where this count did
/// not move in between, it was the former.
#[derive(Clone, Default)]
pub(crate) struct OwnEntries(Arc<AtomicU64>);

impl OwnEntries {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Reads the log.
#[derive(Clone)]
pub struct LogReader {
    opened: Arc<Opened>,
    recent: Recent,
}

impl LogStore {
    /// The log on this disk.
    pub fn new(disk: Disk) -> Self {
        Self { disk, own: OwnEntries::default(), recent: Recent::default() }
    }

    pub(crate) fn own_entries(&self) -> OwnEntries {
        self.own.clone()
    }

    fn reader(&self) -> LogReader {
        LogReader { opened: self.disk.opened.clone(), recent: self.recent.clone() }
    }

    fn meta<T: DeserializeOwned>(
        &self,
        name: &str,
        subject: &ErrorSubject<u64>,
    ) -> Result<Option<T>, StorageError> {
        let failed = |error: AnyError| StorageIOError::new(subject.clone(), ErrorVerb::Read, error);
        let bytes = disk::meta(&self.disk.opened, name).map_err(|e| failed(AnyError::new(&e)))?;
        Ok(bytes.map(|b| postcard::from_bytes(&b)).transpose().map_err(|e| failed(AnyError::new(&e)))?)
    }

    async fn write(&self, work: Work, subject: ErrorSubject<u64>) -> Result<(), StorageError> {
        let result = self.disk.write(work).await;
        Ok(result.map_err(|e| StorageIOError::new(subject, ErrorVerb::Write, AnyError::new(&e)))?)
    }
}

fn encode<T: serde::Serialize>(value: &T, subject: ErrorSubject<u64>) -> Result<Vec<u8>, StorageError> {
    let bytes = postcard::to_allocvec(value);
    Ok(bytes.map_err(|e| StorageIOError::new(subject, ErrorVerb::Write, AnyError::new(&e)))?)
}

fn read_failed(error: impl Into<redb::Error>) -> StorageError {
    StorageIOError::read_logs(AnyError::new(&error.into())).into()
}

impl LogReader {
    /// Entries of a range, until they weigh more than `bytes_max`; at least one.
    fn entries(&self, range: (Bound<u64>, Bound<u64>), bytes_max: usize) -> Result<Vec<Entry>, StorageError> {
        if let Some(entries) = self.recent.entries(&range, bytes_max) {
            return Ok(entries);
        }
        let table =
            self.opened.database.begin_read().map_err(read_failed)?.open_table(LOG).map_err(read_failed)?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        for line in table.range(range).map_err(read_failed)? {
            let (_, value) = line.map_err(read_failed)?;
            let value = value.value();
            bytes += value.len();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            let entry = postcard::from_bytes(value);
            entries.push(entry.map_err(|e| StorageError::from(StorageIOError::read_logs(AnyError::new(&e))))?);
        }
        Ok(entries)
    }

    fn last(&self) -> Result<Option<LogId>, StorageError> {
        let table =
            self.opened.database.begin_read().map_err(read_failed)?.open_table(LOG).map_err(read_failed)?;
        let Some((_, value)) = table.last().map_err(read_failed)? else { return Ok(None) };
        let entry: Result<Entry, _> = postcard::from_bytes(value.value());
        Ok(Some(entry.map_err(|e| StorageIOError::read_logs(AnyError::new(&e)))?.log_id))
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        self.entries((range.start_bound().cloned(), range.end_bound().cloned()), usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.entries((Bound::Included(start), Bound::Excluded(end)), MESSAGE_BYTES)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        self.reader().try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.reader().limited_get_log_entries(start, end).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let last_purged_log_id: Option<LogId> = self.meta(disk::PURGED, &ErrorSubject::Logs)?;
        let last_log_id = self.reader().last()?.or(last_purged_log_id);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let bytes = encode(vote, ErrorSubject::Vote)?;
        self.write(Work::Vote(bytes), ErrorSubject::Vote).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.meta(disk::VOTE, &ErrorSubject::Vote)
    }

    /// Lets a member that restarts while there is no quorum know again what it had applied. It goes to disk with
    /// the next write, or alone after a moment of silence: it is never waited for.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let bytes = encode(&committed, ErrorSubject::Logs)?;
        let noted = self.disk.note_committed(bytes);
        Ok(noted.map_err(|e| StorageIOError::new(ErrorSubject::Logs, ErrorVerb::Write, AnyError::new(&e)))?)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.meta::<Option<LogId>>(disk::COMMITTED, &ErrorSubject::Logs)?.flatten())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (mut encoded, mut written) = (Vec::new(), Vec::new());
        for entry in entries {
            let own = entry.log_id.leader_id.node_id == self.disk.node.0;
            if own && matches!(entry.payload, EntryPayload::Normal(_)) {
                self.own.0.fetch_add(1, Ordering::Release);
            }
            let bytes = encode(&entry, ErrorSubject::Log(entry.log_id))?;
            let size = bytes.len();
            encoded.push((entry.log_id.index, bytes));
            written.push((entry, size));
        }
        // The entries must be readable when this returns, and the caller waits for the fsync in any case.
        let result = self.disk.write(Work::Append(encoded)).await;
        if result.is_ok() {
            self.recent.add(written);
        }
        callback.log_io_completed(result.map_err(|latched: Latched| std::io::Error::other(latched)));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.recent.forget_from(log_id.index);
        self.write(Work::TruncateFrom(log_id.index), ErrorSubject::Logs).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let bytes = encode(&log_id, ErrorSubject::Logs)?;
        self.recent.forget_through(log_id.index);
        self.write(Work::PurgeThrough(log_id.index, bytes), ErrorSubject::Logs).await
    }
}
