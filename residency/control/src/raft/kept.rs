//! The member's snapshot: built beside the living state, kept as a file, sent and received as one.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use openraft::{AnyError, StorageIOError};

use super::spool::Spool;
use super::types::{LogId, SnapshotMeta, StorageError};
use crate::machine::State;
use crate::snapshot::{self, SnapshotError};
use crate::snapshot_file::{self, Draft, Steady};

const BUFFER: usize = 64 << 10;

/// The snapshot on disk. Only one is put in its place at a time, and never an older one over a newer one.
pub(super) struct Kept {
    dir: PathBuf,
    last: Mutex<Option<LogId>>,
    built: AtomicU64,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Image(#[from] SnapshotError),
    #[error("its description cannot be read or written")]
    Described(#[from] postcard::Error),
    #[error("it is another one than was announced")]
    Another,
}

fn failed_read(error: impl Into<NotKept>) -> StorageError {
    StorageIOError::read_snapshot(None, AnyError::new(&error.into())).into()
}

fn failed_write(error: impl Into<NotKept>) -> StorageError {
    StorageIOError::write_snapshot(None, AnyError::new(&error.into())).into()
}

impl Kept {
    /// The snapshot in this folder, with what is in it, if there is one.
    pub(super) fn open(dir: &Path) -> Result<(Self, Option<(SnapshotMeta, State)>), StorageError> {
        snapshot_file::sweep(dir).map_err(failed_read)?;
        let kept = Self { dir: dir.to_owned(), last: Mutex::default(), built: AtomicU64::new(0) };
        let Some(mut file) = snapshot_file::open(dir).map_err(failed_read)? else { return Ok((kept, None)) };
        let meta = described(&mut file).map_err(failed_read)?;
        let state = snapshot::read(&mut file).map_err(failed_read)?;
        *kept.last.lock().unwrap_or_else(PoisonError::into_inner) = meta.last_log_id;
        Ok((kept, Some((meta, state))))
    }

    /// A number for the next one that is built here.
    pub(super) fn next_number(&self) -> u64 {
        self.built.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes a snapshot of this state, and gives what was written.
    pub(super) fn build(&self, meta: &SnapshotMeta, state: &State) -> Result<Spool, StorageError> {
        let (draft, mut file) = Draft::begin(&self.dir).map_err(failed_write)?;
        write(&file, meta, state).map_err(failed_write)?;
        self.put(meta, draft, &file).map_err(failed_write)?;
        file.seek(SeekFrom::Start(0)).map_err(failed_write)?;
        Ok(Spool::of_present(file))
    }

    /// Room for a snapshot that another member sends.
    pub(super) fn receive(&self) -> Result<Spool, StorageError> {
        Draft::begin(&self.dir).and_then(Spool::of_draft).map_err(failed_write)
    }

    /// Reads a snapshot that came in whole, and keeps it.
    pub(super) fn install(
        &self,
        meta: &SnapshotMeta,
        mut file: File,
        draft: Option<Draft>,
    ) -> Result<State, StorageError> {
        if described(&mut file).map_err(failed_read)? != *meta {
            return Err(failed_read(NotKept::Another));
        }
        let state = snapshot::read(&mut file).map_err(failed_read)?;
        let (draft, file) = match draft {
            Some(draft) => (draft, file),
            None => copy(&self.dir, &mut file).map_err(failed_write)?,
        };
        self.put(meta, draft, &file).map_err(failed_write)?;
        Ok(state)
    }

    /// The present snapshot, to be sent.
    pub(super) fn present(&self) -> Result<Option<(SnapshotMeta, Spool)>, StorageError> {
        let Some(mut file) = snapshot_file::open(&self.dir).map_err(failed_read)? else { return Ok(None) };
        let meta = described(&mut file).map_err(failed_read)?;
        file.seek(SeekFrom::Start(0)).map_err(failed_read)?;
        Ok(Some((meta, Spool::of_present(file))))
    }

    fn put(&self, meta: &SnapshotMeta, draft: Draft, file: &File) -> Result<(), NotKept> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last > meta.last_log_id {
            return Ok(());
        }
        draft.keep(&self.dir, file)?;
        *last = meta.last_log_id;
        Ok(())
    }
}

fn described(file: &mut File) -> Result<SnapshotMeta, NotKept> {
    Ok(postcard::from_bytes(&snapshot_file::read_head(file)?)?)
}

fn write(file: &File, meta: &SnapshotMeta, state: &State) -> Result<(), NotKept> {
    let mut out = BufWriter::with_capacity(BUFFER, Steady::new(file));
    snapshot_file::write_head(&mut out, &postcard::to_allocvec(meta)?)?;
    snapshot::write(state, &mut out)?;
    Ok(out.flush()?)
}

/// A file that lies elsewhere, here.
fn copy(dir: &Path, from: &mut File) -> io::Result<(Draft, File)> {
    let (draft, file) = Draft::begin(dir)?;
    from.seek(SeekFrom::Start(0))?;
    io::copy(from, &mut Steady::new(&file))?;
    Ok((draft, file))
}
