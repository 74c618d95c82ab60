//! What can be asked of `domicile-loadtest`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::tell::warn;
use crate::{bench, check, load, report, simulate};

/// Load, and a judgement of what came back.
#[derive(Debug, Parser)]
#[command(name = "domicile-loadtest", version, about)]
struct Cli {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Loads a running cluster and judges what comes back.
    Run(load::run::Ask),
    /// Judges a recorded history.
    Check(check::Ask),
    /// Writes the reports of earlier runs again.
    Report {
        /// The folders that the runs wrote into.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Says what fifty states and three hundred million patients would cost, from what is measured here.
    Simulate(simulate::Ask),
    /// Measures against peers, in alternating rounds.
    Bench(bench::Ask),
    /// Runs a bare member of the control plane until its input ends. Benchmarks start some.
    #[command(hide = true)]
    Member(bench::member::Ask),
    /// Runs what stands behind a router until its input ends. The benchmark of the router starts one.
    #[command(hide = true)]
    Home(bench::router::home::Ask),
}

/// Runs the program: 0 when all promises held, 1 when one did not, 2 when it could not be found out.
pub fn run() -> ExitCode {
    let done = match Cli::parse().act {
        Act::Run(ask) => load::run::run(&ask),
        Act::Check(ask) => check::run(&ask),
        Act::Report { folders } => report::again(&folders),
        Act::Simulate(ask) => simulate::run(&ask),
        Act::Bench(ask) => bench::run(&ask),
        Act::Member(ask) => bench::member::run(&ask),
        Act::Home(ask) => bench::router::home::run(&ask),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            warn(&format!("domicile-loadtest: {error:#}"));
            ExitCode::from(2)
        }
    }
}
