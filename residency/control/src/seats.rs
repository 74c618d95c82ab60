//! Every node id that was ever a member, and the disk that came with it.
//!
//! A node id is used once. A member that comes back with an empty disk has forgotten its vote, and a vote that is given
//! twice can make two leaders of one term; so a wiped disk needs a new id, and here is what tells the two apart. Ids get
//! here with the membership itself, so that no change of it can be forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use residency_policy::{DiskId, NodeId};

use crate::command::Refusal;
use crate::machine::State;

impl State {
    /// Every node id that was ever a member, with its disk as soon as that is known.
    pub fn seats(&self) -> &BTreeMap<NodeId, Option<DiskId>> {
        &self.seats
    }
}

/// These are the members now.
pub(crate) fn seat(state: &mut State, members: impl Iterator<Item = NodeId>) {
    for node in members {
        if !state.seats.contains_key(&node) {
            Arc::make_mut(&mut state.seats).insert(node, None);
        }
    }
}

/// A member's disk is noted once and never changes.
pub(crate) fn enlist(state: &mut State, node: NodeId, disk: DiskId) -> Result<(), Refusal> {
    match state.seats.get(&node) {
        Some(Some(known)) if *known == disk => Ok(()),
        Some(Some(_)) => Err(Refusal::OtherDisk),
        Some(None) | None => {
            Arc::make_mut(&mut state.seats).insert(node, Some(disk));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_used_and_its_disk_stays_the_first_one() {
        let (first, second) = (DiskId::from_bytes([1; 16]), DiskId::from_bytes([2; 16]));
        let mut state = State::default();
        seat(&mut state, [NodeId(1), NodeId(2)].into_iter());
        assert_eq!(state.seats()[&NodeId(1)], None);
        assert_eq!(enlist(&mut state, NodeId(1), first), Ok(()));
        assert_eq!(enlist(&mut state, NodeId(1), first), Ok(()), "said twice is said once");
        assert_eq!(enlist(&mut state, NodeId(1), second), Err(Refusal::OtherDisk));
        // Node 1 leaves and node 3 comes.
        seat(&mut state, [NodeId(2), NodeId(3)].into_iter());
        assert_eq!(state.seats()[&NodeId(1)], Some(first));
        assert_eq!(state.seats().len(), 3);
        assert_eq!(crate::snapshot::restore(&crate::snapshot::encode(&state).expect("encodes")), Ok(state));
    }
}
