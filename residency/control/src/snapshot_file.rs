//! The one snapshot on disk, replaced whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use ring::digest::{SHA256, digest};

const MAGIC: &[u8; 8] = b"DOMSNAP1";
const NAME: &str = "snapshot";
const NAME_NEW: &str = "snapshot.new";

/// Puts a snapshot in the place of the present one: a new file is written and fsynced, renamed over the old one,
/// and the directory is fsynced, so that after a power cut one of the two is there, whole.
pub(crate) fn replace(dir: &Path, meta: &[u8], image: &[u8]) -> io::Result<()> {
    let new = dir.join(NAME_NEW);
    let mut file = create_closed(&new)?;
    file.write_all(MAGIC)?;
    file.write_all(&u32::try_from(meta.len()).map_err(io::Error::other)?.to_le_bytes())?;
    file.write_all(meta)?;
    file.write_all(digest(&SHA256, meta).as_ref())?;
    file.write_all(image)?;
    file.sync_all()?;
    fs::rename(&new, dir.join(NAME))?;
    sync_dir(dir)
}

/// Opens or creates a file that its owner alone may read, empty. One that a crash left behind is closed too.
fn create_closed(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
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

/// The present snapshot's description and image, if there is one.
pub(crate) fn read(dir: &Path) -> io::Result<Option<(Bytes, Bytes)>> {
    let mut bytes = Vec::new();
    match File::open(dir.join(NAME)) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    split(Bytes::from(bytes))
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the snapshot file is damaged"))
}

fn split(mut bytes: Bytes) -> Option<(Bytes, Bytes)> {
    if bytes.len() < MAGIC.len() || bytes.split_to(MAGIC.len()) != MAGIC.as_slice() {
        return None;
    }
    let length = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    if bytes.len() < length.checked_add(32)? {
        return None;
    }
    let meta = bytes.split_to(length);
    let written = bytes.split_to(32);
    // The image has a digest of its own.
    (digest(&SHA256, &meta).as_ref() == written).then_some((meta, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(read(dir.path()).expect("reads").is_none());
        replace(dir.path(), b"one", b"image").expect("writes");
        replace(dir.path(), b"two", b"other").expect("writes");
        let (meta, image) = read(dir.path()).expect("reads").expect("is there");
        assert_eq!((&meta[..], &image[..]), (&b"two"[..], &b"other"[..]));
        assert!(!dir.path().join(NAME_NEW).exists());
        assert_eq!(open_to_others(dir.path(), "log").expect("looks"), None, "it is made closed");
        fs::write(dir.path().join(NAME_NEW), b"left behind").expect("writes");
        fs::set_permissions(dir.path().join(NAME_NEW), Permissions::from_mode(0o666)).expect("sets");
        replace(dir.path(), b"two", b"other").expect("writes");
        assert_eq!(open_to_others(dir.path(), "log").expect("looks"), None, "what was left behind is closed");

        let mut bytes = fs::read(dir.path().join(NAME)).expect("reads");
        bytes[13] ^= 1;
        fs::write(dir.path().join(NAME), &bytes).expect("writes");
        assert_eq!(read(dir.path()).expect_err("is refused").kind(), io::ErrorKind::InvalidData);
        fs::write(dir.path().join(NAME), &bytes[..10]).expect("writes");
        assert!(read(dir.path()).is_err());
    }
}
