//! What fifty states and three hundred million patients would cost, from what fewer cost on this machine.
//!
//! Every cost is measured here and now with the product's own code: the directory in memory, snapshots written and
//! read, a log on this disk, three members over mutual TLS on loopback. What is then said of more is arithmetic, and
//! the report says which is which.

mod costs;
mod members;
mod project;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::report::plot::{self, Axis, Line, Scale};
use crate::tell::{tell, warn};
pub use costs::Costs;
pub use project::{Projection, project};

/// What is asked for on the command line.
#[derive(Debug, Clone, Args)]
pub struct Ask {
    /// How many states, each with a member that votes or follows.
    #[arg(long, default_value_t = 50)]
    pub states: u32,
    /// How many patients.
    #[arg(long, default_value_t = 300_000_000)]
    pub patients: u64,
    /// Of how many patients the costs are measured.
    #[arg(long, default_value_t = 4_000_000)]
    pub measured: u64,
    /// New patients a day, in a thousand.
    #[arg(long, default_value_t = 1.0)]
    pub new: f64,
    /// Patients who move to another state a day, in a thousand. The American Community Survey has 2.3 % in a year.
    #[arg(long, default_value_t = 0.07)]
    pub moved: f64,
    /// Visits booked a day, in a thousand patients.
    #[arg(long, default_value_t = 10.0)]
    pub booked: f64,
    /// The round trip between the two states that are furthest apart, in milliseconds. Not measured here.
    #[arg(long, default_value_t = 75.0)]
    pub round_trip_ms: f64,
    /// What a snapshot is sent with, in megabits a second. Not measured here.
    #[arg(long, default_value_t = 500.0)]
    pub megabits: f64,
    /// Where report and plots go; the report is printed in any case.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Measures, extrapolates and says so.
pub fn run(ask: &Ask) -> Result<bool> {
    ensure!(ask.measured >= 10_000, "costs of fewer than 10,000 patients say nothing of more");
    ensure!(ask.patients > 0 && ask.states > 0, "there are patients and states");
    warn("measuring the directory and its snapshots");
    let mut costs = costs::of_the_directory(ask.measured)?;
    warn("measuring the log and the members");
    members::measure(&mut costs)?;
    let steps = [1_000_000, 10_000_000, 50_000_000, 100_000_000];
    let mut sizes: Vec<u64> = steps.into_iter().filter(|size| *size < ask.patients).collect();
    sizes.push(ask.patients);
    let projections: Vec<Projection> = sizes.iter().map(|patients| project(&costs, ask, *patients)).collect();
    let text = project::markdown(&costs, ask, &projections);
    tell(&text);
    if let Some(folder) = &ask.out {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        for (name, content) in [
            ("simulate.md", text),
            ("memory.svg", memory(&projections)),
            ("snapshot.svg", snapshot(&projections)),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, content).with_context(|| path.display().to_string())?;
        }
    }
    Ok(true)
}

/// A figure of a projection, by its name.
type Figure = (&'static str, fn(&Projection) -> f64);

fn lines(projections: &[Projection], of: &[Figure]) -> Vec<Line> {
    of.iter()
        .map(|(name, figure)| Line {
            name: (*name).to_owned(),
            points: projections.iter().map(|p| (crate::bench::drive::precise(p.patients), figure(p))).collect(),
        })
        .collect()
}

fn memory(projections: &[Projection]) -> String {
    let lines = lines(
        projections,
        &[("directory in memory", |p| p.memory_gib), ("snapshot on disk", |p| p.snapshot_gib)],
    );
    let (x, y) = (Axis::fitting("patients", Scale::Log), Axis::fitting("GiB at every member", Scale::Log));
    plot::svg("What every member holds", &x, &y, &lines)
}

fn snapshot(projections: &[Projection]) -> String {
    let lines = lines(
        projections,
        &[
            ("written", |p| p.snapshot_written_s),
            ("read", |p| p.snapshot_read_s),
            ("sent to a new member", |p| p.snapshot_sent_s),
        ],
    );
    let (x, y) = (Axis::fitting("patients", Scale::Log), Axis::fitting("seconds", Scale::Log));
    plot::svg("How long a snapshot takes", &x, &y, &lines)
}
