//! The checks: one file each, named after what it checks.

pub mod copies_out;
pub mod guards;
pub mod keyring;
pub mod placement;
pub mod policies;
pub mod quiet_logs;
pub mod replicated;
pub mod schema;
pub mod sealed_keys;

use std::collections::BTreeSet;

use crate::directory::{Directory, Id};
use crate::inventory::Inventory;
use crate::look::{Held, Seen};
use crate::verdict::{Verdict, Word};

/// What this program does not look at, and says so.
const OPEN: [(&str, &str, &str); 4] = [
    (
        "ciphertext_binding",
        "Does every sealed value stand where it was written?",
        "the binding of a value to its cell is checked with its key, which an auditor does not have; a value of another \
         patient, category or region is found by sealed_keys",
    ),
    (
        "audit_log",
        "Do the audit logs agree with their cosigned checkpoints?",
        "this program does not read them yet",
    ),
    ("receipts", "Do the receipts of moves agree with the logs?", "this program does not read them yet"),
    ("backups", "Is every backup sealed to its region?", "this program does not read manifests yet"),
];

/// Checks whose evidence may be somebody's work that is half done: it counts if it is there in a second look as well.
const MOVING: [&str; 4] = ["placement", "epochs", "sealed_keys", "keyring"];

/// The directory to go by: of the member that has applied most, whose copy is whole.
pub fn directory(all: &[Seen]) -> Option<(&Seen, &Directory)> {
    let whole = all.iter().filter_map(|seen| {
        let control = seen.control.as_ref().ok().filter(|control| control.gap.is_none())?;
        Some((control.applied, seen, &control.directory))
    });
    whole.max_by_key(|(applied, ..)| *applied).map(|(_, seen, directory)| (seen, directory))
}

/// Where it was read, in words.
pub fn directory_source(all: &[Seen]) -> String {
    match directory(all) {
        Some((seen, directory)) => {
            format!("the replicated log and snapshot of the member in {} ({} ids)", seen.place, directory.len())
        }
        None => "nowhere: no member's log and snapshot could be read wholly".into(),
    }
}

/// Every check over one look.
pub fn all(seen: &[Seen], inventory: &Inventory) -> Vec<Verdict> {
    let mut verdicts = vec![
        placement::check(seen),
        placement::epochs(seen),
        sealed_keys::check(seen),
        keyring::check(seen),
        schema::check(seen),
        copies_out::check(seen),
        quiet_logs::check(seen),
        guards::check(seen),
        policies::check(seen, inventory),
        replicated::check(seen),
    ];
    verdicts.extend(OPEN.map(|(check, question, why)| {
        Verdict::of(check, question, Vec::new(), Vec::new(), vec![why.to_owned()])
    }));
    verdicts
}

/// Whether somebody's work may have been seen half done.
pub fn look_again(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|one| one.verdict == Word::Fail && MOVING.contains(&one.check))
}

/// What both looks found.
pub fn settled(first: &[Verdict], second: Vec<Verdict>) -> Vec<Verdict> {
    let settle = |one: Verdict| {
        let before = first.iter().find(|before| before.check == one.check);
        let before: BTreeSet<&String> = before.into_iter().flat_map(|before| &before.evidence).collect();
        // More than is shown is no work half done.
        if !MOVING.contains(&one.check) || one.found > one.evidence.len() {
            return one;
        }
        let evidence = one.evidence.into_iter().filter(|line| before.contains(line)).collect();
        Verdict::of(one.check, one.question, one.looked_at, evidence, one.not_covered)
    };
    second.into_iter().map(settle).collect()
}

/// What was found in every database, and which could not be looked at.
struct Sum {
    looked_at: Vec<String>,
    evidence: Vec<String>,
    open: Vec<String>,
}

fn of_databases(seen: &[Seen], mut look: impl FnMut(&Seen, &Held) -> Vec<String>) -> Sum {
    let mut sum = Sum { looked_at: Vec::new(), evidence: Vec::new(), open: Vec::new() };
    for one in seen {
        match &one.held {
            Ok(held) => {
                sum.looked_at.push(format!("Postgres of {}", one.place));
                sum.evidence.extend(look(one, held).into_iter().map(|line| format!("{}: {line}", one.place)));
                sum.open.extend(held.unseen.iter().map(|what| format!("{}: {what}", one.place)));
            }
            Err(why) => sum.open.push(format!("Postgres of {}: {why}", one.place)),
        }
    }
    sum
}

/// An expected list against what is there: what is too much, and what is missing.
fn compare(expected: &str, there: &[String]) -> Vec<String> {
    let expected: BTreeSet<&str> =
        expected.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    let unknown = there.difference(&expected).map(|line| format!("not expected: {line}"));
    let missing = expected.difference(&there).map(|line| format!("missing or changed: {line}"));
    unknown.chain(missing).collect()
}

fn text(id: &Id) -> String {
    uuid::Uuid::from_bytes(*id).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_differs_is_told_apart_both_ways() {
        let there = ["a".to_owned(), "c".to_owned()];
        assert_eq!(compare("# x\na\nb\n", &there), ["not expected: c", "missing or changed: b"]);
        assert_eq!(compare("a\nc\n", &there), Vec::<String>::new());
    }

    #[test]
    fn what_only_one_look_found_was_work_half_done() {
        let one = |check, lines: &[&str]| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            Verdict::of(check, "?", vec!["x".into()], lines, vec![])
        };
        let first = [one("placement", &["a", "b"]), one("schema", &[])];
        let second = settled(&first, vec![one("placement", &["b", "c"]), one("schema", &["d"])]);
        assert_eq!((&second[0].evidence[..], second[1].found), (&["b".to_owned()][..], 1));
    }
}
