//! At most one home: at any time at most one region accepts changes of a patient.
//!
//! Every accepted change of a record says which region accepted it, at which epoch of the patient's placement. From
//! that alone follows what may not be: two regions at one epoch, and a change that an older epoch accepted although
//! it was asked for after a newer one had already answered.

use std::collections::BTreeMap;

use residency_policy::Jurisdiction;

/// A change of a patient's record that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Whose record.
    pub patient: String,
    /// Who accepted it.
    pub home: Jurisdiction,
    /// The epoch of the placement that it was accepted at.
    pub epoch: u64,
    /// When it was asked for.
    pub call: u64,
    /// When it was acknowledged.
    pub back: u64,
}

/// Every patient with more than one home, as a sentence.
pub fn violations(accepted: &[Accepted]) -> Vec<String> {
    let mut patients: BTreeMap<&str, Vec<&Accepted>> = BTreeMap::new();
    for change in accepted {
        patients.entry(&change.patient).or_default().push(change);
    }
    let mut found = Vec::new();
    for (patient, changes) in patients {
        let mut homes: BTreeMap<u64, Jurisdiction> = BTreeMap::new();
        for change in &changes {
            let home = *homes.entry(change.epoch).or_insert(change.home);
            if home != change.home {
                let (epoch, other) = (change.epoch, change.home);
                found.push(format!("{patient}: {home} and {other} both accepted changes at epoch {epoch}"));
            }
        }
        found.extend(late(&changes).map(|(old, new)| {
            format!(
                "{patient}: {} accepted a change at epoch {} that was asked for after {} had acknowledged one at epoch {}",
                old.home, old.epoch, new.home, new.epoch
            )
        }));
    }
    found
}

/// Changes at an old epoch that were asked for when a newer one had already answered, each with the first such.
fn late<'a>(changes: &[&'a Accepted]) -> impl Iterator<Item = (&'a Accepted, &'a Accepted)> {
    let newest = |at: &Accepted| {
        let newer = changes.iter().filter(|other| other.epoch > at.epoch && other.back < at.call);
        newer.min_by_key(|other| other.back).copied()
    };
    changes.iter().filter_map(|old| Some((*old, newest(old)?))).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(home: &str, epoch: u64, call: u64, back: u64) -> Accepted {
        let home = home.parse().expect("a jurisdiction");
        Accepted { patient: "p".to_owned(), home, epoch, call, back }
    }

    #[test]
    fn a_patient_who_moved_once_has_one_home_at_a_time() {
        let moved = [
            accepted("US-TX", 1, 0, 5),
            accepted("US-TX", 1, 4, 20),
            accepted("US-CA", 2, 10, 15),
            accepted("US-CA", 2, 30, 40),
        ];
        assert_eq!(violations(&moved), Vec::<String>::new(), "what overlaps in time is no proof");
    }

    #[test]
    fn two_homes_at_one_epoch_are_caught() {
        let split = [accepted("US-TX", 1, 0, 5), accepted("US-CA", 1, 10, 15)];
        assert_eq!(violations(&split), ["p: US-TX and US-CA both accepted changes at epoch 1"]);
    }

    #[test]
    fn an_old_home_that_goes_on_is_caught() {
        let zombie = [accepted("US-TX", 1, 0, 5), accepted("US-CA", 2, 10, 15), accepted("US-TX", 1, 16, 18)];
        let found = violations(&zombie);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("US-TX accepted a change at epoch 1"), "{found:?}");
    }
}
