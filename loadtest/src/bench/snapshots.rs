//! What a snapshot of a large directory takes, and how long changes and look-ups wait for one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use residency_control::machine::{State, apply};
use residency_control::{Command, Endpoint, IdBatch, Outcome, RegionEntry, snapshot};
use residency_policy::Region;

use super::class::Held;
use super::directory::{home, id};
use super::drive::precise;
use super::series::{Contender, Sample, alternate};
use super::{Bench, Goal, Options, Report, Table};
use crate::tell::warn;

/// The benchmark.
pub(super) const BENCH: Bench = Bench {
    name: "snapshots",
    about: "writing and reading snapshots, and how long anybody waits for one",
    run,
};

const WRITE: &str = "ms to write";
const READ: &str = "ms to read";
const SIZE: &str = "MB";
const CHANGE: &str = "slowest change meanwhile, ms";
const QUIET: &str = "slowest change without one, ms";
const LOOK: &str = "slowest look-up meanwhile, ms";

/// How many ids one change claims.
const CLAIM: u64 = 64;
/// A member's snapshot is synced after so many bytes.
const SYNC_EVERY: usize = 1 << 20;

fn claim(state: &mut State, region: Region, from: u64, count: u64) -> anyhow::Result<()> {
    let ids = IdBatch::new((from..from + count).map(id).collect()).context("a batch")?;
    match apply(state, Command::ClaimIds { region, ids }) {
        Outcome::Done => Ok(()),
        Outcome::Refused(refusal) => bail!("a claim: {refusal}"),
    }
}

fn filled(region: Region, count: u64) -> anyhow::Result<State> {
    let at = Endpoint::new("localhost".parse().context("a host")?, 1);
    let mut state = State::default();
    let entry = RegionEntry { region, public: at.clone(), peer: at };
    ensure!(apply(&mut state, Command::AddRegion(entry)) == Outcome::Done, "a region");
    for from in (0..count).step_by(IdBatch::LEN_MAX) {
        claim(&mut state, region, from, (count - from).min(IdBatch::LEN_MAX as u64))?;
    }
    Ok(state)
}

/// A state that lives on while it is written.
struct Living {
    state: RwLock<State>,
    region: Region,
    next: u64,
}

impl Living {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> anyhow::Result<T> {
        let mut state = self.state.write().map_err(|_| anyhow::anyhow!("the lock is poisoned"))?;
        Ok(act(&mut state))
    }

    fn clone(&self) -> anyhow::Result<State> {
        Ok(self.state.read().map_err(|_| anyhow::anyhow!("the lock is poisoned"))?.clone())
    }

    /// The slowest change and the slowest look-up until it is over, in milliseconds.
    fn change_until(&mut self, over: impl Fn() -> bool) -> anyhow::Result<(f64, f64)> {
        let (mut change, mut look) = (Duration::ZERO, Duration::ZERO);
        while !over() {
            let (from, region) = (self.next, self.region);
            self.next += CLAIM;
            let begun = Instant::now();
            self.with(|state| claim(state, region, from, CLAIM))??;
            change = change.max(begun.elapsed());
            let begun = Instant::now();
            let there = self.state.read().is_ok_and(|state| state.placement(id(from)).is_some());
            look = look.max(begun.elapsed());
            ensure!(there, "what was claimed is not there");
            // A thousand changes a second would be many.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok((millis(change), millis(look)))
    }

    fn turn(&mut self, path: &Path, turn: Duration) -> anyhow::Result<Sample> {
        let begun = Instant::now();
        let (quiet, _) = self.change_until(|| begun.elapsed() > turn / 4)?;
        let (state, done) = (self.clone()?, AtomicBool::new(false));
        let (written, (change, look)) = std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let begun = Instant::now();
                let written = write(&state, path);
                // As a member does: with the clone goes what holds the changes up in their waiting room.
                drop(state);
                done.store(true, Ordering::Release);
                written.map(|()| begun.elapsed())
            });
            let slowest = self.change_until(|| done.load(Ordering::Acquire))?;
            let written = writing.join().map_err(|_| anyhow::anyhow!("the writer stopped"))?;
            anyhow::Ok((written?, slowest))
        })?;
        let (size, begun) = (std::fs::metadata(path)?.len(), Instant::now());
        let read = snapshot::read(&mut File::open(path)?)?;
        let took = begun.elapsed();
        ensure!(!read.directory().is_empty(), "nothing was read");
        Ok(Sample::new()
            .with(WRITE, millis(written))
            .with(READ, millis(took))
            .with(SIZE, precise(size) / 1e6)
            .with(CHANGE, change)
            .with(QUIET, quiet)
            .with(LOOK, look))
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Syncs as it goes, as a member does.
struct Steady {
    file: File,
    unsynced: usize,
}

impl Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.sync_all()
    }
}

fn write(state: &State, path: &Path) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut out = BufWriter::new(Steady { file, unsynced: 0 });
    snapshot::write(state, &mut out)?;
    Ok(out.flush()?)
}

fn name(count: u64) -> String {
    format!("{count} ids")
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let region = home()?.0;
    let path = options.folder("snapshots")?.join("snapshot");
    let held = Held::new(options.class, &[]);
    let mut report = Report::new("Snapshots");
    report.note(
        "A state with so many ids in its directory is written, synced after every MiB, while another thread claims 64 ids a \
         millisecond and looks one up, and is then read back. The slowest of all changes of a turn counts, whatever else \
         the machine did at that moment; beside it the slowest of a turn in which nothing was written.",
    );
    for count in options.size([1_000_000, 10_000_000], [100_000, 500_000]) {
        warn(&format!("  {count} ids"));
        let mut living = Living { state: RwLock::new(filled(region, count)?), region, next: 1 << 40 };
        let turn = |time: Duration| living.turn(&path, time);
        let series = alternate(&options.plan, vec![Contender::new(name(count), turn)])?;
        report.table(Table::of(&series, &[WRITE, READ, SIZE, CHANGE, QUIET, LOOK]));
        for figure in [CHANGE, LOOK] {
            let found = series.spread(&name(count), figure);
            report.goal(Goal::at_most(format!("{}: {figure}", name(count)), found, 10.0));
        }
    }
    drop(held);
    Ok(report)
}
