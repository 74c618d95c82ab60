//! The cluster that a benchmark measures: the one it was given, or one that lives as long as the benchmark.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Options;
use crate::cluster::{Cluster, Region};

/// How long the control plane may take to be well.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running cluster.
#[derive(Debug)]
pub struct Running {
    /// What it is.
    pub cluster: Cluster,
    home: PathBuf,
    own: Option<PathBuf>,
}

impl Running {
    /// The cluster that the options name. Without one, three states with so many people, in a folder of its own.
    pub fn find(options: &Options, people: usize) -> anyhow::Result<Self> {
        if let Some(home) = &options.home {
            return Ok(Self { cluster: Cluster::read(home)?, home: home.clone(), own: None });
        }
        Self::start(options, "domicile", people)
    }

    /// Three states whose nodes keep no access records of reads, in a folder of their own.
    pub fn unaudited(options: &Options, people: usize) -> anyhow::Result<Self> {
        Self::start(options, "domicile-unaudited", people)
    }

    fn start(options: &Options, program: &str, people: usize) -> anyhow::Result<Self> {
        let (program, home) = (options.program(program)?, options.folder(&format!("{program}-home"))?);
        options.program("domicile-router")?;
        let output = Command::new(&program)
            .args(["dev", "up", "--detach", "--people", &people.to_string(), "--home"])
            .arg(&home)
            .stdin(Stdio::null())
            .output()
            .context("domicile dev up")?;
        // From here on it is stopped also when what follows fails.
        let mut running = Self { cluster: NONE, home: home.clone(), own: Some(program) };
        ensure!(output.status.success(), "domicile dev up: {}", String::from_utf8_lossy(&output.stderr));
        running.cluster = Cluster::read(&home)?;
        Ok(running)
    }

    /// Where it lives.
    pub fn home(&self) -> &PathBuf {
        &self.home
    }

    /// The processes of its nodes and its router.
    pub fn servers(&self) -> Vec<u32> {
        self.cluster.regions.iter().filter_map(|region| region.pid).chain(self.cluster.router.pid).collect()
    }

    /// The processes of its databases; their backends are below them.
    pub fn databases(&self) -> Vec<u32> {
        self.cluster.regions.iter().filter_map(|region| region.postgres.pid).collect()
    }
}

/// The region whose node leads the control plane.
pub(super) fn leader<'a>(options: &Options, running: &'a Running) -> anyhow::Result<&'a Region> {
    let begun = Instant::now();
    loop {
        let said = status(options, running, Duration::ZERO)?;
        let members = said["members"].as_array().map(Vec::as_slice).unwrap_or_default();
        let identity =
            members.iter().find(|member| member["role"] == "leader").and_then(|m| m["identity"].as_str());
        let of = |region: &&Region| {
            identity.is_some_and(|id| id.contains(&format!("/{}/", region.jurisdiction.to_lowercase())))
        };
        if let Some(region) = running.cluster.regions.iter().find(of) {
            return Ok(region);
        }
        ensure!(begun.elapsed() < PATIENCE, "nobody leads: {said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until every member of the control plane is there and has caught up.
pub(super) fn until_well(options: &Options, running: &Running) -> anyhow::Result<()> {
    let said = status(options, running, PATIENCE)?;
    ensure!(said["well"] == true, "the control plane is not well: {}", said["wrong"]);
    Ok(())
}

/// What the control plane says of itself, as soon as it is well or the time is over.
fn status(options: &Options, running: &Running, within: Duration) -> anyhow::Result<Value> {
    let first = running.cluster.regions.first().context("a region")?;
    let config = running.home().join("regions").join(&first.name).join("node.toml");
    let output = Command::new(options.program("domicile")?)
        .args(["cluster", "status", "--json", "--wait", &within.as_secs().to_string(), "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .context("domicile cluster status")?;
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

const NONE: Cluster = Cluster {
    ca_cert: PathBuf::new(),
    router: crate::cluster::Router { url: String::new(), pid: None },
    regions: Vec::new(),
    credentials: Vec::new(),
};

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(program) = &self.own {
            let mut down = Command::new(program);
            let down = down.args(["dev", "down", "--home"]).arg(&self.home);
            let _ = down.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            // The next one in this place begins with nothing. What cannot be removed goes when the benchmarks end.
            let _ = std::fs::remove_dir_all(&self.home);
        }
    }
}
