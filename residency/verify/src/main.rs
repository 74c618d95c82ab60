//! The auditor's program, by itself. `domicile residency verify` is the same.

use std::process::ExitCode;

use clap::Parser as _;

/// Checks where a cluster's data rests, and takes no server's word for it.
#[derive(Debug, clap::Parser)]
#[command(name = "residency-verify", version)]
struct Cli {
    #[command(flatten)]
    asked: residency_verify::Asked,
}

fn main() -> ExitCode {
    residency_verify::run(&Cli::parse().asked)
}
