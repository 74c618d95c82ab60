//! What the auditor was told is there: every region's stores, and how they are reached.
//!
//! Either a TOML file of the auditor's own, or the `cluster.json` of a cluster on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use residency_policy::Jurisdiction;
use serde::Deserialize;

/// Everything that is to be looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The Ed25519 key, 64 hexadecimal digits, of whoever may put rules and policies in force.
    #[serde(default)]
    pub policy_key: Option<String>,
    /// The file of the rules in force.
    #[serde(default)]
    pub rules_file: Option<PathBuf>,
    /// The regions.
    #[serde(rename = "region")]
    pub regions: Vec<Region>,
    /// Whether the policy key is the cluster's own word, and not the auditor's.
    #[serde(skip)]
    pub key_of_the_cluster: bool,
}

/// One region.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Whose law applies.
    pub jurisdiction: Jurisdiction,
    /// Its Postgres, with the auditor's role.
    pub postgres: Server,
    /// The folder of the control plane's log and snapshot.
    #[serde(default)]
    pub control_dir: Option<PathBuf>,
    /// The file of an embedded keyring.
    #[serde(default)]
    pub keyring_file: Option<PathBuf>,
    /// A keyring in another Postgres.
    #[serde(default)]
    pub keyring: Option<Server>,
    /// Where the write-ahead log is archived to, in the operator's words, if it is.
    #[serde(default)]
    pub archive: Option<String>,
}

/// A database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub dbname: String,
    /// The role that only reads.
    pub user: String,
    /// Where its password is.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The authority of its certificate. Without one only this machine is asked.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Cluster {
    regions: Vec<ClusterRegion>,
}

#[derive(Deserialize)]
struct ClusterRegion {
    name: String,
    jurisdiction: Jurisdiction,
    postgres: ClusterServer,
}

#[derive(Deserialize)]
struct ClusterServer {
    host: String,
    port: u16,
    dbname: String,
    user: String,
}

/// Reads an inventory. Says where it is not one.
pub fn read(path: &Path) -> Result<Inventory> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let base = path.parent().unwrap_or(Path::new("."));
    let inventory =
        if text.trim_start().starts_with('{') { of_cluster(&text, base) } else { of_toml(&text, base) };
    let inventory = inventory.with_context(|| format!("{} is no inventory", path.display()))?;
    ensure!(!inventory.regions.is_empty(), "{} names no region", path.display());
    for (at, one) in inventory.regions.iter().enumerate() {
        if inventory.regions[..at].iter().any(|other| other.jurisdiction == one.jurisdiction) {
            bail!("{} names {} twice", path.display(), one.jurisdiction);
        }
    }
    Ok(inventory)
}

fn of_toml(text: &str, base: &Path) -> Result<Inventory> {
    // toml's message quotes the line; an inventory holds no secret.
    let mut inventory: Inventory = toml::from_str(text)?;
    let from_base = |path: &mut Option<PathBuf>| *path = path.take().map(|path| base.join(path));
    from_base(&mut inventory.rules_file);
    for region in &mut inventory.regions {
        from_base(&mut region.control_dir);
        from_base(&mut region.keyring_file);
        for server in std::iter::once(&mut region.postgres).chain(&mut region.keyring) {
            from_base(&mut server.password_file);
            from_base(&mut server.ca);
        }
    }
    Ok(inventory)
}

fn of_cluster(text: &str, home: &Path) -> Result<Inventory> {
    // The file holds API keys: where in it the mistake is, and not what stands there.
    let cluster: Cluster = serde_json::from_str(text).map_err(|error| {
        anyhow::anyhow!("line {}, column {}: not as a cluster.json is", error.line(), error.column())
    })?;
    let regions: Vec<Region> = cluster
        .regions
        .into_iter()
        .map(|one| {
            let folder = home.join("regions").join(&one.name);
            let ClusterServer { host, port, dbname, user } = one.postgres;
            Region {
                jurisdiction: one.jurisdiction,
                postgres: Server { host, port, dbname, user, password_file: None, ca: None },
                control_dir: Some(folder.join("control")),
                keyring_file: Some(folder.join("keys/keyring.redb")),
                keyring: None,
                archive: None,
            }
        })
        .collect();
    let (rules_file, policy_key) = configured(home).unwrap_or_default();
    Ok(Inventory { policy_key, rules_file, regions, key_of_the_cluster: true })
}

/// The rules and the key that the first node's own configuration names.
fn configured(home: &Path) -> Option<(Option<PathBuf>, Option<String>)> {
    let folder = std::fs::read_dir(home.join("regions")).ok()?.flatten().next()?.path();
    let file: toml::Table = std::fs::read_to_string(folder.join("node.toml")).ok()?.parse().ok()?;
    let rules = file.get("rules")?;
    let named = |key: &str| Some(folder.join(rules.get(key)?.as_str()?));
    let key = std::fs::read_to_string(named("verify_key")?).ok().map(|text| text.trim().to_owned());
    Some((named("file"), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Inventory> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("inventory");
        std::fs::write(&path, text).expect("writes");
        read(&path)
    }

    const REGION: &str = "[[region]]\njurisdiction = \"US-TX\"\ncontrol_dir = \"c\"\n\
        [region.postgres]\nhost = \"127.0.0.1\"\nport = 1\ndbname = \"d\"\nuser = \"u\"\n";

    #[test]
    fn an_inventory_is_read_and_a_damaged_one_refused_in_words() {
        let one = of(REGION).expect("is one");
        assert!(one.regions[0].control_dir.as_ref().is_some_and(|dir| dir.is_absolute()));
        for bad in [
            "",
            "region = []",
            "{",
            "{\"regions\": [{\"api_key\": \"dk_secret\"}]}",
            &REGION.replace("port", "prot"),
        ] {
            let error = format!("{:#}", of(bad).expect_err(bad));
            assert!(!error.contains("dk_secret"), "{error}");
        }
        let twice = format!("{REGION}{REGION}");
        assert!(of(&twice).expect_err("twice").to_string().contains("twice"));
    }
}
