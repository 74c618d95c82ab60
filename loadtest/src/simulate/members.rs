//! What the log and the members cost on this machine: one member alone, and three over mutual TLS.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use residency_control::peer::PeerId;
use residency_control::{Command, Control, Outcome, Standing, Timings};
use residency_policy::KeyId;
use tokio::runtime::Runtime;

use super::costs::{Costs, claim, entry, texas};
use crate::bench::authority::Authority;
use crate::bench::cpu::Meter;
use crate::bench::drive::precise;
use crate::bench::member::{self, Ask};
use crate::bench::peers::free_port;

/// How long members may take to agree on who leads.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many entries are counted on.
const ENTRIES: u32 = 400;
/// How many batches of 4,096 ids.
const BATCHES: u64 = 40;

/// Measures and fills in.
pub(super) fn measure(costs: &mut Costs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let alone = Group::start(&runtime, 1)?;
    runtime.block_on(log_growth(&alone, costs))?;
    costs.entry_us = runtime.block_on(alone.entry_us())?;
    alone.end(&runtime);
    let three = Group::start(&runtime, 3)?;
    let together = runtime.block_on(three.entry_us())?;
    costs.follower_us = ((together - costs.entry_us) / 2.0).max(0.0);
    costs.shared_us = runtime.block_on(three.shared_us())?;
    runtime.block_on(visible(&three, costs))?;
    three.end(&runtime);
    costs.heartbeat_ms = precise(Timings::default().heartbeat_ms);
    Ok(())
}

/// Members in this process, the first of which leads, and their folder, which goes with them.
struct Group {
    members: Vec<Control>,
    _folder: tempfile::TempDir,
}

impl Group {
    fn start(runtime: &Runtime, count: u64) -> Result<Self> {
        const PLACES: [&str; 3] = ["us-tx", "us-ca", "us-ny"];
        let (authority, folder) = (Authority::new()?, tempfile::tempdir().context("a folder")?);
        let mut seats: Vec<(PeerId, u16)> = Vec::new();
        let mut homes = Vec::new();
        for (place, node) in PLACES.iter().zip(1..=count) {
            let uri = format!("spiffe://domicile/region/{place}/node/{node}");
            let home = folder.path().join(node.to_string());
            authority.issue(&home, Some(&uri))?;
            seats.push((uri.parse().context("an identity")?, free_port()?));
            homes.push(home);
        }
        let members = runtime.block_on(async {
            let mut members = Vec::new();
            for ((id, _), home) in seats.iter().zip(homes) {
                members.push(
                    member::start(&Ask { home, id: *id, members: seats.clone() }, BTreeMap::new()).await?,
                );
            }
            members[0].initialize(member::seats(&seats)?).await?;
            members[0].reader().wait(|r| r.status().standing == Standing::Leader, PATIENCE).await?;
            propose(&members[0], entry(texas()?)?).await?;
            anyhow::Ok(members)
        })?;
        Ok(Self { members, _folder: folder })
    }

    /// Processor time of all members for an entry of its own, without the time between entries.
    async fn entry_us(&self) -> Result<f64> {
        let meter = Meter::start(&[std::process::id()]);
        for _ in 0..ENTRIES {
            propose(&self.members[0], change()).await?;
        }
        Ok(meter.read().as_secs_f64() * 1e6 / f64::from(ENTRIES))
    }

    /// Processor time of all members for a change, when so many wait at the same moment that they share entries.
    async fn shared_us(&self) -> Result<f64> {
        const AT_ONCE: usize = 512;
        const ROUNDS: usize = 10;
        let meter = Meter::start(&[std::process::id()]);
        for _ in 0..ROUNDS {
            let changes = (0..AT_ONCE).map(|_| propose(&self.members[0], change()));
            futures::future::try_join_all(changes).await?;
        }
        Ok(meter.read().as_secs_f64() * 1e6 / precise((AT_ONCE * ROUNDS) as u64))
    }

    fn end(self, runtime: &Runtime) {
        for member in &self.members {
            runtime.block_on(member.shutdown());
        }
    }
}

/// A small change that can be made again and again. It is refused, which costs the log the same.
fn change() -> Command {
    Command::RevokeKey(KeyId::from_bytes([1; 16]))
}

async fn propose(member: &Control, command: Command) -> Result<u64> {
    let proposed = member.writer().propose(command).await?;
    Ok(proposed.index)
}

/// How much is written to the disk for an id and for a change: pages of the log, its tree and its head, whatever a
/// byte of a command makes of it. The log is cut behind snapshots, so its size says nothing.
async fn log_growth(alone: &Group, costs: &mut Costs) -> Result<()> {
    let member = &alone.members[0];
    let region = texas()?;
    let before = written()?;
    for batch in 0..BATCHES {
        let proposed = member.writer().propose(claim(region, batch * 4_096, 4_096)?).await?;
        ensure!(proposed.outcome == Outcome::Done, "ids are refused");
    }
    let claimed = written()?;
    for _ in 0..ENTRIES {
        propose(member, change()).await?;
    }
    let changed = written()?;
    costs.log_bytes_claimed = precise(claimed.saturating_sub(before)) / precise(BATCHES * 4_096);
    costs.log_bytes_change = precise(changed.saturating_sub(claimed)) / f64::from(ENTRIES);
    Ok(())
}

/// The bytes that this process has sent to a disk.
fn written() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/io").context("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes:")).context("write_bytes")?;
    line.trim().parse().context("write_bytes")
}

/// How long an acknowledgement takes, and how long until every follower shows the change.
async fn visible(three: &Group, costs: &mut Costs) -> Result<()> {
    let (mut acknowledged, mut visible) = (Vec::new(), Vec::new());
    for _ in 0..ENTRIES {
        let begun = Instant::now();
        let index = propose(&three.members[0], change()).await?;
        let done = Instant::now();
        acknowledged.push((done - begun).as_secs_f64() * 1e3);
        for follower in &three.members[1..] {
            follower.reader().wait(|reader| reader.applied() >= index, PATIENCE).await?;
            visible.push(done.elapsed().as_secs_f64() * 1e3);
        }
    }
    costs.acknowledged_ms = percentiles(acknowledged);
    costs.visible_ms = percentiles(visible);
    Ok(())
}

/// The median and the 99th percentile.
fn percentiles(mut figures: Vec<f64>) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |hundredths: usize| figures.get(figures.len() * hundredths / 100).copied().unwrap_or(0.0);
    (at(50), at(99))
}
