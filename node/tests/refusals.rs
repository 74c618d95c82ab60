//! A node that cannot serve says what is wrong and how to mend it, and ends with a code of its own.
//!
//! Each test begins with a configuration in which only one thing is wrong. The control is the last one: with
//! nothing wrong but an absent database, a node comes all the way to asking for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use node::dev::authority::{Authority, Subject};
use node::dev::keep::{self, Readers};
use node::dev::layout::Home;
use node::dev::plan::{self, Plan, Wish};
use node::dev::rulebook::Rulebook;
use node::dev::sealing_key;
use node::dev::sheets;
use node::exit::Cause;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_policy::Clock as _;

struct Bench {
    dir: tempfile::TempDir,
    toml: PathBuf,
    region: PathBuf,
    plan: Plan,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        let wish = Wish { states: Some(vec!["US-TX".parse().expect("a jurisdiction")]), ..Wish::default() };
        let plan = plan::settle(&home, &wish, &SystemEntropy::new()).expect("settles");
        let rules = Rulebook::open_or_create(&home).expect("opens");
        let files = home.region(plan.regions[0].region);
        for folder in [files.keys(), home.router()] {
            keep::folder(&folder, Readers::Owner).expect("makes");
        }
        let bench = Self { dir, toml: files.node_toml(), region: files.root().to_owned(), plan };
        bench.certify(&home, SystemClock.now(), &sheets::region_identity(&bench.plan.regions[0]));
        sheets::write(&home, &bench.plan, &rules, None, sheets::Reach::Loopback).expect("writes");
        sealing_key::share(&home, &bench.plan, &SystemEntropy::new()).expect("shares");
        for name in ["app.password", "owner.password"] {
            keep::write(&files.keys().join(name), Readers::Owner, b"secret\n").expect("writes");
        }
        bench.edit("[database]\n", "[database]\nstart_wait_seconds = 0\n");
        bench
    }

    fn home(&self) -> Home {
        Home::at(Some(self.dir.path())).expect("a home")
    }

    fn certify(&self, home: &Home, at: jiff::Timestamp, identity: &str) {
        let authority = Authority::open_or_create(&home.ca(), at).expect("an authority");
        let tls = self.region.join("tls");
        authority.leaf(&tls, "public", &Subject::Server).expect("issues");
        authority.leaf(&tls, "peer", &Subject::Peer(identity.to_owned())).expect("issues");
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.toml).expect("reads");
        assert!(text.contains(from), "the configuration has {from}");
        fs::write(&self.toml, text.replacen(from, to, 1)).expect("writes");
    }

    /// Runs the node and checks how it ends and what it says; never what it must not say.
    fn ends(&self, cause: Cause, says: &str) {
        let output = node().args(["node", "--config"]).arg(&self.toml).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(i32::from(cause.code())), "{said}");
        assert!(said.contains(says), "{said} does not say {says}");
        assert!(said.contains("to mend it: "), "{said}");
        let logged = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains("secret\n") && !logged.contains("\"secret\""), "{said}{logged}");
    }
}

fn node() -> Command {
    Command::new(env!("CARGO_BIN_EXE_domicile"))
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("sets");
}

#[test]
fn a_configuration_that_is_not_there_or_not_understood() {
    let bench = Bench::new();
    bench.edit("[region]\n", "[region]\nnonsense = 1\n");
    bench.ends(Cause::Config, "nonsense");
    fs::remove_file(&bench.toml).expect("removes");
    bench.ends(Cause::Config, "node.toml");
}

#[test]
fn a_password_that_others_may_read() {
    let bench = Bench::new();
    open_to_all(&bench.region.join("keys/app.password"));
    bench.ends(Cause::Config, "chmod 600");
}

#[test]
fn a_private_key_or_master_key_that_others_may_read() {
    for (name, cause) in [
        ("tls/public.key", Cause::Tls),
        ("tls/peer.key", Cause::Tls),
        ("keys/master.key", Cause::Keys),
        ("keys/keyring.redb", Cause::Keys),
    ] {
        let bench = Bench::new();
        let path = bench.region.join(name);
        if !path.exists() {
            keep::write(&path, Readers::Owner, b"something\n").expect("writes");
        }
        open_to_all(&path);
        bench.ends(cause, "chmod 600");
    }
}

#[test]
fn an_expired_certificate() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.region.join("tls")).expect("removes");
    let long_ago = "2025-01-01T00:00:00Z".parse().expect("a time");
    bench.certify(&bench.home(), long_ago, &sheets::region_identity(&bench.plan.regions[0]));
    bench.ends(Cause::Tls, "valid");
}

#[test]
fn another_nodes_certificate() {
    let bench = Bench::new();
    bench.certify(&bench.home(), SystemClock.now(), "spiffe://domicile/region/us-ca/node/7");
    bench.ends(Cause::Tls, "spiffe://domicile/region/us-ca/node/7");
}

#[test]
fn rules_that_cannot_be_read() {
    let bench = Bench::new();
    fs::write(bench.home().rules().join("us.toml"), "version = 1\n[[transit]]\n").expect("writes");
    bench.ends(Cause::Rules, "us.toml");
}

#[test]
fn a_master_key_that_is_none() {
    let bench = Bench::new();
    keep::write(&bench.region.join("keys/master.key"), Readers::Owner, b"nonsense").expect("writes");
    bench.ends(Cause::Keys, "master.key");
}

#[test]
fn an_absent_database_once_everything_else_is_well() {
    let bench = Bench::new();
    bench.ends(Cause::DatabaseAway, "no connection");
}

#[test]
fn the_doctor_names_what_is_wrong_and_the_exit_code_says_so() {
    let bench = Bench::new();
    open_to_all(&bench.region.join("tls/peer.key"));
    let output = node().args(["doctor", "--json", "--config"]).arg(&bench.toml).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    assert_eq!(report["ok"], false);
    let failed: Vec<&str> = report["checks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|c| c["verdict"] == "fail")
        .filter_map(|c| c["check"].as_str())
        .collect();
    assert_eq!(failed, ["secrets", "database"], "{report:#}");
    let well = report["checks"].to_string();
    for check in ["public certificate", "peer certificate", "rules", "ports", "disk", "keyring"] {
        assert!(well.contains(check), "{check}");
    }
}
