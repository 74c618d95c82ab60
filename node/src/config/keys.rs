//! Section `[keys]`: the region's KMS key, and where wrapped data keys are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use storage_keys::EnvelopeLimits;

use super::SecretFile;

/// The KMS and the keyring.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysSection {
    /// Which KMS wraps data keys.
    pub kms: KmsSection,
    /// Where wrapped data keys are kept: never in the PHI's own Postgres, nor in its backups.
    pub keyring: KeyringSection,
    /// How many data keys are open at once, and for how long.
    #[serde(default)]
    pub cache: CacheSection,
}

/// The open data keys. While the KMS is out of reach a patient whose key is open can be served, until its time is
/// over; a key that was destroyed on another node of the region, or disabled at the KMS, works as long.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSection {
    /// The most open keys of each kind; the least used go first.
    pub open_keys_max: u64,
    /// The longest that a key stays open before it is fetched from the KMS again.
    pub open_seconds_max: u64,
}

impl Default for CacheSection {
    fn default() -> Self {
        let EnvelopeLimits { open_keys_max, open_max } = EnvelopeLimits::default();
        Self { open_keys_max, open_seconds_max: open_max.as_secs() }
    }
}

impl CacheSection {
    /// The same, as the keys' cache takes it.
    pub fn limits(self) -> EnvelopeLimits {
        EnvelopeLimits {
            open_keys_max: self.open_keys_max,
            open_max: Duration::from_secs(self.open_seconds_max),
        }
    }

    pub(super) fn consistent(self) -> Result<(), String> {
        if !(1..=10_000_000).contains(&self.open_keys_max) {
            return Err("[keys.cache] open_keys_max must be between 1 and 10000000".into());
        }
        // Past an hour, a key that was disabled at the KMS would go on opening records for too long.
        if !(1..=3_600).contains(&self.open_seconds_max) {
            return Err("[keys.cache] open_seconds_max must be between 1 and 3600".into());
        }
        Ok(())
    }
}

/// Which KMS wraps data keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KmsSection {
    /// A master key in a file. For development: whoever has the file has the keys.
    Local {
        /// The file; it is made when it is not there.
        file: PathBuf,
    },
    /// AWS KMS. Credentials come from the usual AWS sources.
    Aws {
        /// The key's id, ARN or alias.
        key_id: String,
        /// The AWS region, which should lie in the jurisdiction.
        aws_region: String,
        /// Another endpoint than AWS's own, such as a VPC endpoint.
        endpoint: Option<String>,
    },
}

/// Where wrapped data keys are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeyringSection {
    /// One file, for a region of one node.
    Embedded {
        /// The file; it is made when it is not there.
        file: PathBuf,
    },
    /// Another Postgres server, for a region of several nodes.
    Postgres {
        /// The server's name or address, as its certificate says.
        host: String,
        /// Its port.
        port: u16,
        /// The database.
        name: String,
        /// The role.
        user: String,
        /// Where its password lies.
        password_file: SecretFile,
        /// The authority that signed the server's certificate.
        ca: PathBuf,
    },
}

impl KeysSection {
    pub(super) fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        let mut files = Vec::new();
        if let KmsSection::Local { file } = &self.kms
            && file.exists()
        {
            files.push(("[keys.kms] file", file.as_path()));
        }
        match &self.keyring {
            KeyringSection::Embedded { file } if file.exists() => files.push(("[keys.keyring] file", file)),
            KeyringSection::Embedded { .. } => {}
            KeyringSection::Postgres { password_file, .. } => {
                files.push(("[keys.keyring] password_file", &password_file.0));
            }
        }
        files
    }

    pub(super) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = Vec::new();
        if let KmsSection::Local { file } = &mut self.kms {
            paths.push(file);
        }
        match &mut self.keyring {
            KeyringSection::Embedded { file } => paths.push(file),
            KeyringSection::Postgres { password_file, ca, .. } => paths.extend([&mut password_file.0, ca]),
        }
        paths
    }
}
