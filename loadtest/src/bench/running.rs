//! The cluster that a benchmark measures: the one it was given, or one that lives as long as the benchmark.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::Options;
use crate::cluster::Cluster;

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
        }
    }
}
