//! A model of a replicated server, with defects that can be switched on. Time is simulated, and everything follows
//! from the seed.

use std::collections::BTreeMap;

use loadtest::history::model::step;
use loadtest::history::{Act, Operation, Outcome, State};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Nothing.
    None,
    /// Reads are answered by a follower from what it has applied, without asking whether that is the present.
    UncheckedFollowerReads,
    /// An acknowledged change is forgotten now and then.
    ForgetsChanges,
    /// Two requests that look at a slot at the same moment both find it free.
    ChecksThenWrites,
}

/// What a run is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) clients: u32,
    pub(crate) operations: usize,
    pub(crate) keys: u64,
    pub(crate) defect: Defect,
    /// Whether answers carry the log index.
    pub(crate) indexed: bool,
    /// How often an answer gets lost, in a thousand.
    pub(crate) lost: u32,
}

struct Pending {
    at: u64,
    operation: Operation,
    follower_lag: u64,
}

/// The history of a run, and whether the defect showed in it: whether an answer was given that was not true at any
/// moment of its operation.
pub(crate) fn history(run: Run) -> (Vec<Operation>, bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(run.seed);
    let mut pending = schedule(run, &mut rng);
    pending.sort_by_key(|p| p.at);

    // The states of each key in the order of time, with the log index of each.
    let mut versions: BTreeMap<String, Vec<(u64, u64, State)>> = BTreeMap::new();
    let (mut index, mut showed, mut done) = (0, false, Vec::new());
    for Pending { at, mut operation, follower_lag } in pending {
        let known = versions.entry(operation.key.clone()).or_insert_with(|| vec![(0, 0, State::Nothing)]);
        let current = known.last().map_or(State::Nothing, |(_, _, state)| *state);
        let basis = match (run.defect, operation.act) {
            (Defect::UncheckedFollowerReads, Act::Read) => {
                let then = at.saturating_sub(follower_lag);
                let old = known.iter().rev().find(|(since, _, _)| *since <= then);
                let state = old.map_or(State::Nothing, |(_, _, state)| *state);
                let since_call: Vec<State> = true_between(known, operation.call, at);
                showed |= !since_call.contains(&state);
                state
            }
            (Defect::ChecksThenWrites, Act::Hold { .. }) if rng.random_bool(0.3) => {
                let before = known.len().checked_sub(2).map_or(State::Nothing, |at| known[at].2);
                let wrong = step(before, operation.act).1 == Outcome::Done
                    && step(current, operation.act).1 == Outcome::Refused;
                showed |= wrong;
                if wrong { before } else { current }
            }
            _ => current,
        };
        let (next, outcome) = step(basis, operation.act);
        if operation.act != Act::Read {
            index += 1;
            let forgets = run.defect == Defect::ForgetsChanges && next != current && rng.random_bool(0.1);
            showed |= forgets;
            if !forgets && next != current {
                known.push((at, index, next));
            }
        }
        let lost = rng.random_ratio(run.lost, 1_000);
        operation.outcome = if lost { Outcome::Unknown } else { outcome };
        let covered = known.last().map_or(0, |(_, index, _)| *index);
        let own = if operation.act == Act::Read { covered } else { index };
        // A follower that does not check does not know that it is behind: it says what it has.
        let honest = run.defect != Defect::UncheckedFollowerReads || operation.act != Act::Read;
        operation.index = (run.indexed && honest && !lost).then_some(own);
        done.push(operation);
    }
    (done, showed)
}

fn true_between(known: &[(u64, u64, State)], from: u64, to: u64) -> Vec<State> {
    let first = known.iter().rposition(|(since, _, _)| *since <= from).unwrap_or(0);
    known[first..].iter().take_while(|(since, _, _)| *since <= to).map(|(_, _, state)| *state).collect()
}

/// What every client does when, each one thing after the other.
fn schedule(run: Run, rng: &mut ChaCha8Rng) -> Vec<Pending> {
    let mut free_at = vec![0_u64; run.clients as usize];
    let mut last_hold: BTreeMap<u32, (String, Uuid)> = BTreeMap::new();
    let mut pending = Vec::new();
    for number in 1..=run.operations {
        let process = rng.random_range(0..run.clients);
        let client = &mut free_at[process as usize];
        let call = *client + rng.random_range(1..2_000);
        let at = call + rng.random_range(0..1_000);
        let back = at + rng.random_range(0..1_000);
        *client = back;
        let slots = run.defect == Defect::ChecksThenWrites || run.seed.is_multiple_of(2);
        let mut key = format!("k{}", rng.random_range(0..run.keys));
        let booking = Uuid::from_u128(number as u128);
        let act = if rng.random_bool(0.4) {
            Act::Read
        } else if !slots {
            Act::Put(number as u64)
        } else if let Some((held, booking)) = last_hold.remove(&process) {
            key = held;
            if rng.random_bool(0.5) { Act::Confirm { booking, at: 0 } } else { Act::Release(booking) }
        } else {
            last_hold.insert(process, (key.clone(), booking));
            Act::Hold { booking, at: 0, until: 10 }
        };
        let follower_lag = rng.random_range(0..20_000);
        let operation =
            Operation { process, key, act, call, back: Some(back), outcome: Outcome::Unknown, index: None };
        pending.push(Pending { at, operation, follower_lag });
    }
    pending
}
