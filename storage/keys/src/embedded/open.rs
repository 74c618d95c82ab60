//! Opens the file. What redb does to it passes through here, so that a failed fsync is noticed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, TableError};

use super::{BY_OWNER, Fault, KEYS, MARKS};

/// Wrapped keys are small; Postgres and the envelope's cache need the memory more.
const CACHE_BYTES: usize = 4 << 20;

/// Makes a database of a file. The flag is raised when an fsync fails.
pub(super) type Opens = Box<dyn Fn(File, Arc<AtomicBool>) -> Result<Database, DatabaseError> + Send + Sync>;

/// The file, open.
pub(super) struct Open {
    pub(super) database: Database,
    sync_failed: Arc<AtomicBool>,
}

impl Open {
    /// Opens the file, or makes it when there is none.
    pub(super) fn or_make(path: &Path, opens: &Opens) -> Result<Self, Fault> {
        if let Some(folder) = folder_of(path) {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        let open = Self::file(options.read(true).write(true).create(true).mode(0o600).open(path)?, opens)?;
        // The file's name must be as durable as what is in it.
        if let Some(folder) = folder_of(path) {
            File::open(folder)?.sync_all()?;
        }
        Ok(open)
    }

    /// Opens a file that was open before. One that is gone is not made anew: its keys would be taken for absent.
    pub(super) fn again(path: &Path, opens: &Opens) -> Result<Self, Fault> {
        Self::file(OpenOptions::new().read(true).write(true).open(path)?, opens)
    }

    fn file(file: File, opens: &Opens) -> Result<Self, Fault> {
        // Also of a file that was there, such as a restored one.
        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Fault::Damaged(format!(
                "others than its owner may use it (mode {mode:o}): run chmod 600 on it, and ask who has read it"
            )));
        }
        let sync_failed = Arc::new(AtomicBool::new(false));
        let database = opens(file, Arc::clone(&sync_failed))?;
        if !has_tables(&database)? {
            let txn = database.begin_write()?;
            txn.open_table(KEYS)?;
            txn.open_table(BY_OWNER)?;
            txn.open_table(MARKS)?;
            txn.commit()?;
        }
        Ok(Self { database, sync_failed })
    }

    /// Whether an fsync of it has failed.
    pub(super) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }
}

/// Asked before they are made: on a full disk there is no room for a transaction, and reads must go on.
fn has_tables(database: &Database) -> Result<bool, Fault> {
    let txn = database.begin_read()?;
    let opened =
        [txn.open_table(KEYS).map(drop), txn.open_table(BY_OWNER).map(drop), txn.open_table(MARKS).map(drop)];
    let absent = |opened: &Result<(), TableError>| matches!(opened, Err(TableError::TableDoesNotExist(_)));
    if opened.iter().any(absent) {
        return Ok(false);
    }
    opened.into_iter().collect::<Result<(), TableError>>()?;
    Ok(true)
}

pub(super) fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

/// A database straight on the file.
pub(super) fn on_disk(file: File, sync_failed: Arc<AtomicBool>) -> Result<Database, DatabaseError> {
    on(FileBackend::new(file)?, sync_failed)
}

/// A database on anything.
pub(super) fn on(
    backend: impl StorageBackend,
    sync_failed: Arc<AtomicBool>,
) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(Watched { backend, sync_failed })
}

#[derive(Debug)]
struct Watched<B> {
    backend: B,
    sync_failed: Arc<AtomicBool>,
}

impl<B: StorageBackend> StorageBackend for Watched<B> {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.backend.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data().inspect_err(|_| self.sync_failed.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.backend.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}
