//! A region that dies, and stays dead for a while although its supervisor starts it again.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;

use crate::cluster::Cluster;

/// How often a dead region's new process is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Kills the region's node, and whatever is started in its place, until the time is over. Tells how many processes
/// were killed.
pub async fn keep_dead(home: &Path, region: &str, length: Duration) -> Result<u32> {
    let until = Instant::now() + length;
    let mut killed = 0;
    let mut last = None;
    while Instant::now() < until {
        if let Some(pid) = node(home, region)?
            && last != Some(pid)
        {
            kill(pid)?;
            last = Some(pid);
            killed += 1;
        }
        tokio::time::sleep(LOOK).await;
    }
    ensure!(killed > 0, "the node of {region} was not running");
    Ok(killed)
}

/// The process of a region's node, if it runs.
fn node(home: &Path, region: &str) -> Result<Option<u32>> {
    // The file is replaced whole when a process was started again, so a read is never half.
    let cluster = Cluster::read(home)?;
    let region =
        cluster.regions.iter().find(|r| r.name == region).with_context(|| format!("no region {region}"))?;
    Ok(region.pid.filter(|pid| *pid > 1))
}

/// Kills one process at once. That it is gone already is as good.
pub(crate) fn kill(pid: u32) -> Result<()> {
    ensure!(pid > 1, "{pid} is no process to kill");
    Command::new("sh")
        .args(["-c", &format!("kill -s KILL {pid}")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("kill")?;
    Ok(())
}
