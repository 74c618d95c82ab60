//! Small histories of which everybody can see what they are.

use loadtest::history::linearize::{EFFORT, Verdict, check, violations};
use loadtest::history::{Act, Operation, Outcome, State};

/// One operation on one key: client, act, call, answer, outcome.
fn op(process: u32, act: Act, call: u64, back: u64, outcome: Outcome) -> Operation {
    Operation { process, key: "k".into(), act, call, back: Some(back), outcome, index: None }
}

fn put(process: u32, value: u64, call: u64, back: u64) -> Operation {
    op(process, Act::Put(value), call, back, Outcome::Done)
}

fn saw(process: u32, value: u64, call: u64, back: u64) -> Operation {
    op(process, Act::Read, call, back, Outcome::Saw(State::Value(value)))
}

fn saw_nothing(process: u32, call: u64, back: u64) -> Operation {
    op(process, Act::Read, call, back, Outcome::Saw(State::Nothing))
}

fn with_index(operation: Operation, index: u64) -> Operation {
    Operation { index: Some(index), ..operation }
}

fn linearizable(history: &[Operation]) -> bool {
    let operations: Vec<&Operation> = history.iter().collect();
    match check(&operations, EFFORT) {
        Verdict::Linearizable => true,
        Verdict::NotLinearizable { .. } => false,
        Verdict::TooHard => panic!("too hard: {history:?}"),
    }
}

#[test]
fn a_read_may_see_either_side_of_a_concurrent_write() {
    assert!(linearizable(&[]));
    for value in [1, 2] {
        assert!(linearizable(&[put(1, 1, 0, 10), put(2, 2, 20, 40), saw(3, value, 25, 35)]), "{value}");
    }
    assert!(linearizable(&[put(1, 1, 0, 100), saw_nothing(2, 10, 20), saw(3, 1, 30, 40)]));
}

#[test]
fn a_stale_read_is_caught() {
    assert!(!linearizable(&[put(1, 1, 0, 10), put(2, 2, 20, 30), saw(3, 1, 31, 35)]));
    assert!(!linearizable(&[put(1, 1, 0, 10), saw_nothing(2, 11, 12)]));
}

#[test]
fn a_read_that_goes_back_in_time_is_caught() {
    let writes = [put(1, 1, 0, 10), put(2, 2, 20, 100)];
    let forwards = [writes.as_slice(), &[saw(3, 1, 30, 40), saw(4, 2, 50, 60)]].concat();
    let backwards = [writes.as_slice(), &[saw(3, 2, 30, 40), saw(4, 1, 50, 60)]].concat();
    assert!(linearizable(&forwards));
    assert!(!linearizable(&backwards));
}

#[test]
fn a_value_nobody_wrote_is_caught() {
    assert!(!linearizable(&[put(1, 1, 0, 10), saw(2, 7, 5, 15)]));
}

#[test]
fn an_operation_without_an_outcome_may_have_happened_or_not_or_happen_later() {
    let unknown = op(1, Act::Put(2), 10, 12, Outcome::Unknown);
    let base = [put(2, 1, 0, 5), unknown];
    for reads in [
        vec![saw(3, 1, 20, 25), saw(3, 1, 30, 35)],
        vec![saw(3, 2, 20, 25), saw(3, 2, 30, 35)],
        vec![saw(3, 1, 20, 25), saw(3, 2, 30, 35)],
    ] {
        assert!(linearizable(&[base.as_slice(), &reads].concat()), "{reads:?}");
    }
    let flips = [saw(3, 2, 20, 25), saw(3, 1, 30, 35)];
    assert!(!linearizable(&[base.as_slice(), &flips].concat()));
    let failed = op(1, Act::Put(2), 10, 12, Outcome::Failed);
    assert!(!linearizable(&[failed, saw(3, 2, 20, 25)]), "what certainly failed was seen");
}

#[test]
fn two_clients_cannot_both_have_claimed_one_id() {
    let texas = "US-TX".parse().expect("a jurisdiction");
    let ohio = "US-OH".parse().expect("a jurisdiction");
    let claim = |process, home, outcome| op(process, Act::Claim(home), 0, 10, outcome);
    assert!(linearizable(&[claim(1, texas, Outcome::Done), claim(2, ohio, Outcome::Refused)]));
    assert!(!linearizable(&[claim(1, texas, Outcome::Done), claim(2, ohio, Outcome::Done)]));
    assert!(!linearizable(&[claim(1, texas, Outcome::Refused), claim(2, ohio, Outcome::Refused)]));
}

#[test]
fn two_bookings_of_one_slot_cannot_both_be_confirmed() {
    let [one, two] = [1, 2].map(uuid::Uuid::from_u128);
    let hold = |process, booking, call, outcome| {
        op(process, Act::Hold { booking, at: 0, until: 10 }, call, call + 5, outcome)
    };
    let confirm =
        |process, booking, call, outcome| op(process, Act::Confirm { booking, at: 1 }, call, call + 5, outcome);
    let (done, refused) = (Outcome::Done, Outcome::Refused);
    let fair = [
        hold(1, one, 0, done),
        hold(2, two, 2, refused),
        confirm(1, one, 10, done),
        confirm(2, two, 12, refused),
    ];
    let double =
        [hold(1, one, 0, done), hold(2, two, 2, done), confirm(1, one, 10, done), confirm(2, two, 12, done)];
    assert!(linearizable(&fair));
    assert!(!linearizable(&double));
}

#[test]
fn an_index_decides_what_time_alone_leaves_open() {
    // The two writes are concurrent, so without indexes either order would do.
    let history = |first, second| {
        [with_index(put(1, 1, 0, 100), first), with_index(put(2, 2, 0, 100), second), saw(3, 1, 200, 210)]
    };
    assert!(linearizable(&history(8, 7)));
    assert!(!linearizable(&history(7, 8)));
    // A read that covers an index has seen the change.
    let covers = |index| [with_index(put(1, 1, 0, 100), 5), with_index(saw_nothing(2, 0, 100), index)];
    assert!(linearizable(&covers(4)));
    assert!(!linearizable(&covers(5)));
    // And indexes that run against time are wrong whatever was read.
    assert!(linearizable(&[with_index(put(1, 1, 0, 10), 5), with_index(put(2, 2, 20, 30), 6)]));
    assert!(!linearizable(&[with_index(put(1, 1, 0, 10), 6), with_index(put(2, 2, 20, 30), 5)]));
}

#[test]
fn commands_of_one_entry_may_be_in_any_order() {
    for value in [1, 2] {
        let writes = [with_index(put(1, 1, 0, 50), 5), with_index(put(2, 2, 0, 50), 5)];
        assert!(
            linearizable(&[writes.as_slice(), &[with_index(saw(3, value, 60, 70), 5)]].concat()),
            "{value}"
        );
    }
}

#[test]
fn keys_are_judged_apart_and_a_violation_names_its_key_and_operation() {
    let elsewhere = Operation { key: "other".into(), ..saw_nothing(3, 31, 35) };
    let good = [put(1, 1, 0, 10), elsewhere];
    assert_eq!(violations(&good), []);
    let bad = [put(1, 1, 0, 10), put(1, 2, 20, 30), saw(3, 1, 31, 35)];
    let found = violations(&bad);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].key, "k");
    assert!(found[0].what.contains(r#""saw":{"value":1}"#), "{}", found[0].what);
}

#[test]
fn a_client_that_does_two_things_at_once_has_no_history() {
    let found = violations(&[put(1, 1, 0, 10), put(1, 2, 5, 15)]);
    assert!(found.iter().any(|violation| violation.what.contains("client 1 overlap")), "{found:?}");
}
