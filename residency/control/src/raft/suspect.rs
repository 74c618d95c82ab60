//! A log that was last written in vain is not believed as the kernel shows it. After a failed fsync the kernel keeps
//! pages that may never have reached the disk and takes them for written. A member that started from them could stand
//! by a vote or an entry which the next power cut takes away. So the file is copied page by page and the copy fsynced
//! before anything is read from it.
//!
//! That this is owed must outlive the process and no more: with the machine, those pages go too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::snapshot_file;

const MARK: &str = "suspect";
const COPY: &str = "log.new";
const BLOCK: usize = 1 << 20;

/// Notes that the log must be copied before it is opened again. Where this fails too, so does the copy, mostly.
pub(super) fn mark(dir: &Path) {
    let _ = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join(MARK));
}

/// Copies the log if that is owed.
pub(super) fn renew(dir: &Path, log: &str) -> io::Result<()> {
    if !dir.join(MARK).try_exists()? {
        return Ok(());
    }
    let (old, new) = (dir.join(log), dir.join(COPY));
    match File::open(&old) {
        Ok(old) => copy(old, &new).inspect_err(|_| {
            // On a full disk the room is needed.
            let _ = fs::remove_file(&new);
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::remove_file(dir.join(MARK)),
        Err(error) => return Err(error),
    }
    fs::rename(&new, &old)?;
    snapshot_file::sync_dir(dir)?;
    fs::remove_file(dir.join(MARK))
}

/// Not by `fs::copy`: some file systems would let both files share the very blocks that are in doubt.
fn copy(mut old: File, new: &Path) -> io::Result<()> {
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let mut block = vec![0; BLOCK];
    loop {
        let read = old.read(&mut block)?;
        if read == 0 {
            return file.sync_all();
        }
        file.write_all(&block[..read])?;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_log_is_copied_once_when_it_is_marked_and_only_then() {
        let dir = tempfile::tempdir().expect("a folder");
        let log = dir.path().join("log");
        renew(dir.path(), "log").expect("nothing is owed where there is no log");
        fs::write(&log, vec![7; BLOCK + 3]).expect("a log");
        let number = || fs::metadata(&log).expect("a log").ino();
        let first = number();
        renew(dir.path(), "log").expect("nothing is owed");
        assert_eq!(number(), first, "the control: it is the same file");

        mark(dir.path());
        fs::write(dir.path().join(COPY), b"what a crash left").expect("writes");
        renew(dir.path(), "log").expect("it is copied");
        let second = number();
        assert_ne!(second, first);
        assert_eq!(fs::read(&log).expect("a log"), vec![7; BLOCK + 3]);
        assert_eq!(fs::metadata(&log).expect("a log").permissions().mode() & 0o077, 0);
        renew(dir.path(), "log").expect("nothing is owed");
        assert_eq!(number(), second, "once");
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1, "nothing is left beside it");
    }
}
