//! Writes the keyring file anew, so that no freed page keeps a destroyed key.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use redb::{Database, ReadableDatabase, ReadableTable};

use super::open::{Open, folder_of};
use super::{BY_OWNER, CLOSED, Fault, KEYS, Shared};

/// Copies what is alive into a new file, puts it in the old one's place and overwrites the old one's bytes. A crash
/// at any point leaves a whole keyring in which the destroyed keys cannot be found by name.
///
/// Overwriting is the best that a program can do; a file system that copies on write and an SSD may keep the old
/// blocks for a while.
pub(super) fn rewrite(shared: &Shared) -> Result<(), Fault> {
    rewrite_then(shared, |path, old| {
        sync_folder(path)?;
        overwrite(old)
    })
}

fn rewrite_then(shared: &Shared, settle: impl FnOnce(&Path, File) -> std::io::Result<()>) -> Result<(), Fault> {
    tidy(&shared.path)?;
    let mut open = shared.open.write().unwrap_or_else(PoisonError::into_inner);
    let (fresh, old) = replace(shared, open.as_ref()).inspect_err(|_| {
        // On a full disk the room is needed.
        let _ = tidy(&shared.path);
    })?;
    // At once, whatever happens next: what was written into the old file now would be in no file with a name.
    *open = Some(fresh);
    drop(open);
    settle(&shared.path, old).map_err(|error| {
        shared.latch(&format!("the file was written anew, and then: {error}"));
        Fault::from(error)
    })
}

/// The new file in the old one's place, and the old one.
fn replace(shared: &Shared, open: Option<&Open>) -> Result<(Open, File), Fault> {
    let open = open.ok_or(CLOSED)?;
    let beside = beside(&shared.path);
    let fresh = Open::or_make(&beside, &shared.opens)?;
    copy(&open.database, &fresh.database)?;
    let old = OpenOptions::new().write(true).open(&shared.path)?;
    fs::rename(&beside, &shared.path)?;
    Ok((fresh, old))
}

/// Removes what a scrub that did not end has left.
pub(super) fn tidy(path: &Path) -> std::io::Result<()> {
    remove(&beside(path))
}

/// Removes a file that may be there.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("scrub")
}

/// All but the marks: in the new file no scrub is owed.
fn copy(from: &Database, to: &Database) -> Result<(), Fault> {
    let read = from.begin_read()?;
    let write = to.begin_write()?;
    {
        let mut keys = write.open_table(KEYS)?;
        for entry in read.open_table(KEYS)?.iter()? {
            let (id, stored) = entry?;
            keys.insert(id.value(), stored.value())?;
        }
        let mut by_owner = write.open_table(BY_OWNER)?;
        for entry in read.open_table(BY_OWNER)?.iter()? {
            let (at, id) = entry?;
            by_owner.insert(at.value(), id.value())?;
        }
    }
    write.commit()?;
    Ok(())
}

fn overwrite(mut old: File) -> std::io::Result<()> {
    let mut left = old.metadata()?.len();
    let zeros = vec![0; 1 << 16];
    old.seek(SeekFrom::Start(0))?;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        old.write_all(&zeros[..now])?;
        left -= now as u64;
    }
    old.sync_all()
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(folder_of(path).unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use redb::ReadableDatabase;
    use residency_policy::{Category, PatientId};
    use tokio::sync::oneshot;

    use super::super::open::on_disk;
    use super::super::{BY_OWNER, Done, EmbeddedKeyring, MARKS, SCRUB_OWED, Write, place, write_together};
    use super::*;
    use crate::{DataKeyId, KeyOwner, KeyRecord, Keyring, KeyringError, Wrapped};

    fn patient(n: u8) -> PatientId {
        PatientId::from(uuid::Uuid::from_bytes([n; 16]))
    }

    fn a_record(n: u8) -> KeyRecord {
        let owner = KeyOwner::Patient(patient(n), Category::General);
        KeyRecord { id: DataKeyId([n; 16]), owner, version: 1, wrapped: Wrapped(vec![n; 61]) }
    }

    fn insert(shared: &Shared, n: u8) -> Result<Done, KeyringError> {
        write_together(shared, &[Write::Insert(a_record(n), oneshot::channel().0)]).remove(0)
    }

    fn destroy(shared: &Shared, n: u8) -> Result<Done, KeyringError> {
        write_together(shared, &[Write::Destroy(patient(n), oneshot::channel().0)]).remove(0)
    }

    fn a_keyring(folder: &tempfile::TempDir) -> (PathBuf, Shared) {
        let path = folder.path().join("keyring.redb");
        let shared = Shared::open(&path, Box::new(on_disk)).expect("a keyring");
        for n in [1, 2] {
            insert(&shared, n).expect("it is kept");
        }
        (path, shared)
    }

    /// Asks a keyring on this file, which nobody else may have open.
    fn serve(shared: Shared) -> EmbeddedKeyring {
        EmbeddedKeyring { shared: Arc::new(shared), writes: mpsc::channel().0 }
    }

    fn holds(path: &Path, bytes: &[u8]) -> bool {
        fs::read(path).expect("the file").windows(bytes.len()).any(|window| window == bytes)
    }

    fn owed(shared: &Shared) -> bool {
        let open = shared.open.read().expect("the database");
        let txn = open.as_ref().expect("it is open").database.begin_read().expect("a transaction");
        txn.open_table(MARKS).expect("a table").get(SCRUB_OWED).expect("an answer").is_some()
    }

    #[test]
    fn what_fails_after_the_rename_loses_nothing_that_is_acknowledged_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, shared) = a_keyring(&folder);
        rewrite_then(&shared, |_, _| Ok(())).expect("the control: a scrub");
        insert(&shared, 3).expect("the control: it is kept after a scrub");
        rewrite_then(&shared, |_, _| Err(std::io::Error::other("the folder does not sync")))
            .expect_err("a fault");
        for refused in [insert(&shared, 4), destroy(&shared, 1)] {
            let refused = refused.err().expect("nothing is written").to_string();
            assert!(refused.contains("started again"), "{refused}");
        }
        drop(shared);
        let again = Shared::open(&path, Box::new(on_disk)).expect("it opens again");
        insert(&again, 4).expect("it is kept");
        for n in [1, 2, 3, 4] {
            assert!(holds(&path, &[n; 61]), "{n}");
        }
    }

    #[test]
    fn a_scrub_that_is_owed_is_done_when_the_destruction_is_repeated_and_at_the_next_opening() {
        for repeated in [true, false] {
            let folder = tempfile::tempdir().expect("a folder");
            let (path, mut shared) = a_keyring(&folder);
            // A folder in its way: the destruction is durable, the scrub cannot begin.
            fs::create_dir(beside(&path)).expect("a folder");
            destroy(&shared, 2).err().expect("it is not told that all is well");
            assert!(owed(&shared) && holds(&path, &[2; 61]), "the control: the key is still in a freed page");
            insert(&shared, 3).expect("others go on");
            destroy(&shared, 2).err().expect("still not");
            fs::remove_dir(beside(&path)).expect("the folder");
            if repeated {
                destroy(&shared, 2).expect("now it is");
            } else {
                drop(shared);
                fs::write(beside(&path), [9; 61]).expect("what a crash left");
                shared = Shared::open(&path, Box::new(on_disk)).expect("it opens again");
            }
            assert!(!owed(&shared) && !holds(&path, &[2; 61]) && !beside(&path).exists());
            assert!(holds(&path, &[1; 61]) && holds(&path, &[3; 61]), "the others' are there");
        }
    }

    #[tokio::test]
    async fn a_damaged_record_is_an_error_and_never_an_absent_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, shared) = a_keyring(&folder);
        {
            let open = shared.open.read().expect("the database");
            let txn = open.as_ref().expect("it is open").database.begin_write().expect("a transaction");
            txn.open_table(KEYS).expect("a table").insert([1; 16], [7].as_slice()).expect("a damaged record");
            let lost = a_record(5);
            let mut by_owner = txn.open_table(BY_OWNER).expect("a table");
            by_owner.insert(place(lost.owner, lost.version), lost.id.0).expect("an entry that leads nowhere");
            drop(by_owner);
            txn.commit().expect("a commit");
        }
        // A batch with two who are hit and one who is not.
        let batch = [1, 5, 3].map(|n| Write::Insert(a_record(n), oneshot::channel().0));
        let done = write_together(&shared, &batch);
        for done in &done[..2] {
            assert!(matches!(done, Err(KeyringError::Unusable { .. })), "never acknowledged");
        }
        assert!(matches!(&done[2], Ok(Done::Kept(kept)) if *kept == a_record(3)), "the control");
        let keyring = serve(shared);
        for n in [1, 5] {
            let newest = keyring.newest(a_record(n).owner).await;
            assert!(matches!(newest, Err(KeyringError::Unusable { .. })), "{n}: {newest:?}");
        }
        let by_id = keyring.by_id(a_record(1).id).await;
        assert!(matches!(by_id, Err(KeyringError::Unusable { .. })), "{by_id:?}");
        let page = keyring.after(None, 10).await;
        assert!(matches!(page, Err(KeyringError::Unusable { .. })), "{page:?}");
        assert_eq!(keyring.newest(a_record(2).owner).await.expect("the control"), Some(a_record(2)));
    }
}
