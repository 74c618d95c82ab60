//! Goes on after a failed write. redb answers nothing after one until its file is opened again, and nothing that was
//! under way was acknowledged, so the file is opened again.
//!
//! After a failed fsync that is not enough: the kernel shows pages that may never have reached the disk, and another
//! fsync does not try them again. The file is then written anew before anything is written into it or sealed under
//! what it holds. That this is owed must outlive the process and no more: with the machine, those pages go too.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::open::Open;
use super::{Fault, Shared, scrub};

/// What a check writes beside the file: as much as a burst of new keys may need.
const ROOM_BYTES: usize = 64 << 10;

/// Lets go of the file after a fault and opens it again.
pub(super) fn reopen(shared: &Shared) -> Result<(), Fault> {
    // Which file its name leads to is not known.
    if shared.latched.get().is_some() {
        return Ok(());
    }
    let mut open = shared.open.write().unwrap_or_else(PoisonError::into_inner);
    if open.as_ref().is_some_and(Open::sync_failed) {
        shared.distrusted.store(true, Ordering::Release);
        // As good as can be: where this fails too, the file is opened by the next process as the kernel shows it.
        let _ = File::create(distrusted(&shared.path));
    }
    // The old one first: it holds the file's lock.
    drop(open.take());
    *open = Some(Open::again(&shared.path, &shared.opens)?);
    Ok(())
}

/// Makes sure that the file is open and that what it shows is on the disk.
pub(super) fn make_whole(shared: &Shared) -> Result<(), Fault> {
    let closed = shared.open.read().unwrap_or_else(PoisonError::into_inner).is_none();
    if closed {
        reopen(shared)?;
    }
    if shared.distrusted.load(Ordering::Acquire) {
        scrub::rewrite(shared)?;
        scrub::remove(&distrusted(&shared.path))?;
        shared.distrusted.store(false, Ordering::Release);
    }
    Ok(())
}

/// Whether an earlier process left the file with pages that may not be on the disk.
pub(super) fn was_distrusted(path: &Path) -> bool {
    distrusted(path).exists()
}

fn distrusted(path: &Path) -> PathBuf {
    path.with_extension("distrusted")
}

/// Whether there is room beside the file. redb uses pages again that are free, so that a write into the file may
/// succeed on a full disk, and the next one fail.
pub(super) fn room(path: &Path) -> io::Result<()> {
    let beside = path.with_extension("room");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(&vec![1; ROOM_BYTES])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&beside);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64};
    use std::sync::mpsc;

    use redb::backends::FileBackend;
    use redb::{BackendError, StorageBackend};
    use residency_policy::{Category, PatientId};
    use tokio::sync::oneshot;

    use super::super::open::{Opens, on};
    use super::super::{Done, EmbeddedKeyring, Write, write_together};
    use super::*;
    use crate::{DataKeyId, KeyOwner, KeyRecord, Keyring, KeyringError, Wrapped};

    /// A disk that can be told to be full, to fail an fsync, and to fail a read.
    #[derive(Debug, Default)]
    struct Disk {
        full: AtomicBool,
        sync_fails: AtomicBool,
        read_fails: AtomicBool,
        /// Up to where there are blocks of the disk under the file, which may be written again when it is full.
        written: AtomicU64,
    }

    #[derive(Debug)]
    struct OnDisk(FileBackend, Arc<Disk>);

    impl StorageBackend for OnDisk {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            if self.1.read_fails.load(Ordering::SeqCst) {
                return Err(io::Error::other("it cannot be read"));
            }
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            if self.1.sync_fails.load(Ordering::SeqCst) {
                return Err(io::Error::other("it does not sync"));
            }
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let end = offset + data.len() as u64;
            if self.1.full.load(Ordering::SeqCst) && end > self.1.written.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1.written.fetch_max(end, Ordering::SeqCst);
            self.0.write(offset, data)
        }

        fn close(&self) -> io::Result<()> {
            self.0.close()
        }

        fn try_lock_range(
            &self,
            start: std::ops::Bound<u64>,
            end: std::ops::Bound<u64>,
        ) -> Result<bool, BackendError> {
            self.0.try_lock_range(start, end)
        }
    }

    fn opens(disk: &Arc<Disk>) -> Opens {
        let disk = Arc::clone(disk);
        Box::new(move |file, failed| on(OnDisk(FileBackend::new(file)?, Arc::clone(&disk)), failed))
    }

    fn a_record(n: u32) -> KeyRecord {
        let patient = PatientId::from(uuid::Uuid::from_u128(u128::from(n) << 96));
        let mut id = [7; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let owner = KeyOwner::Patient(patient, Category::General);
        KeyRecord { id: DataKeyId(id), owner, version: 1, wrapped: Wrapped(vec![9; 200]) }
    }

    fn insert(shared: &Shared, n: u32) -> Result<(), KeyringError> {
        let done = write_together(shared, &[Write::Insert(a_record(n), oneshot::channel().0)]).remove(0)?;
        assert!(matches!(done, Done::Kept(kept) if kept == a_record(n)));
        Ok(())
    }

    fn check(shared: &Shared) -> Result<(), KeyringError> {
        write_together(shared, &[Write::Check(None)]).remove(0).map(drop)
    }

    struct Served {
        keyring: EmbeddedKeyring,
        asked: mpsc::Receiver<Write>,
    }

    fn serve(shared: Shared) -> Served {
        let (writes, asked) = mpsc::channel();
        Served { keyring: EmbeddedKeyring { shared: Arc::new(shared), writes }, asked }
    }

    impl Served {
        async fn newest(&self, n: u32) -> Result<Option<KeyRecord>, KeyringError> {
            self.keyring.newest(a_record(n).owner).await
        }

        async fn by_id(&self, n: u32) -> Result<Option<KeyRecord>, KeyringError> {
            self.keyring.by_id(a_record(n).id).await
        }
    }

    #[tokio::test]
    async fn a_full_disk_refuses_new_keys_and_room_on_it_is_all_it_takes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, disk) = (folder.path().join("keyring.redb"), Arc::new(Disk::default()));
        let shared = Shared::open(&path, opens(&disk)).expect("a keyring");
        insert(&shared, 0).expect("the control: there is room");
        disk.full.store(true, Ordering::SeqCst);
        let refused = (1..2_000).find_map(|n| insert(&shared, n).err().map(|error| (n, error)));
        let (first_refused, error) = refused.expect("it is full at some time");
        assert!(!error.to_string().contains("revious"), "the cause and not its echo: {error}");

        let served = serve(shared);
        let shared = &served.keyring.shared;
        for n in [0, first_refused - 1] {
            assert_eq!(served.newest(n).await.expect("reads go on"), Some(a_record(n)));
        }
        assert_eq!(served.newest(first_refused).await.expect("an answer"), None, "a refused key is not there");
        assert!(served.asked.try_recv().is_err(), "no reader met the fault");
        insert(shared, first_refused).expect_err("it is still full");

        disk.full.store(false, Ordering::SeqCst);
        insert(shared, first_refused).expect("there is room");
        check(shared).expect("and it says so");
        assert!(!distrusted(&path).exists(), "no fsync failed");
        drop(served);
        let again = serve(Shared::open(&path, opens(&disk)).expect("it opens"));
        for n in 0..=first_refused {
            assert_eq!(again.newest(n).await.expect("an answer"), Some(a_record(n)));
        }
    }

    #[tokio::test]
    async fn after_a_failed_fsync_nothing_is_sealed_under_the_file_until_it_is_written_anew() {
        for restarted in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let (path, disk) = (folder.path().join("keyring.redb"), Arc::new(Disk::default()));
            let shared = Shared::open(&path, opens(&disk)).expect("a keyring");
            insert(&shared, 0).expect("the control: it syncs");
            let before = fs::metadata(&path).expect("the file");
            let is_the_same = || {
                use std::os::unix::fs::MetadataExt;
                fs::metadata(&path).expect("the file").ino() == before.ino()
            };
            disk.sync_fails.store(true, Ordering::SeqCst);
            insert(&shared, 1).expect_err("it does not sync");
            assert!(is_the_same() && distrusted(&path).exists());
            insert(&shared, 2).expect_err("it still does not");

            let served = serve(shared);
            if served.keyring.shared.open.read().expect("the lock").is_some() {
                assert_eq!(served.by_id(0).await.expect("what is sealed opens"), Some(a_record(0)));
            }
            served.newest(0).await.expect_err("nothing new is sealed");
            assert!(matches!(served.asked.try_recv(), Ok(Write::Check(None))), "it is to be mended");

            disk.sync_fails.store(false, Ordering::SeqCst);
            let served = if restarted {
                drop(served);
                serve(Shared::open(&path, opens(&disk)).expect("it opens"))
            } else {
                check(&served.keyring.shared).expect("it syncs again");
                served
            };
            assert!(!is_the_same() && !distrusted(&path).exists(), "it was written anew");
            assert_eq!(served.newest(0).await.expect("an answer"), Some(a_record(0)));
            insert(&served.keyring.shared, 3).expect("it is kept");
        }
    }

    #[tokio::test]
    async fn a_reader_who_meets_a_fault_has_it_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, disk) = (folder.path().join("keyring.redb"), Arc::new(Disk::default()));
        let shared = Shared::open(&path, opens(&disk)).expect("a keyring");
        // More than is kept in memory.
        let many: Vec<Write> = (0..20_000).map(|n| Write::Insert(a_record(n), oneshot::channel().0)).collect();
        assert!(write_together(&shared, &many).iter().all(Result::is_ok));
        let served = serve(shared);
        disk.read_fails.store(true, Ordering::SeqCst);
        let mut unread = 0;
        while served.newest(unread).await.is_ok() {
            unread += 100;
        }
        disk.read_fails.store(false, Ordering::SeqCst);
        let asked = served.asked.try_recv().expect("it is to be mended");
        write_together(&served.keyring.shared, &[asked]).remove(0).expect("it is");
        assert_eq!(served.newest(unread).await.expect("an answer"), Some(a_record(unread)));
        insert(&served.keyring.shared, 20_000).expect("it is kept");
    }

    #[test]
    fn a_keyring_that_is_gone_is_not_made_anew_while_it_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, disk) = (folder.path().join("keyring.redb"), Arc::new(Disk::default()));
        let shared = Shared::open(&path, opens(&disk)).expect("a keyring");
        insert(&shared, 0).expect("it is kept");
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).expect("somebody moves it");
        reopen(&shared).expect_err("it is gone");
        insert(&shared, 1).expect_err("it is gone");
        assert!(!path.exists());
        fs::rename(&elsewhere, &path).expect("it is brought back");
        insert(&shared, 1).expect("and goes on");
    }
}
