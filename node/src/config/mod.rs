//! The configuration of one node: one TOML file, unknown keys refused, values parsed once.
//!
//! Nothing in the file is a secret: secrets are named by the file they lie in, so that a configuration can be
//! shown, compared and kept under version control. Relative paths start at the file's own folder.

pub mod control;
pub mod database;
pub mod keys;
pub mod limits;
pub mod listen;
pub mod log;
pub mod region;
pub mod rules;
pub mod secret_file;
pub mod signin;
pub mod tls;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rates::Quotas;
use serde::{Deserialize, Deserializer};

pub use control::ControlSection;
pub use database::{DatabaseSection, MigrateSection};
pub use keys::KeysSection;
pub use limits::LimitsSection;
pub use listen::ListenSection;
pub use log::LogSection;
pub use region::RegionSection;
pub use router::traces::TracesSection;
pub use rules::RulesSection;
pub use secret_file::SecretFile;
pub use signin::SigninSection;
pub use tls::{PeerSection, TlsSection};

/// Everything a node is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this node is.
    pub region: RegionSection,
    /// Where it listens and what it tells others.
    pub listen: ListenSection,
    /// What callers see.
    pub tls: TlsSection,
    /// What peers see.
    pub peer: PeerSection,
    /// The control plane.
    pub control: ControlSection,
    /// The region's database.
    pub database: DatabaseSection,
    /// Who may change the database's schema.
    pub migrate: Option<MigrateSection>,
    /// The KMS and the keyring.
    pub keys: KeysSection,
    /// The rules of residency.
    pub rules: RulesSection,
    /// Signing in.
    #[serde(default)]
    pub signin: SigninSection,
    /// What is accepted.
    #[serde(default)]
    pub limits: LimitsSection,
    /// How much a caller and an address may ask for, who come here directly.
    #[serde(default)]
    pub rates: Quotas,
    /// Where traces go.
    #[serde(default)]
    pub traces: TracesSection,
    /// What is said.
    #[serde(default)]
    pub log: LogSection,
}

/// Why a configuration is refused. Names the file, and the line where TOML knows it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// The text is not what is expected.
    #[error("the configuration {0} is refused: {1}")]
    Wrong(PathBuf, toml::de::Error),
    /// Two settings contradict each other.
    #[error("the configuration {0} is refused: {1}")]
    Contradiction(PathBuf, String),
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::Unreadable(path.into(), e))?;
        Self::parse(&text, path)
    }

    /// Checks a text as if it stood in the file `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|e| ConfigError::Wrong(path.into(), e))?;
        let folder =
            std::path::absolute(path).ok().and_then(|p| p.parent().map(Path::to_owned)).unwrap_or_default();
        for relative in config.paths_mut() {
            *relative = folder.join(&*relative);
        }
        config.consistent().map_err(|wrong| ConfigError::Contradiction(path.into(), wrong))?;
        Ok(config)
    }

    /// Every file that a node which serves keeps closed, and the part of the configuration that names it. A store or
    /// key that is made at the first start is among them once it is there.
    pub fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        let mut files = vec![
            ("[tls] key", self.tls.key.as_path()),
            ("[peer] key", &self.peer.key),
            ("[database] password_file", &self.database.password_file.0),
        ];
        files.extend(self.keys.secret_files());
        files.extend(
            self.signin.sealing_keys.iter().map(|key| ("[[signin.sealing_keys]] file", key.file.0.as_path())),
        );
        files
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![
            &mut self.tls.certificate,
            &mut self.tls.key,
            &mut self.peer.ca,
            &mut self.peer.certificate,
            &mut self.peer.key,
            &mut self.control.dir,
            &mut self.database.ca,
            &mut self.database.password_file.0,
            &mut self.rules.file,
            &mut self.rules.verify_key,
        ];
        paths.extend(self.migrate.as_mut().map(|migrate| &mut migrate.password_file.0));
        paths.extend(self.keys.paths_mut());
        paths.extend(self.signin.sealing_keys.iter_mut().map(|key| &mut key.file.0));
        paths.extend(&mut self.signin.issuers_ca);
        paths.extend(&mut self.rules.policies);
        paths.extend(&mut self.traces.ca);
        paths
    }

    fn consistent(&self) -> Result<(), String> {
        self.control.consistent(&self.region)?;
        self.database.consistent()?;
        self.keys.cache.consistent()?;
        self.signin.consistent()?;
        self.rates.check().map_err(|(key, wrong)| format!("{key} {wrong}"))?;
        self.limits.consistent()
    }
}

/// Reads a value from its text form, and says what would be right.
pub(crate) fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(d: D) -> Result<T, D::Error> {
    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
