//! What crosses borders in the control plane is the closed set of commands and nothing else.

use crate::look::Seen;
use crate::verdict::Verdict;

/// Holds every entry, every part of the snapshot and everything beside them against its shape.
pub fn check(seen: &[Seen]) -> Verdict {
    let (mut looked_at, mut evidence, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for one in seen {
        match &one.control {
            Ok(control) => {
                let (entries, commands) = control.entries;
                looked_at.push(format!(
                    "{entries} log entries with {commands} commands, and the snapshot, of {}",
                    one.place
                ));
                evidence.extend(control.misfits.iter().map(|misfit| format!("{}: {misfit}", one.place)));
                evidence.extend(control.gap.iter().map(|gap| format!("{}: {gap}", one.place)));
            }
            Err(why) if why.contains("is damaged") => evidence.push(format!("{}: {why}", one.place)),
            Err(why) => open.push(format!("{}: {why}", one.place)),
        }
    }
    let question = "Do the replicated logs and snapshots hold only what may be replicated?";
    Verdict::of("replicated", question, looked_at, evidence, open)
}
