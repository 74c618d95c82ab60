//! Sections `[database]` and `[migrate]`: the region's Postgres.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::SecretFile;

/// The region's database, as the application sees it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSection {
    /// The server's name or address, as its certificate says.
    pub host: String,
    /// Its port.
    #[serde(default = "five_four_three_two")]
    pub port: u16,
    /// The database.
    pub name: String,
    /// The application's role: neither owner nor superuser, and without BYPASSRLS.
    pub user: String,
    /// Where its password lies.
    pub password_file: SecretFile,
    /// The authority that signed the server's certificate.
    pub ca: PathBuf,
    /// The most connections of this node.
    #[serde(default = "twenty")]
    pub connections_max: usize,
    /// How long a start waits for a server that does not answer.
    #[serde(default = "thirty")]
    pub start_wait_seconds: u64,
}

/// Who may change the database's schema. Needed by `domicile migrate` only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrateSection {
    /// The role that owns the tables.
    pub user: String,
    /// Where its password lies.
    pub password_file: SecretFile,
}

const fn five_four_three_two() -> u16 {
    5432
}

const fn twenty() -> usize {
    20
}

const fn thirty() -> u64 {
    30
}

impl DatabaseSection {
    /// How long a start waits for a server that does not answer.
    pub fn start_wait(&self) -> Duration {
        Duration::from_secs(self.start_wait_seconds)
    }

    pub(super) fn consistent(&self) -> Result<(), String> {
        if !(2..=500).contains(&self.connections_max) {
            return Err("[database] connections_max must lie between 2 and 500".into());
        }
        if self.start_wait_seconds > 600 {
            return Err("[database] start_wait_seconds must be 600 or less".into());
        }
        Ok(())
    }
}
