//! No setting lets a value of a row or of a parameter into a server's log.

use super::{Sum, of_databases};
use crate::look::Seen;
use crate::verdict::Verdict;

/// Looks at the settings as they hold for the roles of the program.
pub fn check(seen: &[Seen]) -> Verdict {
    let Sum { looked_at, evidence, open } = of_databases(seen, |_, held| held.loud.clone());
    let question = "Do the databases' settings keep values of rows out of their logs?";
    Verdict::of("quiet_logs", question, looked_at, evidence, open)
}
