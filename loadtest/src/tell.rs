//! What the program says to whoever started it.

use std::io::Write;

/// One text to standard output. Whoever closed it does not want to know.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// One line to standard error.
pub fn warn(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
