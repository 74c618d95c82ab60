//! Where everything lies in the home folder of a development cluster.
//!
//! ```text
//! HOME/plan.json                what was chosen at first: regions, ports, node ids, seed
//!      cluster.json             what runs now, and with which credentials (mode 0600)
//!      ca/                      the throw-away certificate authority
//!      rules/                   the rules in force, and the key that signs them
//!      regions/tx/node.toml     and tls/ keys/ control/ postgres/ node.log postgres.log
//!      router/router.toml       and tls/ control/ router.log
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use residency_policy::Region;

/// The home folder of one development cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The folder that was asked for, or `.domicile` where the program was started. Absolute from here on, because
    /// children run elsewhere. It need not exist yet.
    pub fn at(asked: Option<&Path>) -> Result<Self> {
        let asked = asked.unwrap_or(Path::new(".domicile"));
        let root = std::path::absolute(asked)
            .with_context(|| format!("{} cannot be a home folder", asked.display()))?;
        Ok(Self { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was chosen when the cluster was made.
    pub fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// What runs now. Its shape is a contract with tests and tools.
    pub fn cluster_json(&self) -> PathBuf {
        self.root.join("cluster.json")
    }

    /// The supervisor's process id. Whoever holds the lock on it is the supervisor.
    pub fn supervisor_pid(&self) -> PathBuf {
        self.root.join("supervisor.pid")
    }

    /// How far the supervisor has come.
    pub fn supervisor_state(&self) -> PathBuf {
        self.root.join("supervisor.json")
    }

    /// What a supervisor in the background says.
    pub fn supervisor_log(&self) -> PathBuf {
        self.root.join("supervisor.log")
    }

    /// How many people of which seed were loaded where.
    pub fn people(&self) -> PathBuf {
        self.root.join("people.json")
    }

    /// The certificate authority.
    pub fn ca(&self) -> PathBuf {
        self.root.join("ca")
    }

    /// The authority's certificate, which callers trust.
    pub fn ca_cert(&self) -> PathBuf {
        self.ca().join("ca.pem")
    }

    /// The rules in force and the policy key.
    pub fn rules(&self) -> PathBuf {
        self.root.join("rules")
    }

    /// The signed sets of access policies.
    pub fn policies(&self) -> PathBuf {
        self.rules().join("policies")
    }

    /// One region's folder.
    pub fn region(&self, region: Region) -> RegionHome {
        RegionHome { root: self.root.join("regions").join(region.name().as_str()) }
    }

    /// The router's folder.
    pub fn router(&self) -> PathBuf {
        self.root.join("router")
    }

    /// The router's configuration.
    pub fn router_toml(&self) -> PathBuf {
        self.router().join("router.toml")
    }

    /// What the router says.
    pub fn router_log(&self) -> PathBuf {
        self.router().join("router.log")
    }
}

/// One region's part of the home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionHome {
    root: PathBuf,
}

impl RegionHome {
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The node's configuration.
    pub fn node_toml(&self) -> PathBuf {
        self.root.join("node.toml")
    }

    /// Certificates and their keys.
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The local KMS's master key, the keyring, and the database passwords.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The control plane's store.
    pub fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    /// Where Postgres keeps its data, unless an ordinary user cannot come here.
    pub fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// What the node says.
    pub fn node_log(&self) -> PathBuf {
        self.root.join("node.log")
    }

    /// What Postgres says.
    pub fn postgres_log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_absolute_and_each_region_has_its_own_folder() {
        let home = Home::at(Some(Path::new("x/../here"))).expect("a home");
        assert!(home.root().is_absolute());
        let region = |code: &str| home.region(Region(code.parse().expect("a jurisdiction")));
        assert!(region("US-TX").node_toml().ends_with("regions/tx/node.toml"));
        assert_ne!(region("US-TX").keys(), region("US-CA").keys());
    }
}
