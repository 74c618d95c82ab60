//! Secrets stand in files of their own, which only their user may read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use storage::Secret;

/// The name of a file that holds one secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(pub PathBuf);

/// Why a secret cannot be had. Names the file and never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("the secret file {0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// Others may read it too.
    #[error("the secret file {0} may be read by others than its owner: run `chmod 600 {0}`")]
    Open(PathBuf),
    /// There is nothing in it.
    #[error("the secret file {0} is empty")]
    Empty(PathBuf),
}

impl SecretFile {
    /// Reads the secret. One newline at the end is not part of it.
    pub fn read(&self) -> Result<Secret, SecretError> {
        closed(&self.0)?;
        let text = fs::read_to_string(&self.0).map_err(|e| SecretError::Unreadable(self.0.clone(), e))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(SecretError::Empty(self.0.clone())),
            secret => Ok(Secret::new(secret)),
        }
    }
}

/// Checks that a file exists, is not empty, and nobody but its owner (and a group that was given it on purpose) may read it.
pub fn closed(path: &Path) -> Result<(), SecretError> {
    let there = fs::metadata(path).map_err(|e| SecretError::Unreadable(path.into(), e))?;
    // Group-readable is how Kubernetes mounts secrets for a non-root user (fsGroup); world-readable is never right.
    if there.permissions().mode() & 0o027 != 0 {
        return Err(SecretError::Open(path.into()));
    }
    if there.len() == 0 { Err(SecretError::Empty(path.into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_is_refused_and_never_printed() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = SecretFile(dir.path().join("password"));
        fs::write(&file.0, "hunter2\n").expect("writes");
        fs::set_permissions(&file.0, fs::Permissions::from_mode(0o644)).expect("sets");
        assert!(matches!(file.read(), Err(SecretError::Open(_))));
        fs::set_permissions(&file.0, fs::Permissions::from_mode(0o600)).expect("sets");
        let secret = file.read().expect("reads");
        assert_eq!(secret.reveal(), "hunter2");
        assert!(!format!("{secret:?} {file:?}").contains("hunter2"));
    }

    #[test]
    fn a_missing_or_empty_secret_names_its_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = SecretFile(dir.path().join("password"));
        assert!(file.read().expect_err("is refused").to_string().contains("password"));
        fs::write(&file.0, "\n").expect("writes");
        fs::set_permissions(&file.0, fs::Permissions::from_mode(0o600)).expect("sets");
        assert!(matches!(file.read(), Err(SecretError::Empty(_))));
    }
}
