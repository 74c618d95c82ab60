//! What the directory and its snapshots cost on this machine.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use residency_control::machine::{State, apply};
use residency_control::{Command, Endpoint, IdBatch, Outcome, RegionEntry, snapshot};
use residency_policy::{Jurisdiction, PatientId, Region};

use crate::bench::drive::precise;

/// What was measured. Everything per patient is of [`Costs::patients`] of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs {
    /// How many patients the directory held.
    pub patients: u64,
    /// Memory for each, in bytes.
    pub memory_bytes: f64,
    /// A look-up, in nanoseconds.
    pub look_up_ns: f64,
    /// Snapshot for each, in bytes.
    pub snapshot_bytes: f64,
    /// Writing a snapshot, fsync included, in nanoseconds for each.
    pub snapshot_write_ns: f64,
    /// Reading it again, in nanoseconds for each.
    pub snapshot_read_ns: f64,
    /// Written to disk for one claimed id, in bytes, of batches of 4,096.
    pub log_bytes_claimed: f64,
    /// Written to disk for one small change with an entry of its own, in bytes.
    pub log_bytes_change: f64,
    /// From a proposal to its acknowledgement by three members on loopback: median and 99th percentile, in ms.
    pub acknowledged_ms: (f64, f64),
    /// From the acknowledgement until a follower shows the change: median and 99th percentile, in ms.
    pub visible_ms: (f64, f64),
    /// How often a leader shows that it is alive, in ms: no view is older than this and a round trip.
    pub heartbeat_ms: f64,
    /// Processor time of one member alone for an entry, in microseconds.
    pub entry_us: f64,
    /// Processor time that each further member adds to an entry, on both sides together, in microseconds.
    pub follower_us: f64,
    /// Processor time of three members together for a change that shares its entry with hundreds, in microseconds.
    pub shared_us: f64,
}

/// The id of this number: spread evenly, and the same each time.
pub(super) fn id(number: u64) -> PatientId {
    // Two rounds of an odd multiplier, as in SplitMix64.
    let mix = |mut x: u64| {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let (upper, lower) = (mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15)), mix(!number));
    PatientId::from_bytes((u128::from(upper) << 64 | u128::from(lower)).to_be_bytes())
}

/// Texas, where everybody in a measurement lives.
pub(super) fn texas() -> Result<Region> {
    Ok(Region("US-TX".parse::<Jurisdiction>().context("a jurisdiction")?))
}

/// The region of a member that is reached nowhere.
pub(super) fn entry(region: Region) -> Result<Command> {
    let at = || Ok::<_, anyhow::Error>(Endpoint::new("localhost".parse().context("a host")?, 1));
    Ok(Command::AddRegion(RegionEntry { region, public: at()?, peer: at()? }))
}

/// A batch of new ids.
pub(super) fn claim(region: Region, from: u64, count: u64) -> Result<Command> {
    let ids = IdBatch::new((from..from + count).map(id).collect()).context("a batch of ids")?;
    Ok(Command::ClaimIds { region, ids })
}

/// Fills a directory of its own and measures it.
pub(super) fn of_the_directory(patients: u64) -> Result<Costs> {
    let mut state = State::default();
    let region = texas()?;
    ensure!(apply(&mut state, entry(region)?) == Outcome::Done, "a region is refused");
    let before = resident()?;
    for from in (0..patients).step_by(4_096) {
        let command = claim(region, from, 4_096.min(patients - from))?;
        ensure!(apply(&mut state, command) == Outcome::Done, "ids are refused");
    }
    let held = resident()?.saturating_sub(before);
    let mut costs = Costs { patients, memory_bytes: precise(held) / precise(patients), ..Costs::default() };
    costs.look_up_ns = look_up(&state, patients);
    snapshots(&state, &mut costs)?;
    Ok(costs)
}

/// A look-up of known ids, in no order.
fn look_up(state: &State, patients: u64) -> f64 {
    const LOOK_UPS: u64 = 1_000_000;
    let asked: Vec<PatientId> = (0..LOOK_UPS).map(|n| id(n.wrapping_mul(7_919) % patients)).collect();
    let begun = Instant::now();
    let found = asked.iter().filter(|patient| black_box(state.placement(**patient)).is_some()).count();
    let took = begun.elapsed();
    black_box(found);
    took.as_secs_f64() * 1e9 / precise(LOOK_UPS)
}

fn snapshots(state: &State, costs: &mut Costs) -> Result<()> {
    let folder = tempfile::tempdir().context("a folder")?;
    let path = folder.path().join("snapshot");
    let each = |began: Instant| began.elapsed().as_secs_f64() * 1e9 / precise(costs.patients);
    let begun = Instant::now();
    let mut out = BufWriter::new(File::create(&path)?);
    snapshot::write(state, &mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    let written = each(begun);
    let begun = Instant::now();
    let again = snapshot::read(&mut File::open(&path)?)?;
    let read = each(begun);
    ensure!(again == *state, "a snapshot is not what was written");
    costs.snapshot_bytes = precise(std::fs::metadata(&path)?.len()) / precise(costs.patients);
    (costs.snapshot_write_ns, costs.snapshot_read_ns) = (written, read);
    Ok(())
}

/// The memory of this process that is its own, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = line.and_then(|l| l.split_whitespace().next()?.parse().ok()).context("RssAnon")?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::process::Command as Program;

    use super::*;

    #[test]
    fn a_directory_is_measured() {
        // Memory is that of the process: this test runs again in one where it is alone.
        const ALONE: &str = "DOMICILE_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let mut again = Program::new(std::env::current_exe().expect("this program"));
            again.args(["--exact", "simulate::costs::tests::a_directory_is_measured"]).env(ALONE, "1");
            let output = again.output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        let costs = of_the_directory(50_000).expect("measures");
        assert!((4.0..200.0).contains(&costs.memory_bytes), "{costs:?}");
        assert!((8.0..40.0).contains(&costs.snapshot_bytes), "{costs:?}");
        assert!(costs.look_up_ns > 1.0 && costs.snapshot_write_ns > 1.0 && costs.snapshot_read_ns > 1.0);
    }

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<PatientId> = (0..20_000).map(id).collect();
        assert_eq!(ids.len(), 20_000);
    }
}
