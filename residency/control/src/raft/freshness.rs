//! How old this member's view is, without trusting anybody's wall clock while it runs.
//!
//! A leader notes, for every peer, when it *sent* the last append that the peer accepted. An instant after which a
//! quorum accepted is one at which nobody else led, so whatever was acknowledged to any client before it is in the
//! leader's own state. openraft's figure for this was rejected: it is as old as its last report, and a process that
//! was stopped for a minute would take it for new.
//!
//! A follower's proof takes one round trip: its answer to an append carries a stamp of its own clock; the leader's
//! next append carries that stamp back, with how old the leader's own proof was when the answer came. The append was
//! made after that, so once everything up to its commit index is applied here, the view is at most as old as the
//! stamp plus the leader's age. A message that was delayed for minutes carries an old stamp and proves as little as
//! it should, and so does a leader that was cut off from its quorum.
//!
//! A process that has just started has no such proof, and without a quorum it gets none. It then goes by what the
//! process before it wrote down (see [`super::remembered`]): a moment of the wall clock, and the entry up to which
//! the view must have come for it to hold. That serves this member's own view alone, and only until the first proof
//! of this run; what a leader sends along, and how long it takes proposals, rests on this run's proofs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use residency_policy::Entropy;
use serde::{Deserialize, Serialize};

/// A moment of one process's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    process: u64,
    micros: u64,
}

/// What a leader sends along with an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// The follower's stamp, sent back.
    pub(crate) heard: Stamp,
    /// How old the leader's proof was when the stamp came.
    pub(crate) age_micros: u64,
}

/// What this member knows of its view's age.
pub(crate) struct Freshness {
    start: Instant,
    process: u64,
    /// The latest proven instant in microseconds after `start`, plus one; zero is never.
    proven: AtomicU64,
    /// How old the view was at `start` by what an earlier run wrote down, in microseconds plus one; zero is unknown.
    remembered: AtomicU64,
    waiting: Mutex<Waiting>,
    accepted: Mutex<Accepted>,
}

/// When the last append that each peer accepted was sent, in one term.
#[derive(Default)]
struct Accepted {
    term: u64,
    sent: BTreeMap<u64, u64>,
}

#[derive(Default)]
struct Waiting {
    applied: u64,
    /// The proof that waits for its commit index to be applied.
    next: Option<(u64, u64)>,
    /// The latest one after it.
    last: Option<(u64, u64)>,
    /// What an earlier run wrote down: up to where, and how old that was at the start.
    remembered: Option<(u64, u64)>,
}

impl Freshness {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let mut process = [0; 8];
        entropy.fill(&mut process);
        Self {
            start: Instant::now(),
            process: u64::from_le_bytes(process),
            proven: AtomicU64::new(0),
            remembered: AtomicU64::new(0),
            waiting: Mutex::default(),
            accepted: Mutex::default(),
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }

    /// How old the view is; `None` where neither this run nor an earlier one can say.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.shown().or_else(|| {
            let at_start = self.remembered.load(Ordering::Acquire).checked_sub(1)?;
            Some(Duration::from_micros(at_start).saturating_add(self.start.elapsed()))
        })
    }

    /// How old the view is by what was heard in this run; `None` before the first proof.
    pub(crate) fn shown(&self) -> Option<Duration> {
        let proven = self.proven.load(Ordering::Acquire).checked_sub(1)?;
        Some(Duration::from_micros(self.micros().saturating_sub(proven)))
    }

    /// An earlier run knew this view to be so old by now, once it holds everything up to `applied`.
    pub(crate) fn resume(&self, age: Duration, applied: u64) {
        let Ok(micros) = u64::try_from(age.as_micros()) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remembered = Some((applied, micros));
        self.remember(&mut waiting);
    }

    fn remember(&self, waiting: &mut Waiting) {
        if let Some((_, micros)) = waiting.remembered.take_if(|(applied, _)| *applied <= waiting.applied) {
            self.remembered.store(micros.saturating_add(1), Ordering::Release);
        }
    }

    /// The present moment, to be sent back by the leader.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { process: self.process, micros: self.micros() }
    }

    /// A peer accepted an append of this term, sent at `sent`. `voters` are the sets that each need a majority.
    pub(crate) fn accepted(&self, term: u64, by: u64, sent: Stamp, own: u64, voters: &[BTreeSet<u64>]) {
        let mut noted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if term < noted.term {
            return;
        }
        if term > noted.term {
            *noted = Accepted { term, sent: BTreeMap::new() };
        }
        let last = noted.sent.entry(by).or_default();
        *last = (*last).max(sent.micros);
        noted.sent.insert(own, sent.micros);
        let instants = voters.iter().map(|group| majority(group, &noted.sent));
        // Every set must agree, so the earliest of their instants counts; a set that does not agree ends it.
        let proven = instants.reduce(|a, b| a.zip(b).map(|(a, b)| a.min(b))).flatten();
        if let Some(instant) = proven {
            self.prove(instant);
        }
    }

    /// The only voter is its own quorum at any time.
    pub(crate) fn alone(&self) {
        self.prove(self.micros());
    }

    /// A leader's append was accepted here: the proof holds once `commit` is applied.
    pub(crate) fn heard(&self, proof: Proof, commit: u64) {
        // Another process's stamp says nothing about this one's clock.
        if proof.heard.process != self.process || proof.heard.micros > self.micros() {
            return;
        }
        let Some(instant) = proof.heard.micros.checked_sub(proof.age_micros) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if commit <= waiting.applied {
            self.prove(instant);
        } else if waiting.next.is_none() {
            waiting.next = Some((commit, instant));
        } else {
            waiting.last = Some((commit, instant));
        }
    }

    /// Everything up to this index is applied here.
    pub(crate) fn applied(&self, index: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.applied = waiting.applied.max(index);
        self.remember(&mut waiting);
        while let Some((commit, instant)) = waiting.next
            && commit <= waiting.applied
        {
            self.prove(instant);
            waiting.next = waiting.last.take();
        }
    }

    fn prove(&self, instant: u64) {
        self.proven.fetch_max(instant.saturating_add(1), Ordering::AcqRel);
    }
}

/// The latest instant at or after which a majority of a set accepted.
fn majority(voters: &BTreeSet<u64>, sent: &BTreeMap<u64, u64>) -> Option<u64> {
    let mut instants: Vec<u64> = voters.iter().filter_map(|voter| sent.get(voter).copied()).collect();
    instants.sort_unstable_by(|a, b| b.cmp(a));
    instants.get(voters.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&self, dest: &mut [u8]) {
            dest.fill(self.0);
        }
    }

    fn proof(heard: Stamp) -> Proof {
        Proof { heard, age_micros: 0 }
    }

    #[test]
    fn a_view_is_proven_only_when_the_leaders_commit_index_is_applied() {
        let view = Freshness::new(&Fixed(1));
        assert_eq!(view.age(), None);
        view.heard(proof(view.stamp()), 7);
        view.applied(6);
        assert_eq!(view.age(), None);
        view.applied(7);
        assert!(view.age().is_some());
    }

    #[test]
    fn a_later_proof_waits_behind_an_earlier_one_and_is_not_lost() {
        let view = Freshness::new(&Fixed(1));
        view.heard(proof(view.stamp()), 5);
        view.heard(proof(view.stamp()), 6);
        let late = view.stamp();
        view.heard(proof(late), 8);
        view.applied(5);
        assert!(view.age().is_some());
        view.applied(8);
        assert!(view.proven.load(Ordering::Acquire) > late.micros);
    }

    #[test]
    fn what_an_earlier_run_wrote_down_holds_once_as_much_is_applied_and_until_this_run_knows_better() {
        let hour = Duration::from_hours(1);
        let view = Freshness::new(&Fixed(1));
        view.applied(6);
        view.resume(hour, 7);
        assert_eq!(view.age(), None, "less is applied than was then");
        view.applied(7);
        assert!(view.age().is_some_and(|age| age >= hour && age < hour * 2));
        assert_eq!(view.shown(), None, "it is no proof for anybody else");
        view.heard(proof(view.stamp()), 7);
        assert!(view.age().is_some_and(|age| age < hour));

        let behind = Freshness::new(&Fixed(1));
        behind.applied(9);
        behind.resume(hour, 7);
        assert!(behind.age().is_some(), "the control: as much was applied before");
    }

    #[test]
    fn what_does_not_come_from_this_process_proves_nothing() {
        let (view, before) = (Freshness::new(&Fixed(1)), Freshness::new(&Fixed(2)));
        view.heard(proof(before.stamp()), 0);
        view.heard(proof(Stamp { process: view.process, micros: u64::MAX }), 0);
        view.heard(Proof { heard: view.stamp(), age_micros: u64::MAX }, 0);
        assert_eq!(view.age(), None);
    }

    #[test]
    fn a_leader_needs_a_majority_of_every_set_in_its_own_term() {
        let (three, two) = (BTreeSet::from([1, 2, 3]), BTreeSet::from([3, 4]));
        let view = Freshness::new(&Fixed(1));
        let at = |micros| Stamp { process: view.process, micros };
        let proven = || view.proven.load(Ordering::Acquire);
        view.accepted(1, 9, at(10), 1, std::slice::from_ref(&three));
        assert_eq!(proven(), 0, "a learner is nobody's majority");
        view.accepted(1, 2, at(20), 1, &[three.clone(), two.clone()]);
        assert_eq!(proven(), 0, "the second set has not agreed");
        view.accepted(1, 2, at(20), 1, std::slice::from_ref(&three));
        assert_eq!(proven(), 21);
        view.accepted(2, 9, at(30), 1, std::slice::from_ref(&three));
        assert_eq!(proven(), 21, "what was accepted in an earlier term does not count");
        view.accepted(2, 3, at(40), 1, std::slice::from_ref(&three));
        assert_eq!(proven(), 41);
        view.accepted(1, 2, at(90), 1, &[three]);
        assert_eq!(proven(), 41, "a late answer of an earlier term");
    }

    #[test]
    fn the_slower_half_of_a_majority_counts() {
        let sent = BTreeMap::from([(1, 100), (2, 50), (3, 10)]);
        assert_eq!(majority(&BTreeSet::from([1, 2, 3]), &sent), Some(50));
        assert_eq!(majority(&BTreeSet::from([1, 2, 3, 4]), &sent), Some(10));
        assert_eq!(majority(&BTreeSet::from([1, 4]), &sent), None);
        assert_eq!(majority(&BTreeSet::from([1]), &sent), Some(100));
    }
}
