//! `cluster.json`: what runs, where, and with which credentials. Its shape is a contract with tests and tools.

use std::path::{Path, PathBuf};

use anyhow::Result;
use residency_policy::{Jurisdiction, Label, Npi, OrgId, OrgType, ProviderId, Role, UserId};
use serde::{Deserialize, Serialize};

use super::keep::{self, Readers};
use super::layout::Home;

/// The whole file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The authority to trust.
    pub ca_cert: PathBuf,
    /// The edge.
    pub router: RouterEntry,
    /// The regions.
    pub regions: Vec<RegionEntry>,
    /// At least one for each role.
    pub credentials: Vec<Credential>,
}

/// The edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterEntry {
    /// What callers use.
    pub url: String,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// What it says.
    pub log: PathBuf,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionEntry {
    /// Its short name, such as `tx`.
    pub name: Label,
    /// Whose law applies, such as `US-TX`.
    pub jurisdiction: Jurisdiction,
    /// The region's own endpoint.
    pub url: String,
    /// The node's process, while it runs.
    pub pid: Option<u32>,
    /// The database, for someone who only looks.
    pub postgres: PostgresEntry,
    /// Where Postgres keeps its data.
    pub data_dir: PathBuf,
    /// What the node says.
    pub log: PathBuf,
}

/// One database. The user reads everything, changes nothing, and needs no password on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresEntry {
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
    /// What it says.
    pub log: PathBuf,
}

/// An API key and what it lets its bearer be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The organisation's id.
    pub org: OrgId,
    /// The organisation's public name.
    pub org_name: String,
    /// What kind of organisation it is.
    pub org_type: OrgType,
    /// The role.
    pub role: Role,
    /// The homes that the key may ask for.
    pub jurisdictions: Vec<Jurisdiction>,
    /// The bearer token.
    pub api_key: String,
    /// Whose key it is. Homes that an earlier release made have keys of nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Staff>,
    /// Which clinician of the directory works with it. Only a provider's has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Clinician>,
}

/// A synthetic clinician.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clinician {
    /// The id in the directory.
    pub id: ProviderId,
    /// The NPI.
    pub npi: Npi,
}

/// A synthetic member of the workforce.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staff {
    /// Their id.
    pub id: UserId,
    /// The name on the badge.
    pub name: String,
    /// What they sign in with. Homes that an earlier release made have nobody who does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
}

/// What a synthetic member of the workforce signs in with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The login name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl Cluster {
    /// What the home folder holds, if anything.
    pub fn read(home: &Home) -> Result<Option<Self>> {
        keep::read_json(&home.cluster_json())
    }

    /// Replaces the file at once, for its owner's eyes only.
    pub fn write(&self, home: &Home) -> Result<()> {
        keep::write_json(&home.cluster_json(), Readers::Owner, self)
    }

    /// Every process that the file names, with what people call it.
    pub fn processes(&self) -> impl Iterator<Item = (u32, String)> {
        let router = [self.router.pid.map(|pid| (pid, "router".to_owned()))];
        let regions = self.regions.iter().flat_map(|r| {
            let node = r.pid.map(|pid| (pid, format!("node {}", r.name)));
            [node, r.postgres.pid.map(|pid| (pid, format!("postgres {}", r.name)))]
        });
        router.into_iter().chain(regions).flatten()
    }

    /// Forgets every process, when nothing runs any more.
    pub fn forget_pids(&mut self) {
        self.router.pid = None;
        for region in &mut self.regions {
            region.pid = None;
            region.postgres.pid = None;
        }
    }

    /// The first credential of a role.
    pub fn credential(&self, role: Role) -> Option<&Credential> {
        self.credentials.iter().find(|c| c.role == role)
    }
}

/// Whether a process runs whose command line names something in this folder. A pid alone may be another's by now.
pub fn is_ours(pid: u32, folders: &[&Path]) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let line = String::from_utf8_lossy(&line).into_owned();
    folders.iter().any(|folder| line.contains(&*folder.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn sample(home: &Home) -> Cluster {
        Cluster {
            ca_cert: home.ca_cert(),
            router: RouterEntry { url: "https://localhost:1".into(), pid: Some(7), log: home.router_log() },
            regions: vec![RegionEntry {
                name: "tx".parse().expect("a label"),
                jurisdiction: "US-TX".parse().expect("a jurisdiction"),
                url: "https://localhost:2".into(),
                pid: Some(8),
                postgres: PostgresEntry {
                    host: "127.0.0.1".into(),
                    port: 3,
                    dbname: "domicile".into(),
                    user: "domicile_inspect".into(),
                    pid: None,
                    log: "/l".into(),
                },
                data_dir: "/d".into(),
                log: "/l".into(),
            }],
            credentials: vec![Credential {
                org: OrgId::from_bytes([1; 16]),
                org_name: "A Clinic".into(),
                org_type: OrgType::Provider,
                role: Role::Provider,
                jurisdictions: vec!["US-TX".parse().expect("a jurisdiction")],
                api_key: "dk_x".into(),
                user: None,
                provider: None,
            }],
        }
    }

    #[test]
    fn the_file_has_the_promised_shape_and_mode() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        let cluster = sample(&home);
        cluster.write(&home).expect("writes");
        assert!(Cluster::read(&home).expect("reads").is_some_and(|read| read == cluster));
        let mode = std::fs::metadata(home.cluster_json()).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let json: serde_json::Value = keep::read_json(&home.cluster_json()).expect("reads").expect("is there");
        for pointer in [
            "/ca_cert",
            "/router/url",
            "/router/pid",
            "/regions/0/name",
            "/regions/0/url",
            "/regions/0/pid",
            "/regions/0/postgres/host",
            "/regions/0/postgres/port",
            "/regions/0/postgres/dbname",
            "/regions/0/postgres/user",
            "/regions/0/data_dir",
            "/regions/0/log",
            "/credentials/0/org",
            "/credentials/0/api_key",
        ] {
            assert!(json.pointer(pointer).is_some(), "{pointer}");
        }
        assert_eq!(json.pointer("/regions/0/jurisdiction"), Some(&"US-TX".into()));
        assert_eq!(json.pointer("/credentials/0/role"), Some(&"provider".into()));
        assert_eq!(json.pointer("/credentials/0/org_type"), Some(&"provider".into()));
        assert_eq!(json.pointer("/credentials/0/jurisdictions"), Some(&serde_json::json!(["US-TX"])));
    }

    #[test]
    fn a_process_is_ours_only_when_its_command_line_says_so() {
        let own = std::process::id();
        let program = std::env::current_exe().expect("a path");
        let folder = program.parent().expect("a folder");
        assert!(is_ours(own, &[folder]));
        assert!(!is_ours(own, &[Path::new("/nowhere/at/all")]));
    }
}
