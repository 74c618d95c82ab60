//! Whether a history is linearizable: whether there is one order of all operations on a key, in which each takes
//! effect at one moment between its call and its answer, and gives the answer that was seen.
//!
//! The search is Wing and Gong's with Lowe's memory of configurations that failed ("Testing for linearizability",
//! 2017), one key at a time, which is enough because linearizability is local. Three things make it short:
//!
//! - *The log index.* A change answers with the index of its log entry, so changes have to be taken in the order of
//!   their indexes, and a read after every change that its index covers. With an index in each answer there is
//!   nothing left to guess, and the search is a sort. Several commands may share one entry, hence one index.
//! - *What was read or refused is taken at once* when its answer fits. Such an answer says that the state was left
//!   alone wherever in the order it was given, so there is no need to try without it.
//! - *What nobody can have seen is left out*: reads without an answer, operations that certainly failed, and puts
//!   with no known outcome whose value, which is put only once, nobody read.
//!
//! Keep histories to some 2,000 operations a key by 8 clients: without indexes the search is exponential at worst.

use std::collections::{BTreeMap, HashSet};

use super::model::step;
use super::{Act, Operation, Outcome, State};

/// How many configurations are tried before a key is given up. None of our histories comes near it.
pub const EFFORT: usize = 1_000_000;

/// What was found out about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none.
    NotLinearizable {
        /// The operation whose answer no order explains, as far as the search could come.
        stuck: Box<Operation>,
        /// How many operations could be put in order before it.
        placed: usize,
    },
    /// It was not found out within the effort.
    TooHard,
}

/// A key that is not linearizable, or whose history is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: String,
    /// What is wrong, in words.
    pub what: String,
}

/// Judges every key. The list is empty when all of them are linearizable.
pub fn violations(history: &[Operation]) -> Vec<Violation> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    let mut found: Vec<Violation> = overlaps(history);
    for (key, operations) in keys {
        let what = match check(&operations, EFFORT) {
            Verdict::Linearizable => continue,
            Verdict::TooHard => format!("not decided within {EFFORT} configurations"),
            Verdict::NotLinearizable { stuck, placed } => {
                let line = serde_json::to_string(&stuck).unwrap_or_default();
                format!(
                    "not linearizable: {placed} of {} operations fit, and then no order explains {line}",
                    operations.len()
                )
            }
        };
        found.push(Violation { key: key.to_owned(), what });
    }
    found
}

/// A client does one thing after the other; where two of its operations overlap, the recording is wrong.
fn overlaps(history: &[Operation]) -> Vec<Violation> {
    let mut by_process: BTreeMap<u32, Vec<&Operation>> = BTreeMap::new();
    // What was never answered is nobody's next thing.
    for operation in history.iter().filter(|operation| operation.back.is_some()) {
        by_process.entry(operation.process).or_default().push(operation);
    }
    let mut found = Vec::new();
    for (process, mut operations) in by_process {
        operations.sort_by_key(|operation| operation.call);
        let ends = |o: &Operation| o.back.unwrap_or(o.call);
        if operations.windows(2).any(|pair| ends(pair[0]) > pair[1].call) {
            let what = format!("no history: operations of client {process} overlap");
            found.push(Violation { key: String::new(), what });
        }
    }
    found
}

/// Judges the operations of one key.
pub fn check(operations: &[&Operation], effort: usize) -> Verdict {
    let relevant = relevant(operations);
    Search::new(&relevant).run(effort)
}

/// Leaves out what nobody can have seen.
fn relevant<'a>(operations: &[&'a Operation]) -> Vec<&'a Operation> {
    let seen: HashSet<u64> = operations
        .iter()
        .filter_map(|operation| match operation.outcome {
            Outcome::Saw(State::Value(value)) => Some(value),
            _ => None,
        })
        .collect();
    let answers_depend = operations.iter().any(|operation| matches!(operation.act, Act::Add(_)));
    let matters = |operation: &&Operation| match (operation.act, operation.outcome) {
        (_, Outcome::Failed) | (Act::Read, Outcome::Unknown) => false,
        (Act::Put(value), Outcome::Unknown) => answers_depend || seen.contains(&value),
        _ => true,
    };
    operations.iter().copied().filter(matters).collect()
}

/// Nobody stands before the first or after the last.
const NONE: usize = usize::MAX;

/// The calls and answers that are not yet in the order, as a list in the order of time.
struct Events {
    /// The operation of each event, and whether it is its answer.
    of: Vec<(usize, bool)>,
    next: Vec<usize>,
    before: Vec<usize>,
    head: usize,
    /// Where an operation's call and answer stand. What has no outcome has no answer: it may happen at any time.
    call: Vec<usize>,
    back: Vec<usize>,
}

impl Events {
    fn new(operations: &[&Operation]) -> Self {
        let mut times: Vec<(u64, bool, usize)> = Vec::new();
        for (at, operation) in operations.iter().enumerate() {
            times.push((operation.call, false, at));
            if let (Some(back), true) = (operation.back, operation.outcome != Outcome::Unknown) {
                times.push((back, true, at));
            }
        }
        // At one moment calls come first: operations that touch are taken as concurrent.
        times.sort_unstable();
        let (mut call, mut back) = (vec![NONE; operations.len()], vec![NONE; operations.len()]);
        for (event, (_, answer, at)) in times.iter().enumerate() {
            if *answer { back[*at] = event } else { call[*at] = event }
        }
        let last = times.len();
        Self {
            of: times.iter().map(|(_, answer, at)| (*at, *answer)).collect(),
            next: (0..last).map(|event| if event + 1 < last { event + 1 } else { NONE }).collect(),
            before: (0..last).map(|event| if event > 0 { event - 1 } else { NONE }).collect(),
            head: if last > 0 { 0 } else { NONE },
            call,
            back,
        }
    }

    fn take(&mut self, event: usize) {
        let (before, next) = (self.before[event], self.next[event]);
        if before == NONE {
            self.head = next;
        } else {
            self.next[before] = next;
        }
        if next != NONE {
            self.before[next] = before;
        }
    }

    fn put_back(&mut self, event: usize) {
        let (before, next) = (self.before[event], self.next[event]);
        if before == NONE {
            self.head = event;
        } else {
            self.next[before] = event;
        }
        if next != NONE {
            self.before[next] = event;
        }
    }

    fn lift(&mut self, at: usize) {
        self.take(self.call[at]);
        if self.back[at] != NONE {
            self.take(self.back[at]);
        }
    }

    /// The opposite of [`Events::lift`], in the opposite order.
    fn unlift(&mut self, at: usize) {
        if self.back[at] != NONE {
            self.put_back(self.back[at]);
        }
        self.put_back(self.call[at]);
    }
}

/// One step of the order so far.
struct Placed {
    at: usize,
    before: State,
    /// Whether the search need not come back to try without it.
    at_once: bool,
}

struct Search<'a> {
    operations: &'a [&'a Operation],
    events: Events,
    state: State,
    order: Vec<Placed>,
    taken: Vec<u64>,
    /// How many changes of each index are not yet in the order.
    indexes: BTreeMap<u64, u32>,
    /// How many operations have an outcome and are not yet in the order.
    left: usize,
    failed_before: HashSet<(Box<[u64]>, State)>,
    furthest: (usize, Option<usize>),
}

impl<'a> Search<'a> {
    fn new(operations: &'a [&'a Operation]) -> Self {
        let mut indexes = BTreeMap::new();
        for operation in operations {
            if let Some(index) = own_index(operation) {
                *indexes.entry(index).or_default() += 1;
            }
        }
        Self {
            operations,
            events: Events::new(operations),
            state: State::Nothing,
            order: Vec::new(),
            taken: vec![0; operations.len().div_ceil(64)],
            indexes,
            left: operations.iter().filter(|o| o.outcome != Outcome::Unknown).count(),
            failed_before: HashSet::new(),
            furthest: (0, None),
        }
    }

    fn run(mut self, effort: usize) -> Verdict {
        let mut event = self.events.head;
        loop {
            if self.left == 0 {
                return Verdict::Linearizable;
            }
            if self.failed_before.len() > effort {
                return Verdict::TooHard;
            }
            // At the beginning of a new configuration.
            if event == self.events.head
                && let Some(at) = self.pure_and_fitting()
            {
                self.place(at, self.state, true);
                event = self.events.head;
                continue;
            }
            // Past the first answer nothing may go before it; past the end there is nothing to try.
            let candidate = if event == NONE { None } else { Some(self.events.of[event]) };
            match candidate {
                Some((at, false)) => {
                    if let Some(next) = self.fits(at)
                        && self.is_new(at, next)
                    {
                        self.place(at, next, false);
                        event = self.events.head;
                    } else {
                        event = self.events.next[event];
                    }
                }
                blocked => {
                    if self.order.len() >= self.furthest.0 {
                        self.furthest = (self.order.len(), blocked.map(|(at, _)| at));
                    }
                    match self.step_back() {
                        Some(from) => event = from,
                        None => return self.verdict(),
                    }
                }
            }
        }
    }

    fn verdict(&self) -> Verdict {
        let (placed, stuck) = self.furthest;
        // Without an answer in the way, what could not be placed is any operation that is left.
        let any = || self.operations.iter().position(|o| o.outcome != Outcome::Unknown).unwrap_or(0);
        let stuck = Box::new(self.operations[stuck.unwrap_or_else(any)].clone());
        Verdict::NotLinearizable { stuck, placed }
    }

    /// The state after this operation, if it can be the next one.
    fn fits(&self, at: usize) -> Option<State> {
        let operation = self.operations[at];
        if !self.index_allows(operation) {
            return None;
        }
        let (next, outcome) = step(self.state, operation.act);
        (operation.outcome == Outcome::Unknown || operation.outcome == outcome).then_some(next)
    }

    /// Changes come in the order of their indexes; a read comes after every change that its index covers.
    fn index_allows(&self, operation: &Operation) -> bool {
        let first = self.indexes.first_key_value().map(|(index, _)| *index);
        match (own_index(operation), operation.index) {
            (Some(own), _) => first == Some(own),
            (None, Some(covered)) if operation.act == Act::Read => first.is_none_or(|first| first > covered),
            _ => true,
        }
    }

    /// A read or a refusal that may be next and whose answer fits.
    fn pure_and_fitting(&self) -> Option<usize> {
        let mut event = self.events.head;
        while event != NONE {
            let (at, answer) = self.events.of[event];
            if answer {
                return None;
            }
            // A write that happens to change nothing now is another matter: later it may be what is needed.
            let pure = matches!(self.operations[at].outcome, Outcome::Saw(_) | Outcome::Refused);
            if pure && self.fits(at).is_some() {
                return Some(at);
            }
            event = self.events.next[event];
        }
        None
    }

    /// Remembers the configuration that this step would lead to; false when it was tried before.
    fn is_new(&mut self, at: usize, next: State) -> bool {
        let mut taken = self.taken.clone().into_boxed_slice();
        taken[at / 64] |= 1 << (at % 64);
        self.failed_before.insert((taken, next))
    }

    fn place(&mut self, at: usize, next: State, at_once: bool) {
        self.order.push(Placed { at, before: self.state, at_once });
        self.state = next;
        self.taken[at / 64] |= 1 << (at % 64);
        self.events.lift(at);
        let operation = self.operations[at];
        self.left -= usize::from(operation.outcome != Outcome::Unknown);
        if let Some(index) = own_index(operation)
            && let Some(count) = self.indexes.get_mut(&index)
        {
            *count -= 1;
            if *count == 0 {
                self.indexes.remove(&index);
            }
        }
    }

    /// Takes back the last choice, and tells where to go on looking. None when there is no choice left.
    fn step_back(&mut self) -> Option<usize> {
        loop {
            let last = self.order.pop()?;
            self.state = last.before;
            self.taken[last.at / 64] &= !(1 << (last.at % 64));
            self.events.unlift(last.at);
            let operation = self.operations[last.at];
            self.left += usize::from(operation.outcome != Outcome::Unknown);
            if let Some(index) = own_index(operation) {
                *self.indexes.entry(index).or_default() += 1;
            }
            if !last.at_once {
                return Some(self.events.next[self.events.call[last.at]]);
            }
        }
    }
}

/// The index of the entry that a change is in. A read has none of its own.
fn own_index(operation: &Operation) -> Option<u64> {
    let answered = matches!(operation.outcome, Outcome::Done | Outcome::Refused);
    operation.index.filter(|_| answered && operation.act != Act::Read)
}
