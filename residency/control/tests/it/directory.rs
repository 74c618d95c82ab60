//! The directory does what a map does, whatever is cloned meanwhile and whoever chooses the ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_control::{AlreadyKnown, Command, Directory, IdBatch, Key, Outcome, Refusal};
use residency_policy::{Epoch, Home, PatientId, Placement, PlacementState};

use crate::support::{add_region, home, patient, region};

/// What the check below drives.
trait Book: Clone {
    fn claim(&mut self, ids: &[PatientId], home: Home) -> bool;
    fn set(&mut self, placement: Placement);
    fn settle(&mut self);
    fn directory(&self) -> &Directory;
}

impl Book for Directory {
    fn claim(&mut self, ids: &[PatientId], home: Home) -> bool {
        Directory::claim(self, ids, home).is_ok()
    }

    fn set(&mut self, placement: Placement) {
        Directory::set(self, placement);
    }

    fn settle(&mut self) {
        Directory::settle(self);
    }

    fn directory(&self) -> &Directory {
        self
    }
}

/// The control: it loses what is set while a clone is alive.
#[derive(Clone, Default)]
struct Forgetful {
    real: Directory,
    clones: Arc<()>,
}

impl Book for Forgetful {
    fn claim(&mut self, ids: &[PatientId], home: Home) -> bool {
        if Arc::strong_count(&self.clones) > 1 {
            return !ids.iter().any(|id| self.real.contains(*id));
        }
        Book::claim(&mut self.real, ids, home)
    }

    fn set(&mut self, placement: Placement) {
        self.real.set(placement);
    }

    fn settle(&mut self) {
        self.real.settle();
    }

    fn directory(&self) -> &Directory {
        &self.real
    }
}

#[derive(Debug, Clone)]
enum Act {
    Claim(Vec<u64>, bool),
    Retire(u64),
    Move(u64, u32),
    Restore(u64),
    Clone,
    Forget(usize),
    Settle,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let id = 0..400_u64;
    let act = prop_oneof![
        6 => (prop::collection::btree_set(id.clone(), 1..40), any::<bool>())
            .prop_map(|(ids, texas)| Act::Claim(ids.into_iter().collect(), texas)),
        2 => id.clone().prop_map(Act::Retire),
        2 => (id.clone(), 1..5_u32).prop_map(|(id, epoch)| Act::Move(id, epoch)),
        1 => id.prop_map(Act::Restore),
        2 => Just(Act::Clone),
        2 => any::<usize>().prop_map(Act::Forget),
        1 => Just(Act::Settle),
    ];
    prop::collection::vec(act, 0..120)
}

type Model = BTreeMap<PatientId, Placement>;

fn same(book: &Directory, model: &Model) -> bool {
    let changed = |p: &&Placement| p.epoch > Epoch::FIRST || p.state != PlacementState::Active;
    let mut claimed: Vec<(Key, Home)> =
        model.values().filter(|p| !changed(p)).map(|p| (Key::of(p.patient), p.home)).collect();
    claimed.sort_unstable_by_key(|(key, _)| *key);
    book.len() == model.len()
        && (0..400).map(patient).all(|id| book.get(id) == model.get(&id).copied())
        && (0..400).map(patient).all(|id| book.contains(id) == model.contains_key(&id))
        && book.as_claimed().eq(claimed)
        && book.changed().eq(model.values().filter(changed).copied())
}

fn as_claimed(patient: PatientId, home: Home) -> Placement {
    Placement { patient, home, epoch: Epoch::FIRST, state: PlacementState::Active }
}

/// What an act sets, if it sets one placement.
fn set_by(act: &Act, model: &Model) -> Option<Placement> {
    match act {
        Act::Retire(n) => {
            let there = *model.get(&patient(*n))?;
            Some(Placement { epoch: Epoch(there.epoch.0 + 1), state: PlacementState::Retired, ..there })
        }
        Act::Move(n, epoch) => {
            Some(Placement { epoch: Epoch(*epoch), ..as_claimed(patient(*n), home("US-NY")) })
        }
        Act::Restore(n) => Some(as_claimed(patient(*n), home("US-TX"))),
        Act::Claim(..) | Act::Clone | Act::Forget(_) | Act::Settle => None,
    }
}

/// Does it to both, and tells whether both did the same.
fn act(book: &mut impl Book, model: &mut Model, act: &Act) -> bool {
    if let Some(placement) = set_by(act, model) {
        book.set(placement);
        model.insert(placement.patient, placement);
    }
    match act {
        Act::Claim(ids, texas) => {
            let ids: Vec<PatientId> = ids.iter().copied().map(patient).collect();
            let home = home(if *texas { "US-TX" } else { "US-CA" });
            let fits = !ids.iter().any(|id| model.contains_key(id));
            if fits {
                model.extend(ids.iter().map(|id| (*id, as_claimed(*id, home))));
            }
            book.claim(&ids, home) == fits
        }
        Act::Settle => {
            book.settle();
            true
        }
        Act::Retire(_) | Act::Move(..) | Act::Restore(_) | Act::Clone | Act::Forget(_) => true,
    }
}

/// Whether a directory does what a map does, and every clone stays what it was.
fn is_a_map<B: Book + Default>(acts: &[Act]) -> bool {
    let (mut book, mut model) = (B::default(), Model::new());
    let mut clones: Vec<(B, Model)> = Vec::new();
    for one in acts {
        if !act(&mut book, &mut model, one) {
            return false;
        }
        match one {
            Act::Clone => clones.push((book.clone(), model.clone())),
            Act::Forget(which) if !clones.is_empty() => {
                let (clone, model) = clones.swap_remove(which % clones.len());
                if !same(clone.directory(), &model) {
                    return false;
                }
            }
            _ => {}
        }
    }
    clones.push((book, model));
    clones.iter().all(|(book, model)| same(book.directory(), model))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_directory_does_what_a_map_does_and_clones_stay_what_they_were(acts in acts()) {
        prop_assert!(is_a_map::<Directory>(&acts));
    }
}

#[test]
fn a_directory_that_forgets_what_comes_late_is_caught() {
    let acts = [Act::Claim(vec![1], true), Act::Clone, Act::Claim(vec![2], true)];
    assert!(is_a_map::<Directory>(&acts), "the control's control");
    assert!(!is_a_map::<Forgetful>(&acts));
}

/// The inverse of what spreads ids: the id whose key begins with these 68 bits.
fn id_with_key(key: u128, rest: u128) -> PatientId {
    const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let mut inverse: u128 = SPREAD;
    for _ in 0..7 {
        inverse = inverse.wrapping_mul(2_u128.wrapping_sub(SPREAD.wrapping_mul(inverse)));
    }
    assert_eq!(SPREAD.wrapping_mul(inverse), 1);
    PatientId::from_bytes((key << 60 | rest).wrapping_mul(inverse).to_be_bytes())
}

#[test]
fn ids_whose_keys_meet_are_never_both_known() {
    let (one, other) = (id_with_key(7, 1), id_with_key(7, 2));
    assert_eq!(Key::of(one), Key::of(other), "they were chosen so");
    let mut book = Directory::default();
    assert_eq!(book.claim(&[one, other], home("US-TX")), Err(AlreadyKnown));
    assert!(book.is_empty() && !book.contains(one), "and none of them is");
    assert_eq!(book.claim(&[one], home("US-TX")), Ok(()), "the control");
    assert_eq!(book.claim(&[id_with_key(8, 0), other], home("US-CA")), Err(AlreadyKnown));
    assert_eq!((book.len(), book.contains(id_with_key(8, 0))), (1, false));

    // What was never claimed is as its key says, until the key says that the id itself must be looked at.
    assert_eq!(book.get(other).map(|p| (p.patient, p.home)), Some((other, home("US-TX"))));
    let retired =
        Placement { epoch: Epoch(2), state: PlacementState::Retired, ..book.get(one).expect("is known") };
    let (shared, turns) = (book.clone(), book.turns());
    book.set(retired);
    assert!(book.turns() > turns, "whoever follows what changes is told");
    assert_eq!((book.get(one), book.get(other)), (Some(retired), None));
    drop(shared);
    book.settle();
    assert_eq!((book.get(one), book.get(other)), (Some(retired), None), "the same when it has settled");
}

/// What happens if the proposer has not proved the id at its home, as it must: the known id is lost, to nobody else's
/// gain. See `Command::Retire`.
#[test]
fn retiring_an_id_that_was_never_claimed_sends_nobody_elsewhere() {
    let (known, never) = (id_with_key(7, 1), id_with_key(7, 2));
    let mut state = State::default();
    let mut run = |command| apply(&mut state, command);
    assert_eq!(run(add_region("US-TX")), Outcome::Done);
    assert_eq!(run(add_region("US-CA")), Outcome::Done);
    let ids = |id| IdBatch::new(vec![id]).expect("a batch");
    assert_eq!(run(Command::ClaimIds { region: region("US-TX"), ids: ids(known) }), Outcome::Done);
    assert_eq!(run(Command::Retire { patient: never, expected: Epoch::FIRST }), Outcome::Done);
    let again = Command::Retire { patient: known, expected: Epoch::FIRST };
    assert_eq!(run(again), Outcome::Refused(Refusal::UnknownPatient));
    for id in [known, never] {
        let elsewhere = Command::ClaimIds { region: region("US-CA"), ids: ids(id) };
        assert_eq!(run(elsewhere), Outcome::Refused(Refusal::AlreadyKnown));
    }
    assert_eq!(state.placement(known), None, "it is refused, and not sent to another home");
    let retired = state.placement(never).expect("it is known now");
    assert_eq!((retired.home, retired.state), (home("US-TX"), PlacementState::Retired));
    let restored = restore(&encode(&state).expect("encodes")).expect("restores");
    assert_eq!(restored, state, "and it is the same for a member that comes later");
}

/// Somebody who chooses ids can have them all meet in one shard, and in one line of it. That makes nothing wrong.
#[test]
fn chosen_ids_are_kept_apart_where_there_is_no_room() {
    let mut book = Directory::default();
    // 20,000 keys of one shard that differ in their lowest bits only.
    let chosen: Vec<PatientId> = (0..20_000).map(|n| id_with_key(0xabc << 56 | n, 3)).collect();
    for some in chosen.chunks(4_000) {
        assert_eq!(book.claim(some, home("US-CA")), Ok(()));
    }
    assert_eq!(book.claim(&chosen[19_000..19_001], home("US-TX")), Err(AlreadyKnown));
    assert_eq!(book.len(), 20_000);
    assert!(chosen.iter().all(|id| book.get(*id).is_some_and(|p| p.home == home("US-CA"))));
    let keys: Vec<Key> = book.as_claimed().map(|(key, _)| key).collect();
    assert!(keys.len() == 20_000 && keys.is_sorted());
    // The others are where they always were.
    let drawn: Vec<PatientId> = (0..4_000).map(patient).collect();
    assert_eq!(book.claim(&drawn, home("US-TX")), Ok(()));
    assert!(drawn.iter().all(|id| book.get(*id).is_some_and(|p| p.home == home("US-TX"))));
    assert!((20_000..21_000).all(|n| !book.contains(id_with_key(0xabc << 56 | n, 3))));
}
