//! Files that are either whole or absent, with the mode they need from their first byte on.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner.
    Owner,
    /// Everybody.
    All,
}

impl Readers {
    const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::All => 0o644,
        }
    }
}

/// Writes a file beside its place and moves it there, so that a reader sees the old one or the new one.
pub fn write(path: &Path, readers: Readers, bytes: &[u8]) -> Result<()> {
    write_whole(path, readers, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn write_whole(path: &Path, readers: Readers, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(readers.mode()).open(&beside)?;
    // The umask may have taken bits that readers need.
    file.set_permissions(Permissions::from_mode(readers.mode()))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Writes a value as JSON that people can read.
pub fn write_json(path: &Path, readers: Readers, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    write(path, readers, &bytes)
}

/// Reads a value back, or `None` where there is no file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is not what `domicile dev` wrote there", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Makes a folder with its parents. `Owner` folders are closed to everybody else; `All` folders may be passed
/// through but not listed, which is what a database that runs as another user needs. A folder that is there is left
/// as it is: it may be anybody's.
pub fn folder(path: &Path, readers: Readers) -> Result<()> {
    let mode = if readers == Readers::Owner { 0o700 } else { 0o711 };
    let make = || -> io::Result<()> {
        let absent: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        for folder in absent.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().mode(mode).create(folder)?;
            // The umask may have taken bits that readers need.
            fs::set_permissions(folder, Permissions::from_mode(mode))?;
        }
        if path.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
    };
    make().with_context(|| format!("cannot make the folder {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_closed_to_others_even_when_it_replaces_an_open_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("secret.json");
        write(&path, Readers::All, b"1").expect("writes");
        write_json(&path, Readers::Owner, &2).expect("replaces");
        let mode = fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(read_json::<u8>(&path).expect("reads"), Some(2));
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn only_a_folder_that_is_made_now_gets_a_mode() {
        let dir = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o7777;
        let theirs = dir.path().join("theirs");
        fs::create_dir(&theirs).expect("makes");
        fs::set_permissions(&theirs, Permissions::from_mode(0o1777)).expect("sets");
        folder(&theirs, Readers::Owner).expect("is there");
        assert_eq!(mode(&theirs), 0o1777, "left as it was");
        folder(&theirs.join("a/b"), Readers::All).expect("makes");
        assert_eq!((mode(&theirs.join("a")), mode(&theirs.join("a/b"))), (0o711, 0o711));
        assert_eq!(mode(&theirs), 0o1777);
        fs::write(theirs.join("file"), "").expect("writes");
        assert!(folder(&theirs.join("file"), Readers::All).is_err(), "a file is no folder");
    }

    #[test]
    fn what_is_not_there_is_none_and_what_is_broken_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.json");
        assert_eq!(read_json::<u8>(&path).expect("is no error"), None);
        fs::write(&path, "{").expect("writes");
        let error = read_json::<u8>(&path).expect_err("is refused").to_string();
        assert!(error.contains("x.json"), "{error}");
    }
}
