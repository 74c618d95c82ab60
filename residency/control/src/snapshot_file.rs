//! The one snapshot on disk, replaced whole or not at all.
//!
//! A file is `"DOMSNAP1"`, the length of what describes it, that description, its digest, and the image. The same
//! bytes travel to another member, chunk by chunk: nobody ever holds a whole snapshot in memory.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{SHA256, digest};

const MAGIC: &[u8; 8] = b"DOMSNAP1";
const NAME: &str = "snapshot";
const NAME_NEW: &str = "snapshot.new";
/// What describes a snapshot is a membership and little more.
const META_BYTES_MAX: u32 = 1 << 20;
/// A snapshot is synced each time so much was written. One fsync of all of it at the end would hold up those of the
/// log, which lies on the same disk and has clients that wait.
pub(crate) const SYNC_EVERY: usize = 1 << 20;

/// A file that may become the snapshot. Unless it does, it is removed.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It may have become the snapshot, and what stays here after all is swept away when the member starts.
        let _ = fs::remove_file(&self.path);
    }
}

impl Draft {
    /// Begins a file that its owner alone may use.
    pub(crate) fn begin(dir: &Path) -> io::Result<(Self, File)> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let draft = Self { path: dir.join(format!("{NAME_NEW}-{number}")) };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&draft.path)?;
        // One that a crash left behind keeps its mode otherwise.
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok((draft, file))
    }

    /// Puts the file in the place of the present snapshot: it is fsynced and renamed over that, and then the directory
    /// is fsynced, so that after a power cut one of the two is there, whole.
    pub(crate) fn keep(self, dir: &Path, file: &File) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(&self.path, dir.join(NAME))?;
        sync_dir(dir)
    }
}

/// Removes what never became a snapshot.
pub(crate) fn sweep(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        // The log makes it, and a log that lies elsewhere does not.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME_NEW)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes what stands before the image.
pub(crate) fn write_head(out: &mut impl Write, meta: &[u8]) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&u32::try_from(meta.len()).map_err(io::Error::other)?.to_le_bytes())?;
    out.write_all(meta)?;
    out.write_all(digest(&SHA256, meta).as_ref())
}

/// Reads what describes a snapshot, from the beginning of its file. The image, which has a digest of its own, is next.
pub(crate) fn read_head(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the snapshot file is damaged");
    file.seek(SeekFrom::Start(0))?;
    let mut fixed = [0; MAGIC.len() + 4];
    file.read_exact(&mut fixed).map_err(|_| damaged())?;
    let (magic, length) = fixed.split_at(MAGIC.len());
    let length = u32::from_le_bytes(length.try_into().map_err(|_| damaged())?);
    if magic != MAGIC || length > META_BYTES_MAX {
        return Err(damaged());
    }
    let mut meta = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact(&mut meta).map_err(|_| damaged())?;
    let mut written = [0; 32];
    file.read_exact(&mut written).map_err(|_| damaged())?;
    if digest(&SHA256, &meta).as_ref() == written { Ok(meta) } else { Err(damaged()) }
}

/// The present snapshot, if there is one.
pub(crate) fn open(dir: &Path) -> io::Result<Option<File>> {
    match File::open(dir.join(NAME)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether anybody but the owner may do anything with the snapshot or the file named.
pub(crate) fn open_to_others(dir: &Path, also: &str) -> io::Result<Option<PathBuf>> {
    for path in [dir.join(also), dir.join(NAME)] {
        match fs::metadata(&path) {
            Ok(there) if there.permissions().mode() & 0o077 != 0 => return Ok(Some(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Makes what was created, renamed or removed in a directory last through a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Writes to a file and syncs it as it goes.
pub(crate) struct Steady<'a> {
    file: &'a File,
    unsynced: usize,
}

impl<'a> Steady<'a> {
    pub(crate) fn new(file: &'a File) -> Self {
        Self { file, unsynced: 0 }
    }
}

impl Write for Steady<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(dir: &Path, meta: &[u8], image: &[u8]) {
        let (draft, file) = Draft::begin(dir).expect("begins");
        let mut out = Steady::new(&file);
        write_head(&mut out, meta).expect("writes");
        out.write_all(image).expect("writes");
        draft.keep(dir, &file).expect("is kept");
    }

    fn read(dir: &Path) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(mut file) = open(dir)? else { return Ok(None) };
        let (meta, mut image) = (read_head(&mut file)?, Vec::new());
        file.read_to_end(&mut image)?;
        Ok(Some((meta, image)))
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name")).collect()
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        assert!(read(dir).expect("reads").is_none());
        replace(dir, b"one", b"image");
        replace(dir, b"two", b"other");
        let (meta, image) = read(dir).expect("reads").expect("is there");
        assert_eq!((&meta[..], &image[..]), (&b"two"[..], &b"other"[..]));
        assert_eq!(open_to_others(dir, "log").expect("looks"), None, "it is made closed");

        let mut bytes = fs::read(dir.join(NAME)).expect("reads");
        bytes[13] ^= 1;
        fs::write(dir.join(NAME), &bytes).expect("writes");
        assert_eq!(read(dir).expect_err("is refused").kind(), io::ErrorKind::InvalidData);
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        fs::write(dir.join(NAME), &bytes).expect("writes");
        assert_eq!(read(dir).expect_err("is refused").kind(), io::ErrorKind::InvalidData);
        fs::write(dir.join(NAME), &bytes[..10]).expect("writes");
        assert!(read(dir).is_err());
    }

    #[test]
    fn a_draft_that_does_not_become_the_snapshot_goes_away() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        replace(dir, b"one", b"image");
        let (draft, _file) = Draft::begin(dir).expect("begins");
        assert_eq!(names(dir).len(), 2, "the control: it is there while it is written");
        drop(draft);
        assert_eq!(names(dir), [NAME]);
        fs::write(dir.join(format!("{NAME_NEW}-7")), b"a crash left this").expect("writes");
        sweep(dir).expect("sweeps");
        assert_eq!(names(dir), [NAME]);
    }
}
