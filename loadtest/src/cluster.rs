//! A running cluster, as its `cluster.json` describes it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::client::Address;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
pub struct Cluster {
    /// The authority to trust.
    pub ca_cert: PathBuf,
    /// The edge.
    pub router: Router,
    /// The regions.
    pub regions: Vec<Region>,
    /// At least one for each role.
    pub credentials: Vec<Credential>,
}

/// The edge.
#[derive(Debug, Clone, Deserialize)]
pub struct Router {
    /// What callers use.
    pub url: String,
    /// Its process, while it runs.
    pub pid: Option<u32>,
}

/// One region.
#[derive(Debug, Clone, Deserialize)]
pub struct Region {
    /// Its short name.
    pub name: String,
    /// Whose law applies, such as `US-TX`.
    pub jurisdiction: String,
    /// Its own endpoint.
    pub url: String,
    /// The node's process, while it runs.
    pub pid: Option<u32>,
    /// The database, for someone who only looks.
    pub postgres: Postgres,
    /// Where Postgres keeps its data.
    pub data_dir: PathBuf,
}

/// One database.
#[derive(Debug, Clone, Deserialize)]
pub struct Postgres {
    /// The address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub dbname: String,
    /// The role.
    pub user: String,
    /// The server's process, while it runs.
    pub pid: Option<u32>,
}

/// An API key and what its bearer may be.
#[derive(Clone, Deserialize)]
pub struct Credential {
    /// The organisation.
    pub org: String,
    /// The role.
    pub role: String,
    /// Where it works.
    pub jurisdictions: Vec<String>,
    /// The key.
    pub api_key: String,
    /// Who has that role there, if it is not a program only.
    pub user: Option<User>,
}

/// Somebody of the workforce.
#[derive(Clone, Deserialize)]
pub struct User {
    /// What they sign in with. Homes that an earlier release made have nobody who does.
    pub login: Option<Login>,
}

/// What somebody signs in with.
#[derive(Clone, Deserialize)]
pub struct Login {
    /// The login name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// The key is left out: what is printed is read by others.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("org", &self.org).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Reads a home folder's `cluster.json`. A process that was started again has another id in it.
    pub fn read(home: &Path) -> Result<Self> {
        let path = home.join("cluster.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: is the cluster up? ./dev up starts it", path.display()))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The first credential of this role that works in this jurisdiction.
    pub fn credential(&self, role: &str, jurisdiction: &str) -> Result<&Credential> {
        let fits = |c: &&Credential| c.role == role && c.jurisdictions.iter().any(|j| j == jurisdiction);
        self.credentials
            .iter()
            .find(fits)
            .with_context(|| format!("no credential of a {role} in {jurisdiction}"))
    }

    /// Where the edge is reached.
    pub fn edge(&self) -> Result<Address> {
        Address::of_url(&self.router.url)
    }
}

impl Region {
    /// Where its node is reached.
    pub fn address(&self) -> Result<Address> {
        Address::of_url(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_may_be_there_and_keys_are_not_printed() {
        let text = r#"{"ca_cert": "/ca", "router": {"url": "https://localhost:1", "pid": 7, "log": "/l"},
            "regions": [{"name": "tx", "jurisdiction": "US-TX", "url": "https://localhost:2", "pid": null,
                "postgres": {"host": "127.0.0.1", "port": 3, "dbname": "d", "user": "u", "pid": 9, "log": "/p"},
                "data_dir": "/d", "log": "/n"}],
            "credentials": [{"org": "o", "org_name": "n", "org_type": "clinic", "role": "provider",
                "jurisdictions": ["US-TX"], "api_key": "secret"}]}"#;
        let cluster: Cluster = serde_json::from_str(text).expect("a cluster");
        assert_eq!(cluster.credential("provider", "US-TX").expect("one").api_key, "secret");
        assert!(cluster.credential("auditor", "US-TX").is_err());
        assert!(!format!("{cluster:?}").contains("secret"));
        assert_eq!(cluster.regions[0].address().expect("an address").port, 2);
    }
}
