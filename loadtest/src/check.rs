//! Judges a history that was recorded earlier, or elsewhere.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::history::{self, linearize};
use crate::tell::tell;

/// What is asked for on the command line.
#[derive(Debug, Args)]
pub struct Ask {
    /// The history: one operation a line, as a run writes it.
    pub history: PathBuf,
}

/// Judges it. False when a key is not linearizable.
pub fn run(ask: &Ask) -> Result<bool> {
    let operations = history::read(&ask.history)?;
    let keys: std::collections::BTreeSet<&str> = operations.iter().map(|o| o.key.as_str()).collect();
    let indexed = operations.iter().filter(|operation| operation.index.is_some()).count();
    let violations = linearize::violations(&operations);
    for violation in &violations {
        tell(&format!("{}: {}", violation.key, violation.what));
    }
    tell(&format!(
        "{} operations on {} keys, {indexed} with a log index: {}",
        operations.len(),
        keys.len(),
        if violations.is_empty() {
            "linearizable".to_owned()
        } else {
            format!("{} keys are not", violations.len())
        }
    ));
    Ok(violations.is_empty())
}
