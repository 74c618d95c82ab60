//! A disk that loses what was not synced when its power is cut, and that can fail or lie.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use redb::{BackendError, StorageBackend};

/// What `sync_data` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Makes everything written so far last.
    Honest,
    /// Answers before anything lasts: the control, which must lose data.
    Lies,
    /// Fails.
    Fails,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug)]
struct Platter {
    /// What lasts.
    durable: Vec<u8>,
    /// What a running program reads.
    cached: Vec<u8>,
    /// What lies between the two, in order.
    pending: Vec<Change>,
    sync: Sync,
    syncs: u64,
}

/// One disk. A clone is the same disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Arc<Mutex<Platter>>);

impl Disk {
    pub(crate) fn new(sync: Sync) -> Self {
        Self::holding(Vec::new(), sync)
    }

    fn holding(bytes: Vec<u8>, sync: Sync) -> Self {
        let platter = Platter { durable: bytes.clone(), cached: bytes, pending: Vec::new(), sync, syncs: 0 };
        Self(Arc::new(Mutex::new(platter)))
    }

    pub(crate) fn set(&self, sync: Sync) {
        self.lock().sync = sync;
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Cuts the power. Of what was not synced, the `seed` chooses which sectors happened to reach the platter, in
    /// no order: that is what real disks do.
    pub(crate) fn cut(&self, seed: u64) -> Self {
        const SECTOR: usize = 512;
        let platter = self.lock();
        let mut after = platter.durable.clone();
        let mut state = seed | 1;
        let mut kept = || {
            // xorshift64: repeatable, and good enough to choose sectors.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.is_multiple_of(3)
        };
        for change in &platter.pending {
            match change {
                Change::Length(length) => {
                    if kept() {
                        after.resize(usize::try_from(*length).expect("fits"), 0);
                    }
                }
                Change::Write(offset, data) => {
                    for (i, sector) in data.chunks(SECTOR).enumerate() {
                        let start = usize::try_from(*offset).expect("fits") + i * SECTOR;
                        if kept() && start + sector.len() <= after.len() {
                            after[start..start + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        Self::holding(after, Sync::Honest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Platter> {
        self.0.lock().expect("no panic before")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(out.len()).ok_or(io::ErrorKind::InvalidInput)?;
        out.copy_from_slice(platter.cached.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.lock();
        platter.cached.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        platter.pending.push(Change::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.lock();
        platter.syncs += 1;
        match platter.sync {
            Sync::Honest => {
                let Platter { durable, cached, .. } = &mut *platter;
                durable.clone_from(cached);
                platter.pending.clear();
                Ok(())
            }
            Sync::Lies => Ok(()),
            Sync::Fails => Err(io::Error::other("injected: the disk is gone")),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start + data.len();
        if end > platter.cached.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        platter.cached[start..end].copy_from_slice(data);
        platter.pending.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }

    fn try_lock_range(&self, _start: Bound<u64>, _end: Bound<u64>) -> Result<bool, BackendError> {
        Err(BackendError::Unsupported)
    }
}
