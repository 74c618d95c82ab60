//! Servers with known defects are caught, and the same server without one is not.

use std::time::{Duration, Instant};

use loadtest::history::linearize::violations;

use crate::server::{Defect, Run, history};

const USUAL: Run =
    Run { seed: 0, clients: 8, operations: 400, keys: 4, defect: Defect::None, indexed: false, lost: 0 };

#[test]
fn a_correct_server_is_never_accused() {
    for seed in 0..300 {
        for (indexed, lost) in [(false, 0), (true, 0), (true, 20), (false, 5)] {
            let (history, showed) = history(Run { seed, indexed, lost, ..USUAL });
            assert!(!showed);
            assert_eq!(violations(&history), [], "seed {seed}, indexed {indexed}, lost {lost}");
        }
    }
}

/// Every run in which the defect shows is caught, in so many runs at least.
fn caught(defect: Defect, indexed: bool) {
    let mut shown = 0;
    for seed in 0..200 {
        let (history, showed) = history(Run { seed, defect, indexed, ..USUAL });
        let found = violations(&history);
        assert!(found.is_empty() || showed, "seed {seed} is accused of what it did not do: {found:?}");
        if showed {
            shown += 1;
            assert!(!found.is_empty(), "seed {seed}: {defect:?} was not caught");
        }
    }
    assert!(shown > 100, "{defect:?} showed in {shown} runs only");
}

#[test]
fn unchecked_follower_reads_are_caught() {
    caught(Defect::UncheckedFollowerReads, false);
    caught(Defect::UncheckedFollowerReads, true);
}

/// What a defect did may have been undone before anybody could tell, so that not every run can be caught.
fn mostly_caught(defect: Defect, indexed: bool) {
    let (mut shown, mut found) = (0, 0);
    for seed in 0..200 {
        let (history, showed) = history(Run { seed, defect, indexed, ..USUAL });
        let accused = !violations(&history).is_empty();
        assert!(!accused || showed, "seed {seed} is accused of what it did not do");
        shown += usize::from(showed);
        found += usize::from(accused);
    }
    assert!(shown > 150 && found * 10 >= shown * 9, "{found} of {shown} were caught");
}

#[test]
fn a_slot_that_is_looked_at_before_it_is_taken_is_caught() {
    mostly_caught(Defect::ChecksThenWrites, false);
    mostly_caught(Defect::ChecksThenWrites, true);
}

#[test]
fn changes_that_are_forgotten_are_caught() {
    mostly_caught(Defect::ForgetsChanges, false);
    mostly_caught(Defect::ForgetsChanges, true);
}

#[test]
fn two_thousand_operations_on_one_key_are_judged_at_once_when_they_have_indexes() {
    let run = Run { operations: 2_000, keys: 1, indexed: true, lost: 20, ..USUAL };
    for seed in 0..10 {
        let (history, _) = history(Run { seed, ..run });
        let began = Instant::now();
        assert_eq!(violations(&history), []);
        // Milliseconds in truth; a debug build on a busy machine is given a hundred times that.
        assert!(began.elapsed() < Duration::from_secs(10), "seed {seed} took {:?}", began.elapsed());
    }
}
