//! A keyring in one redb file, for a region of one node.
//!
//! Writes go through one thread that makes everything that arrived during the last fsync durable with the next, so
//! a burst of registrations shares fsyncs. After a destruction the file is written anew: redb copies on write, and
//! the freed pages would keep the destroyed keys. That it is owed is written in the transaction that destroys, so a
//! crash in between delays it to the next opening.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use redb::{Durability, ReadableDatabase, ReadableTable, TableDefinition};
use residency_policy::PatientId;
use tokio::sync::oneshot;

use crate::{DataKeyId, KeyOwner, KeyRecord, Keyring, KeyringError, Wrapped};

mod mend;
mod open;
#[cfg(test)]
mod power_cut;
mod record;
mod scrub;

use open::{Open, Opens, on_disk};
use record::{decode, encode, owned, place, places_of, record};

/// Name of a key -> the key.
const KEYS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("data_keys_1");
/// Owner and version -> name of the key. The last entry of an owner is the newest.
const BY_OWNER: TableDefinition<'_, [u8; 22], [u8; 16]> = TableDefinition::new("by_owner_1");
/// Holds [`SCRUB_OWED`] from a destruction until the file was written anew, and [`CHECKED`] now and then.
const MARKS: TableDefinition<'_, &str, ()> = TableDefinition::new("marks_1");
const SCRUB_OWED: &str = "scrub-owed";
/// Written by every other check, and taken away by the one after it.
const CHECKED: &str = "checked";
const CLOSED: Fault = Fault::Unmended("it could not be opened again after an error");
/// How many writes may share one fsync.
const TOGETHER_MAX: usize = 256;
/// How soon after the beginning of a commit the next one begins at the soonest. A commit writes pages, and how many keys are
/// in it hardly matters: when many register at once, several keys share one, and a key that comes alone waits for nothing.
const COMMITS_APART: Duration = Duration::from_millis(4);

/// The file.
pub struct EmbeddedKeyring {
    shared: Arc<Shared>,
    writes: mpsc::Sender<Write>,
}

struct Shared {
    path: PathBuf,
    opens: Opens,
    // Readers hold the lock for one look-up; a scrub and an opening take it alone. `None` while it cannot be opened.
    open: RwLock<Option<Open>>,
    /// Whether the last write failed.
    failed: AtomicBool,
    /// Whether an fsync failed and the file was not written anew since.
    distrusted: AtomicBool,
    /// Why nothing is written any more, once that is so.
    latched: OnceLock<String>,
}

/// Why the file did not do it.
#[derive(Debug)]
enum Fault {
    /// It could not be read or written.
    Store(redb::Error),
    /// What is in it is not what was put there.
    Damaged(String),
    /// It was met by an earlier fault, and is not mended yet.
    Unmended(&'static str),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

enum Write {
    Insert(KeyRecord, oneshot::Sender<Result<KeyRecord, KeyringError>>),
    Destroy(PatientId, oneshot::Sender<Result<Vec<DataKeyId>, KeyringError>>),
    Replace(DataKeyId, Wrapped, Wrapped, oneshot::Sender<Result<bool, KeyringError>>),
    /// Changes nothing but a mark. From a reader who met a fault nobody waits: it is for what is mended before it.
    Check(Option<oneshot::Sender<Result<(), KeyringError>>>),
}

impl EmbeddedKeyring {
    /// Opens the keyring file, or makes it when there is none.
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        let unusable = |why: String| KeyringError::Unusable { keyring: path.display().to_string(), why };
        if let Some(folder) = path.ancestors().skip(1).find(|folder| folder.join("PG_VERSION").exists()) {
            return Err(unusable(format!(
                "it is inside the Postgres data directory {}, so that a backup would hold PHI and keys together: \
                 keep it elsewhere",
                folder.display()
            )));
        }
        let shared = Shared::open(path, Box::new(on_disk)).map_err(|fault| match fault {
            Fault::Store(error) => unusable(error.to_string()),
            Fault::Damaged(why) => unusable(why),
            Fault::Unmended(why) => unusable(why.into()),
        })?;
        let shared = Arc::new(shared);
        let (writes, queue) = mpsc::channel();
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("keyring".into())
            .spawn(move || write_all(&for_thread, &queue))
            .map_err(|error| unusable(format!("its thread cannot be started: {error}")))?;
        Ok(Self { shared, writes })
    }

    fn ask<T: Send + 'static>(
        &self,
        write: impl FnOnce(oneshot::Sender<Result<T, KeyringError>>) -> Write,
    ) -> BoxFuture<'_, Result<T, KeyringError>> {
        let (answer, answered) = oneshot::channel();
        let sent = self.writes.send(write(answer));
        Box::pin(async move {
            let gone = || self.shared.unavailable("its thread has ended");
            sent.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        })
    }

    fn look<T>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, KeyringError> {
        let open = self.shared.open.read().unwrap_or_else(PoisonError::into_inner);
        let looked = open.as_ref().ok_or(CLOSED).and_then(|open| read(&open.database.begin_read()?));
        looked.map_err(|fault| {
            if !matches!(fault, Fault::Damaged(_)) {
                // Whoever asks next finds it mended, or meets the fault as well.
                let _ = self.writes.send(Write::Check(None));
            }
            self.shared.refusal(&fault)
        })
    }
}

impl Keyring for EmbeddedKeyring {
    fn newest(&self, owner: KeyOwner) -> BoxFuture<'_, Result<Option<KeyRecord>, KeyringError>> {
        Box::pin(async move {
            self.look(|txn| {
                // Nothing new is sealed under a key that may not be on the disk. What is sealed opens all the same.
                if self.shared.distrusted.load(Ordering::Acquire) {
                    return Err(Fault::Unmended("an fsync failed, and the file could not be written anew yet"));
                }
                let by_owner = txn.open_table(BY_OWNER)?;
                let range = by_owner.range(place(owner, 0)..=place(owner, u32::MAX))?;
                let Some(last) = range.last().transpose()? else { return Ok(None) };
                owned(&txn.open_table(KEYS)?, last.1.value()).map(Some)
            })
        })
    }

    fn by_id(&self, id: DataKeyId) -> BoxFuture<'_, Result<Option<KeyRecord>, KeyringError>> {
        Box::pin(async move { self.look(|txn| record(&txn.open_table(KEYS)?, id.0)) })
    }

    fn insert(&self, new: KeyRecord) -> BoxFuture<'_, Result<KeyRecord, KeyringError>> {
        self.ask(|answer| Write::Insert(new, answer))
    }

    fn destroy(&self, patient: PatientId) -> BoxFuture<'_, Result<Vec<DataKeyId>, KeyringError>> {
        self.ask(|answer| Write::Destroy(patient, answer))
    }

    fn after(
        &self,
        after: Option<DataKeyId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<KeyRecord>, KeyringError>> {
        Box::pin(async move {
            self.look(|txn| {
                let keys = txn.open_table(KEYS)?;
                let from = after.map_or([0; 16], |id| id.0);
                let mut found = Vec::new();
                for entry in keys.range(from..)? {
                    let (id, stored) = entry?;
                    if found.len() == limit {
                        break;
                    }
                    if after.map(|after| after.0) != Some(id.value()) {
                        found.push(decode(DataKeyId(id.value()), stored.value())?);
                    }
                }
                Ok(found)
            })
        })
    }

    fn replace(&self, id: DataKeyId, from: Wrapped, to: Wrapped) -> BoxFuture<'_, Result<bool, KeyringError>> {
        self.ask(|answer| Write::Replace(id, from, to, answer))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), KeyringError>> {
        self.ask(|answer| Write::Check(Some(answer)))
    }

    fn describe(&self) -> String {
        self.shared.path.display().to_string()
    }
}

impl Shared {
    fn open(path: &Path, opens: Opens) -> Result<Self, Fault> {
        let open = Open::or_make(path, &opens)?;
        let owed = open.database.begin_read()?.open_table(MARKS)?.get(SCRUB_OWED)?.is_some();
        let shared = Self {
            path: path.to_owned(),
            opens,
            open: RwLock::new(Some(open)),
            failed: AtomicBool::new(false),
            distrusted: AtomicBool::new(mend::was_distrusted(path)),
            latched: OnceLock::new(),
        };
        // The file is ours from here on: what lies beside it is of a scrub that did not end.
        scrub::tidy(path)?;
        if owed {
            scrub::rewrite(&shared)?;
        }
        mend::make_whole(&shared)?;
        Ok(shared)
    }

    /// From now on nothing is written: it is not known whether the file's name leads to what is written into.
    fn latch(&self, why: &str) {
        let _ = self.latched.set(format!("{why}; nothing is written until the node is started again"));
    }

    fn refusal(&self, fault: &Fault) -> KeyringError {
        match fault {
            Fault::Store(error) => self.unavailable(&error.to_string()),
            Fault::Unmended(why) => self.unavailable(why),
            Fault::Damaged(why) => {
                KeyringError::Unusable { keyring: self.path.display().to_string(), why: why.clone() }
            }
        }
    }

    fn unavailable(&self, why: &str) -> KeyringError {
        KeyringError::Unavailable { keyring: self.path.display().to_string(), why: why.to_owned() }
    }
}

fn write_all(shared: &Shared, queue: &mpsc::Receiver<Write>) {
    let mut last: Option<Instant> = None;
    while let Ok(first) = queue.recv() {
        if let Some(rest) = last.and_then(|last| COMMITS_APART.checked_sub(last.elapsed())) {
            std::thread::sleep(rest);
        }
        last = Some(Instant::now());
        let together: Vec<Write> = std::iter::once(first).chain(queue.try_iter()).take(TOGETHER_MAX).collect();
        let done = write_together(shared, &together);
        for (write, done) in together.into_iter().zip(done) {
            let mixed_up = || shared.unavailable("an answer to another question");
            // Whoever no longer waits does not need the answer.
            match (write, done) {
                (Write::Insert(_, to), Ok(Done::Kept(kept))) => drop(to.send(Ok(kept))),
                (Write::Destroy(_, to), Ok(Done::Destroyed(ids))) => drop(to.send(Ok(ids))),
                (Write::Replace(_, _, _, to), Ok(Done::Replaced(yes))) => drop(to.send(Ok(yes))),
                (Write::Check(Some(to)), Ok(Done::Checked)) => drop(to.send(Ok(()))),
                (Write::Check(None), _) => {}
                (Write::Insert(_, to), done) => drop(to.send(Err(done.err().unwrap_or_else(mixed_up)))),
                (Write::Destroy(_, to), done) => drop(to.send(Err(done.err().unwrap_or_else(mixed_up)))),
                (Write::Replace(_, _, _, to), done) => drop(to.send(Err(done.err().unwrap_or_else(mixed_up)))),
                (Write::Check(Some(to)), done) => drop(to.send(Err(done.err().unwrap_or_else(mixed_up)))),
            }
        }
    }
}

/// What each write came to, once that is durable. One transaction, one fsync. After a failed one the file is opened
/// again; until that is possible, everything is refused.
fn write_together(shared: &Shared, together: &[Write]) -> Vec<Result<Done, KeyringError>> {
    let refuse_all = |why: &dyn Fn() -> KeyringError| together.iter().map(|_| Err(why())).collect();
    if let Some(why) = shared.latched.get() {
        return refuse_all(&|| shared.unavailable(why));
    }
    let mut written = write_once(shared, together);
    if matches!(written, Err(Fault::Store(redb::Error::PreviousIo))) {
        // A reader met the fault before: this batch has not been tried.
        written = write_once(shared, together);
    }
    match written {
        Ok(done) => done.into_iter().map(|done| done.map_err(|fault| shared.refusal(&fault))).collect(),
        Err(fault) => refuse_all(&|| shared.refusal(&fault)),
    }
}

fn write_once(shared: &Shared, together: &[Write]) -> Result<Vec<Result<Done, Fault>>, Fault> {
    if shared.failed.load(Ordering::Acquire) {
        // An opening reads the whole file, and readers wait for it: not for every write that a full disk refuses.
        mend::room(&shared.path)?;
    }
    mend::make_whole(shared)?;
    let (mut done, scrub_owed) = commit_together(shared, together).inspect_err(|_| {
        shared.failed.store(true, Ordering::Release);
        // Where this fails too, it is tried again before the next write.
        let _ = mend::reopen(shared);
    })?;
    shared.failed.store(false, Ordering::Release);
    // Also when an earlier destruction could not do it: whoever repeats it must not be told that all is well.
    if scrub_owed && together.iter().any(|write| matches!(write, Write::Destroy(..))) {
        scrub::rewrite(shared)?;
    }
    for done in &mut done {
        if matches!(done, Ok(Done::Checked)) {
            *done = mend::room(&shared.path).map(|()| Done::Checked).map_err(Fault::from);
        }
    }
    Ok(done)
}

/// What each write came to, and whether the file must be written anew.
fn commit_together(shared: &Shared, together: &[Write]) -> Result<(Vec<Result<Done, Fault>>, bool), Fault> {
    let open = shared.open.read().unwrap_or_else(PoisonError::into_inner);
    let mut txn = open.as_ref().ok_or(CLOSED)?.database.begin_write()?;
    txn.set_durability(Durability::Immediate).map_err(redb::Error::from)?;
    let mut done = Vec::new();
    let scrub_owed = {
        let mut keys = txn.open_table(KEYS)?;
        let mut by_owner = txn.open_table(BY_OWNER)?;
        let mut marks = txn.open_table(MARKS)?;
        for write in together {
            match apply(&mut keys, &mut by_owner, write) {
                Ok(Done::Destroyed(ids)) => {
                    if !ids.is_empty() {
                        marks.insert(SCRUB_OWED, ())?;
                    }
                    done.push(Ok(Done::Destroyed(ids)));
                }
                Ok(Done::Checked) => {
                    if marks.remove(CHECKED)?.is_none() {
                        marks.insert(CHECKED, ())?;
                    }
                    done.push(Ok(Done::Checked));
                }
                // A damaged record fails who asks for it, and nobody who is written beside.
                Ok(other) => done.push(Ok(other)),
                Err(damaged @ Fault::Damaged(_)) => done.push(Err(damaged)),
                Err(fault) => return Err(fault),
            }
        }
        marks.get(SCRUB_OWED)?.is_some()
    };
    txn.commit()?;
    Ok((done, scrub_owed))
}

enum Done {
    /// The record that is kept: the new one, or the one that was there before.
    Kept(KeyRecord),
    Destroyed(Vec<DataKeyId>),
    Replaced(bool),
    Checked,
}

fn apply(
    keys: &mut redb::Table<'_, [u8; 16], &'static [u8]>,
    by_owner: &mut redb::Table<'_, [u8; 22], [u8; 16]>,
    write: &Write,
) -> Result<Done, Fault> {
    match write {
        Write::Insert(new, _) => {
            let at = place(new.owner, new.version);
            let kept = by_owner.get(at)?.map(|id| id.value());
            if let Some(id) = kept {
                return Ok(Done::Kept(owned(keys, id)?));
            }
            keys.insert(new.id.0, encode(new).as_slice())?;
            by_owner.insert(at, new.id.0)?;
            Ok(Done::Kept(new.clone()))
        }
        Write::Destroy(patient, _) => {
            let (first, last) = places_of(*patient);
            let mut ids = Vec::new();
            for entry in by_owner.extract_from_if(first..=last, |_, _| true)? {
                ids.push(DataKeyId(entry?.1.value()));
            }
            for id in &ids {
                keys.remove(id.0)?;
            }
            Ok(Done::Destroyed(ids))
        }
        Write::Replace(id, from, to, _) => {
            let present = record(keys, id.0)?.filter(|present| present.wrapped == *from);
            let Some(present) = present else { return Ok(Done::Replaced(false)) };
            keys.insert(id.0, encode(&KeyRecord { wrapped: to.clone(), ..present }).as_slice())?;
            Ok(Done::Replaced(true))
        }
        Write::Check(_) => Ok(Done::Checked),
    }
}
