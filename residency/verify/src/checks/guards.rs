//! The access log is only added to, row-level security is forced, and no role of the program is above it.

use super::{Sum, compare, of_databases};
use crate::look::Seen;
use crate::verdict::Verdict;

/// Compares triggers, policies, owners, grants and roles with the list in this program.
pub fn check(seen: &[Seen]) -> Verdict {
    let Sum { looked_at, evidence, open } =
        of_databases(seen, |_, held| compare(include_str!("../../expected/guards.txt"), &held.guards));
    let question = "Are the access log's triggers, the row-level security and the grants as they must be?";
    Verdict::of("guards", question, looked_at, evidence, open)
}
