//! No way is open by which a database hands its rows to another one.

use super::{Sum, of_databases};
use crate::look::Seen;
use crate::verdict::Verdict;

/// Every slot, publication, subscription, foreign server and the like is one too many. An archive of the write-ahead log that
/// the operator declared is not looked at here, and said to be so.
pub fn check(seen: &[Seen]) -> Verdict {
    let mut declared = Vec::new();
    let Sum { looked_at, evidence, mut open } = of_databases(seen, |one, held| {
        let mut found = held.copies_out.clone();
        match &one.archive {
            Some(to) if !held.archiving.is_empty() => {
                declared.push(format!("{}: the archive of the write-ahead log, declared as {to}", one.place));
            }
            _ => found.extend(held.archiving.iter().cloned()),
        }
        found
    });
    open.extend(declared);
    let question = "Is no way open by which a database hands rows to another server?";
    Verdict::of("copies_out", question, looked_at, evidence, open)
}
