//! An oracle without any cleverness: it tries every order.

use loadtest::history::linearize::{EFFORT, Verdict, check};
use loadtest::history::model::step;
use loadtest::history::{Act, Operation, Outcome, State};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// Whether some order of all operations with an outcome, and of any of those without, explains every answer.
fn explained(operations: &[Operation]) -> bool {
    let mut left: Vec<usize> =
        (0..operations.len()).filter(|at| operations[*at].outcome != Outcome::Failed).collect();
    try_all(operations, &mut left, &mut Vec::new(), State::Nothing)
}

fn definite(operation: &Operation) -> bool {
    operation.outcome != Outcome::Unknown
}

fn try_all(all: &[Operation], left: &mut Vec<usize>, order: &mut Vec<usize>, state: State) -> bool {
    if left.iter().all(|at| !definite(&all[*at])) {
        return true;
    }
    for position in 0..left.len() {
        let at = left.remove(position);
        let operation = &all[at];
        // Nothing that is still to come had already been answered when this was asked, or has a smaller index.
        let too_early = left.iter().any(|other| {
            let other = &all[*other];
            definite(other)
                && (other.back.is_some_and(|back| back < operation.call) || goes_first(other, operation))
        });
        let (next, outcome) = step(state, operation.act);
        let fits = !definite(operation) || outcome == operation.outcome;
        if fits && !too_early {
            order.push(at);
            if try_all(all, left, order, next) {
                return true;
            }
            order.pop();
        }
        left.insert(position, at);
    }
    false
}

/// Whether the indexes say that `one` was before `other`.
fn goes_first(one: &Operation, other: &Operation) -> bool {
    let (Some(first), Some(second)) = (one.index, other.index) else { return false };
    let change = |operation: &Operation| operation.act != Act::Read;
    change(one) && if change(other) { first < second } else { first <= second }
}

/// Seven operations by three clients with answers drawn from what could be, right or wrong.
fn drawn(seed: u64) -> Vec<Operation> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let kind = rng.random_range(0..3);
    let indexed = rng.random_bool(0.4);
    let homes = ["US-TX", "US-OH"].map(|code| code.parse().expect("a jurisdiction"));
    let mut free_at = [0_u64; 3];
    let mut operations: Vec<Operation> = (0..7)
        .map(|_| {
            let process = rng.random_range(0..3_u32);
            let booking = Uuid::from_u128(rng.random_range(1..3));
            let act = match (kind, rng.random_range(0..5)) {
                (_, 0) => Act::Read,
                (0, 1) => Act::Add(rng.random_range(1..4)),
                (0, _) => Act::Put(rng.random_range(1..4)),
                (1, 1 | 2) => Act::Retire(rng.random_range(1..3)),
                (1, _) => Act::Claim(homes[rng.random_range(0..2)]),
                (_, 1 | 2) => Act::Hold { booking, at: rng.random_range(0..9), until: rng.random_range(5..12) },
                (_, 3) => Act::Confirm { booking, at: rng.random_range(0..9) },
                _ if rng.random_bool(0.5) => Act::Release(booking),
                _ => Act::Cancel(booking),
            };
            let client = &mut free_at[process as usize];
            let call = *client + rng.random_range(1..6);
            let back = call + rng.random_range(1..12);
            *client = back;
            Operation {
                process,
                key: "k".into(),
                act,
                call,
                back: Some(back),
                outcome: Outcome::Unknown,
                index: None,
            }
        })
        .collect();
    answer(&mut operations, &mut rng, indexed);
    operations
}

/// Answers as one order would, and then spoils some of them.
fn answer(operations: &mut [Operation], rng: &mut ChaCha8Rng, indexed: bool) {
    let mut moments: Vec<(u64, usize)> = operations
        .iter()
        .enumerate()
        .map(|(at, o)| (rng.random_range(o.call..=o.back.unwrap_or(o.call)), at))
        .collect();
    moments.sort_unstable();
    let mut state = State::Nothing;
    let mut index = 0;
    for (_, at) in moments {
        let operation = &mut operations[at];
        if rng.random_bool(0.1) {
            // It has no outcome; every other time it did not happen either.
            if rng.random_bool(0.5) {
                state = step(state, operation.act).0;
            }
            continue;
        }
        let (next, outcome) = step(state, operation.act);
        // Some entries hold several commands.
        index += u64::from(operation.act != Act::Read && rng.random_bool(0.8));
        (state, operation.outcome) = (next, outcome);
        operation.index = indexed.then_some(index);
    }
    if rng.random_bool(0.6) {
        let at = rng.random_range(0..operations.len());
        let spoilt = match (operations[at].outcome, rng.random_range(0..3)) {
            (Outcome::Done, 0) => Outcome::Refused,
            (Outcome::Refused, 0) => Outcome::Done,
            (Outcome::Done | Outcome::Refused, 1) => Outcome::Failed,
            (Outcome::Saw(_), _) => Outcome::Saw(if rng.random_bool(0.3) { State::Nothing } else { state }),
            (same, _) => same,
        };
        operations[at].outcome = spoilt;
    }
    if indexed && rng.random_bool(0.2) {
        let (one, other) = (rng.random_range(0..operations.len()), rng.random_range(0..operations.len()));
        // What was never answered has no index to swap.
        if definite(&operations[one]) && definite(&operations[other]) {
            (operations[one].index, operations[other].index) = (operations[other].index, operations[one].index);
        }
    }
}

#[test]
fn the_search_agrees_with_trying_every_order() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..6_000 {
        let operations = drawn(seed);
        let whole: Vec<&Operation> = operations.iter().collect();
        let found = match check(&whole, EFFORT) {
            Verdict::Linearizable => true,
            Verdict::NotLinearizable { .. } => false,
            Verdict::TooHard => panic!("seed {seed} is too hard"),
        };
        let expected = explained(&operations);
        assert_eq!(found, expected, "seed {seed}: {operations:#?}");
        *if expected { &mut right } else { &mut wrong } += 1;
    }
    // Both kinds were there: an oracle that always says one thing would agree with a judge that does.
    assert!(right > 1_000 && wrong > 1_000, "{right} right, {wrong} wrong");
}
