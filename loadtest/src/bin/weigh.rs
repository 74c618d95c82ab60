//! `domicile-weigh COUNT`: bytes that a directory of so many ids holds, per id, and a hash map of the same. In a program
//! of its own, because its allocator counts.

use std::alloc::System;
use std::process::ExitCode;

use loadtest::bench::directory::{directory, map};
use loadtest::tell::{tell, warn};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    match std::env::args().nth(1).and_then(|count| count.parse().ok()).map(weigh) {
        Some(Ok((ours, theirs))) => {
            tell(&format!("{ours:.3} {theirs:.3}"));
            ExitCode::SUCCESS
        }
        Some(Err(error)) => {
            warn(&format!("domicile-weigh: {error:#}"));
            ExitCode::FAILURE
        }
        None => {
            warn("domicile-weigh: how many?");
            ExitCode::from(2)
        }
    }
}

fn weigh(count: u64) -> anyhow::Result<(f64, f64)> {
    let ours = held(count, || directory(count))?;
    Ok((ours, held(count, || map(count))?))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn held<T>(count: u64, make: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let counted = Region::new(COUNTED);
    let thing = make()?;
    let change = counted.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated;
    drop(thing);
    Ok(bytes as f64 / count as f64)
}
