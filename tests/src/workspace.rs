//! The repository itself, as the house tests read it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::rust_source::Source;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned()
}

/// Where cargo put what this test process was built with: `target/debug`.
pub fn built() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    exe.ancestors().nth(2).unwrap_or(Path::new("/")).to_owned()
}

/// A variable of the environment, in the one place where the tests read it.
#[expect(clippy::disallowed_methods, reason = "the harness is configured by its environment, and only here")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether the long battery was asked for: `./dev test --long`.
pub fn long() -> bool {
    environment("DOMICILE_LONG").is_some_and(|v| v != "0")
}

/// Every file under these folders of the repository whose name ends so, in order.
pub fn files(folders: &[&str], ends: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), ends, &mut found);
    }
    found.sort();
    found
}

fn walk(folder: &Path, ends: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                walk(&path, ends, found);
            }
        } else if name.ends_with(ends) {
            found.push(path);
        }
    }
}

/// The folders that hold code.
pub const CODE: &[&str] = &["residency", "storage", "router", "node", "loadtest", "deploy", "tests"];

/// Every Rust file of the workspace, but for the walls, which are made not to compile.
pub fn sources() -> Vec<Source> {
    let root = root();
    files(CODE, ".rs")
        .into_iter()
        .filter_map(|path| {
            let name = path.strip_prefix(&root).ok()?.to_owned();
            (!name.starts_with("tests/walls")).then(|| std::fs::read_to_string(&path).ok())?.map(|t| (name, t))
        })
        .map(|(name, text)| Source::new(&name, text))
        .collect()
}

/// One Rust file, by its path from the root.
pub fn source(path: &str) -> Result<Source> {
    let text = std::fs::read_to_string(root().join(path)).with_context(|| path.to_owned())?;
    Ok(Source::new(Path::new(path), text))
}

/// Who depends on whom, by package name: this workspace's or a made-up one's.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Package -> what it needs to be built and run.
    pub normal: BTreeMap<String, BTreeSet<String>>,
    /// Package -> what only its tests need.
    pub dev: BTreeMap<String, BTreeSet<String>>,
    /// The packages of the workspace.
    pub ours: BTreeSet<String>,
}

impl Graph {
    /// The graph of this workspace, as cargo resolved it for this platform.
    pub fn of_workspace() -> Result<Self> {
        let output = Command::new(environment("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version", "1", "--offline", "--filter-platform"])
            .arg("x86_64-unknown-linux-gnu")
            .current_dir(root())
            .output()?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        Self::read(&serde_json::from_slice(&output.stdout)?)
    }

    fn read(metadata: &Value) -> Result<Self> {
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let name_of: BTreeMap<String, String> = list(metadata, "packages")
            .iter()
            .filter_map(|p| Some((p["id"].as_str()?.to_owned(), p["name"].as_str()?.to_owned())))
            .collect();
        let name = |id: &Value| id.as_str().and_then(|id| name_of.get(id)).cloned();

        let mut graph = Self::default();
        graph.ours.extend(list(metadata, "workspace_members").iter().filter_map(name));
        for node in list(&metadata["resolve"], "nodes") {
            let from = name(&node["id"]).context("a node without a package")?;
            for dependency in list(&node, "deps") {
                let to = name(&dependency["pkg"]).context("a dependency without a package")?;
                for kind in list(&dependency, "dep_kinds") {
                    let edges =
                        if kind["kind"].as_str() == Some("dev") { &mut graph.dev } else { &mut graph.normal };
                    edges.entry(from.clone()).or_default().insert(to.clone());
                }
            }
        }
        Ok(graph)
    }

    /// What a package imports itself, tests aside.
    pub fn direct(&self, package: &str) -> BTreeSet<String> {
        self.normal.get(package).cloned().unwrap_or_default()
    }

    /// Everything that is linked into a package.
    pub fn closure(&self, package: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut next = vec![package.to_owned()];
        while let Some(one) = next.pop() {
            for to in self.normal.get(&one).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        seen
    }
}
