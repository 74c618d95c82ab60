//! Nothing is in the database that the auditor does not know: a table, a column, a function, an extension.

use super::{Sum, compare, of_databases};
use crate::look::Seen;
use crate::verdict::Verdict;

/// Compares the catalogue with the list in this program.
pub fn check(seen: &[Seen]) -> Verdict {
    let Sum { looked_at, evidence, open } =
        of_databases(seen, |_, held| compare(include_str!("../../expected/schema.txt"), &held.schema));
    Verdict::of(
        "schema",
        "Does every database hold the known tables and functions and no other?",
        looked_at,
        evidence,
        open,
    )
}
