//! Every row of a patient is in the home that the directory names, at the epoch that it names.

use super::{Sum, directory, of_databases, text};
use crate::look::Seen;
use crate::verdict::Verdict;

/// Looks up whoever has a row anywhere.
pub fn check(seen: &[Seen]) -> Verdict {
    let known = directory(seen).map(|(_, directory)| directory);
    let Sum { looked_at, evidence, mut open } = of_databases(seen, |one, held| {
        let mut wrong = Vec::new();
        if held.stamp.1 != one.place.code() {
            wrong.push(format!("the database is stamped as that of {}", held.stamp.1));
        }
        let Some(directory) = known else { return wrong };
        let fence = held.fence.keys().map(|id| ("patient_home", id));
        let rows = held.rows.iter().flat_map(|(table, ids)| ids.iter().map(|id| (*table, id)));
        for (table, id) in fence.chain(rows) {
            match directory.get(id) {
                Some(placed) if placed.home == one.place.index() => {}
                // Who looked for an id that nobody has is on record with it; and what is on record stays.
                None if table == "access_log" => {}
                Some(placed) => {
                    let home = residency_policy::Jurisdiction::from_index(placed.home);
                    let home = home.map_or("nowhere", residency_policy::Jurisdiction::code);
                    wrong.push(format!(
                        "row in the wrong region: {table}, patient {}, whose home is {home}",
                        text(id)
                    ));
                }
                None => wrong.push(format!("{table}: patient {} is unknown to the directory", text(id))),
            }
        }
        wrong
    });
    if known.is_none() {
        open.push("no member's log and snapshot could be read wholly".into());
    }
    Verdict::of(
        "placement",
        "Is every patient's record in the home that the directory names?",
        looked_at,
        evidence,
        open,
    )
}

/// Compares the fence's epochs with the directory's, and those of rows with the fence's.
pub fn epochs(seen: &[Seen]) -> Verdict {
    let known = directory(seen).map(|(_, directory)| directory);
    let Sum { looked_at, evidence, mut open } = of_databases(seen, |one, held| {
        let mut wrong = held.epochs.clone();
        let Some(directory) = known else { return wrong };
        for (id, (epoch, active)) in &held.fence {
            let Some(placed) = directory.get(id).filter(|placed| placed.home == one.place.index()) else {
                continue;
            };
            let named = i64::from(placed.epoch);
            if *epoch != named {
                let word = if *epoch < named { "stale epoch" } else { "epoch that nobody raised" };
                wrong.push(format!("{word}: patient {} at {epoch}, where the directory has {named}", text(id)));
            }
            if *active == placed.retired {
                let word = if placed.retired { "retired" } else { "active" };
                wrong.push(format!("patient {} is {word} in the directory and not in the fence", text(id)));
            }
        }
        wrong
    });
    if known.is_none() {
        open.push("no member's log and snapshot could be read wholly".into());
    }
    Verdict::of(
        "epochs",
        "Does every database fence each patient at the directory's epoch?",
        looked_at,
        evidence,
        open,
    )
}
