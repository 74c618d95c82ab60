//! Every live key belongs to a patient whose home this is.

use super::{directory, text};
use crate::look::Seen;
use crate::readers::keyring::{self, Owner};
use crate::verdict::Verdict;

/// Looks up whose keys are there.
pub fn check(seen: &[Seen]) -> Verdict {
    let (mut looked_at, mut evidence, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let known = directory(seen).map(|(_, directory)| directory);
    if known.is_none() {
        open.push("no member's log and snapshot could be read wholly".into());
    }
    for one in seen {
        let keys = match &one.keys {
            Ok(keys) => keys,
            Err(why) => {
                open.push(format!("{}: {why}", one.place));
                continue;
            }
        };
        looked_at.push(format!("{} keys of {}", keys.len(), one.place));
        for (name, owner) in keys {
            let (Owner::Patient(patient, _), Some(directory)) = (owner, known) else { continue };
            let why = match directory.get(patient) {
                Some(placed) if placed.home != one.place.index() => "whose home is elsewhere",
                Some(placed) if placed.retired => "who was retired",
                Some(_) => continue,
                None => "who is unknown to the directory",
            };
            let key = keyring::text(name);
            evidence.push(format!("{}: undestroyed key {key} of patient {}, {why}", one.place, text(patient)));
        }
    }
    let question = "Does every living key belong to a patient whose home it is at?";
    Verdict::of("keyring", question, looked_at, evidence, open)
}
