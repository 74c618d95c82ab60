//! Benchmarks: one file each, registered in [`ALL`].
//!
//! To add one: a file with `pub(super) const BENCH: Bench`, its `mod` line, and its name in [`ALL`].
//!
//! How to measure on a shared machine decides what a figure is worth, so all of them use the same pieces:
//! [`series`] alternates subject and peer in one series, [`class`] puts both into the same scheduling class,
//! [`cpu`] counts the processor time of whole process trees, [`peers`] starts the peers, [`drive`] loads both sides
//! with the same client, and [`report`] prints spread and paired ratios instead of one lucky number.

pub(crate) mod authority;
mod booking;
pub mod class;
mod clinic;
mod control;
pub mod cpu;
mod decide;
pub mod directory;
pub mod drive;
mod failover;
mod header_blocks;
pub mod member;
mod memory;
pub mod options;
mod overload;
pub mod peers;
mod read;
pub mod report;
pub mod router;
pub mod running;
mod search;
pub mod series;
mod signin;
mod snapshots;
mod spawn;
pub mod streams;
mod write;

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};

pub use options::{Ask, Options};
pub use report::{Goal, Report, Table};

use crate::tell::{tell, warn};

/// One benchmark.
#[derive(Debug, Clone, Copy)]
pub struct Bench {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it measures, in one line.
    pub about: &'static str,
    /// Measures.
    pub run: fn(&Options) -> anyhow::Result<Report>,
}

/// All of them, in the order in which they run.
pub const ALL: &[Bench] = &[
    router::BENCH,
    read::BENCH,
    write::BENCH,
    search::BENCH,
    overload::BENCH,
    signin::BENCH,
    directory::BENCH,
    decide::BENCH,
    snapshots::BENCH,
    control::BENCH,
    booking::BENCH,
    failover::BENCH,
    memory::BENCH,
];

/// Runs what was asked for. False when a goal was missed.
pub fn run(ask: &Ask) -> anyhow::Result<bool> {
    if ask.list {
        for bench in ALL {
            tell(&format!("{:<10} {}", bench.name, bench.about));
        }
        return Ok(true);
    }
    let chosen = choose(&ask.what)?;
    let options = Options::new(ask)?;
    let mut text = report::heading(&options);
    let (mut held, mut failed) = (true, Vec::new());
    for bench in chosen {
        warn(&format!("{}: {}", bench.name, bench.about));
        match (bench.run)(&options) {
            Ok(report) => {
                held &= report.held();
                text.push_str(&report.markdown());
            }
            // The others are worth having all the same.
            Err(error) => {
                warn(&format!("{}: {error:#}", bench.name));
                let _ = writeln!(text, "## {}\n\nIt could not be measured: {error:#}\n", bench.name);
                failed.push(bench.name);
            }
        }
        // After each of them, so that a run that is cut short leaves what it has.
        if let Some(path) = &ask.out {
            std::fs::write(path, &text).with_context(|| path.display().to_string())?;
        }
    }
    tell(&text);
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(held)
}

fn choose(names: &[String]) -> anyhow::Result<Vec<Bench>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let find = |name: &String| ALL.iter().find(|bench| bench.name == name).copied();
    match names.iter().find(|name| find(name).is_none()) {
        Some(unknown) => {
            let known: Vec<&str> = ALL.iter().map(|bench| bench.name).collect();
            bail!("there is no benchmark {unknown}; there are: {}", known.join(", "))
        }
        None => Ok(names.iter().filter_map(find).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_has_one_name() {
        let mut names: Vec<&str> = ALL.iter().map(|bench| bench.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(choose(&["nonsense".to_owned()]).is_err());
    }
}
