//! What goes wrong in a history, and when: drawn from its seed.

use std::fmt;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whoever leads is killed.
    KillLeader,
    /// Anybody is killed.
    Kill,
    /// Whoever leads stands still and goes on later, not knowing.
    PauseLeader,
    /// Anybody stands still.
    Pause,
    /// A minority is alone, with whoever leads among it.
    LeaderAlone,
    /// A minority is alone.
    MinorityAlone,
    /// There is no majority anywhere.
    NoMajority,
    /// Nothing gets from one to another, though everything gets back.
    OneWay,
    /// Each hears its two neighbours only.
    Ring,
    /// Everybody is killed and started again.
    RestartAll,
    /// One is away for so long that it needs a snapshot.
    FarBehind,
    /// One more joins and votes, and then one of the others leaves.
    Join,
    /// A clock is an hour ahead, or behind.
    ClockStep,
}

impl Kind {
    /// Every kind.
    pub(super) const ALL: [Self; 13] = [
        Self::KillLeader,
        Self::Kill,
        Self::PauseLeader,
        Self::Pause,
        Self::LeaderAlone,
        Self::MinorityAlone,
        Self::NoMajority,
        Self::OneWay,
        Self::Ring,
        Self::RestartAll,
        Self::FarBehind,
        Self::Join,
        Self::ClockStep,
    ];
}

/// One fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// What.
    pub(super) kind: Kind,
    /// How long after the one before it has ended.
    pub(super) after: Duration,
    /// How long.
    pub(super) length: Duration,
    /// Whom, and whatever else has to be chosen.
    pub(super) dice: u64,
}

/// The faults of one history, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// How many members there are at the beginning.
    pub(super) members: u64,
    pub(super) faults: Vec<Fault>,
}

impl Plan {
    /// The plan of a seed. The first kind goes round, so that no kind is missed by chance.
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let all = Kind::ALL;
        let first = all[usize::try_from(seed % all.len() as u64).expect("small")];
        let mut kinds = vec![first];
        for _ in 0..rng.random_range(1..=2) {
            let next = all[rng.random_range(0..all.len())];
            // A node id is used once, so one can join once.
            if next != Kind::Join || !kinds.contains(&Kind::Join) {
                kinds.push(next);
            }
        }
        // A ring of three has two neighbours each: it takes five to be one.
        let members = if kinds.contains(&Kind::Ring) || rng.random_bool(0.15) { 5 } else { 3 };
        let fault = |kind| Fault {
            kind,
            after: Duration::from_millis(rng.random_range(100..400)),
            length: Duration::from_millis(rng.random_range(500..2_000)),
            dice: rng.random(),
        };
        Self { members, faults: kinds.into_iter().map(fault).collect() }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} members", self.members)?;
        for fault in &self.faults {
            write!(f, ", {:?} for {} ms", fault.kind, fault.length.as_millis())?;
        }
        Ok(())
    }
}

#[test]
fn a_seed_has_one_plan_and_every_kind_is_first_somewhere() {
    assert_eq!(Plan::of(7).to_string(), Plan::of(7).to_string());
    let firsts: Vec<Kind> = (0..13).map(|seed| Plan::of(seed).faults[0].kind).collect();
    assert_eq!(firsts, Kind::ALL);
    assert!((0..200).all(|seed| Plan::of(seed).faults.iter().filter(|f| f.kind == Kind::Join).count() <= 1));
}
