//! Who supervises a home folder: whoever holds the lock on its pid file. The kernel lets go of it when the
//! process dies, however it dies, so that no stale file can claim what is not so.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::keep::{self, Readers};
use super::layout::Home;

/// The lock, for as long as this lives.
pub struct Hold {
    _file: File,
}

/// How far a supervisor has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// Not everything runs yet.
    Starting,
    /// Everything runs, and the people are there.
    Ready,
    /// It gave up, and why.
    Failed {
        /// What went wrong.
        why: String,
    },
    /// It stops what it started.
    Stopping,
}

const GLANCES: u32 = 10;
const GLANCE: std::time::Duration = std::time::Duration::from_millis(10);

impl Hold {
    /// Takes the lock, unless somebody has it.
    pub fn take(home: &Home) -> Result<Option<Self>> {
        // Root's Postgres runs as another user and must be able to pass through.
        keep::folder(home.root(), Readers::All)?;
        let path = home.supervisor_pid();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let mut glances = GLANCES;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if glances == 0 => return Ok(None),
                // `holder` looks by taking the lock for a moment.
                Err(TryLockError::WouldBlock) => {
                    glances -= 1;
                    std::thread::sleep(GLANCE);
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Some(Self { _file: file }))
    }
}

/// The process that supervises this home folder now.
pub fn holder(home: &Home) -> Option<u32> {
    let mut file = File::open(home.supervisor_pid()).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text).ok()?;
            text.trim().parse().ok()
        }
        _ => None,
    }
}

/// Says how far the supervisor has come.
pub fn tell_phase(home: &Home, phase: &Phase) -> Result<()> {
    keep::write_json(&home.supervisor_state(), Readers::Owner, phase)
}

/// How far the supervisor has come.
pub fn phase(home: &Home) -> Option<Phase> {
    keep::read_json(&home.supervisor_state()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nobody_after_that() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        assert_eq!(holder(&home), None);
        let hold = Hold::take(&home).expect("can be asked").expect("is free");
        assert!(Hold::take(&home).expect("can be asked").is_none());
        assert_eq!(holder(&home), Some(std::process::id()));
        drop(hold);
        assert_eq!(holder(&home), None, "the file alone says nothing");
        assert!(Hold::take(&home).expect("can be asked").is_some());
    }
}
