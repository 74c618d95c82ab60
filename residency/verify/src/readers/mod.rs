//! What reads the stores.

pub mod control;
pub mod database;
pub mod keyring;

use std::path::Path;

use anyhow::{Context as _, Result};
use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

/// How often a file that is written to meanwhile is read again.
const TRIES: usize = 5;

/// Opens a copy in memory of a redb file: the file itself is the node's, which holds its lock. A copy that was taken while
/// a page was written does not have its checksums, and is taken again.
fn with_copy<T>(path: &Path, read: impl Fn(&Database) -> Result<T>) -> Result<T> {
    let mut last = None;
    for _ in 0..TRIES {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let opened = || -> Result<Database> {
            let copy = InMemoryBackend::new();
            StorageBackend::set_len(&copy, bytes.len() as u64)?;
            StorageBackend::write(&copy, 0, &bytes)?;
            anyhow::ensure!(bytes.starts_with(b"redb"), "it is no redb file");
            Ok(Database::builder().create_with_backend(copy)?)
        };
        match opened().and_then(|database| read(&database)) {
            Ok(read) => return Ok(read),
            Err(error) => last = Some(error),
        }
    }
    let why = last.map_or_else(String::new, |error| format!("{error:#}"));
    anyhow::bail!("{} is damaged or cut short: {why}", path.display())
}
