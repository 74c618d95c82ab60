//! Every ciphertext names a key of this region, of its patient and of its category.

use super::text;
use crate::look::{Held, Seen};
use crate::readers::keyring::{self, Inventory, Owner};
use crate::verdict::Verdict;

/// Looks each named key up in the region's keyring.
pub fn check(seen: &[Seen]) -> Verdict {
    let (mut looked_at, mut evidence, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for one in seen {
        match (&one.held, &one.keys) {
            (Ok(held), Ok(keys)) => {
                looked_at.push(format!("{} sealed values of {}", held.cells, one.place));
                evidence
                    .extend(wrong(seen, held, keys).into_iter().map(|line| format!("{}: {line}", one.place)));
            }
            (held, keys) => {
                let reasons = [held.as_ref().err(), keys.as_ref().err()];
                open.extend(reasons.into_iter().flatten().map(|why| format!("{}: {why}", one.place)));
            }
        }
    }
    let question = "Is every sealed value sealed with a key of its own region, patient and category?";
    Verdict::of("sealed_keys", question, looked_at, evidence, open)
}

fn wrong(seen: &[Seen], held: &Held, keys: &Inventory) -> Vec<String> {
    let mut found: Vec<String> =
        held.headless.iter().map(|cell| format!("not a sealed value: {cell}")).collect();
    for ((name, patient, category), cell) in &held.sealed {
        let key = keyring::text(name);
        match (keys.get(name), patient) {
            (Some(Owner::Patient(owner, of)), Some(patient)) if owner == patient && of.name() == category => {}
            (Some(Owner::Region), None) => {}
            (Some(Owner::Patient(owner, of)), _) => found.push(format!(
                "swapped ciphertext: {cell} is sealed with key {key} of patient {}, {of}",
                text(owner)
            )),
            (Some(Owner::Region | Owner::Index), _) => {
                found.push(format!("swapped ciphertext: {cell} is sealed with the region's own key {key}"));
            }
            (None, _) => {
                let elsewhere =
                    seen.iter().find(|other| other.keys.as_ref().is_ok_and(|all| all.contains_key(name)));
                let whose = elsewhere.map_or_else(
                    || "that is in no keyring".to_owned(),
                    |other| format!("of another region, {}", other.place),
                );
                found.push(format!("{cell} is sealed with key {key} {whose}"));
            }
        }
    }
    found
}
