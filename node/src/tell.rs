//! What the program says to a person at a terminal. Everything else goes to the log.

use std::io::Write as _;

use crate::exit::Stop;

/// One line on standard output. A reader that went away (`| head`) is no reason to stop a cluster.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// One line on standard error.
pub fn aside(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What stopped the program, on standard error.
pub fn trouble(stop: &Stop) {
    aside(&format!("domicile: {stop}"));
}
