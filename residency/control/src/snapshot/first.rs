//! Images of the first release: one head, and a directory of whole ids.

use std::io::Read;
use std::sync::Arc;

use serde::Deserialize;

use super::{CHANGED_LEN, SnapshotError, array, changed_of};
use crate::command::{KeyVerifier, Organisation, PolicyVersion, RegionEntry};
use crate::machine::State;

#[derive(Deserialize)]
struct Head {
    regions: Vec<RegionEntry>,
    organisations: Vec<Organisation>,
    keys: Vec<KeyVerifier>,
    policy: Option<PolicyVersion>,
}

/// Reads what stands between the version and the digest.
pub(super) fn read(body: &mut impl Read) -> Result<State, SnapshotError> {
    let length = u64::from(u32::from_le_bytes(array(body)?));
    let mut head = Vec::new();
    body.by_ref().take(length).read_to_end(&mut head)?;
    let head: Head = postcard::from_bytes(&head).map_err(|_| SnapshotError::Damaged)?;
    let mut state = State {
        regions: Arc::new(head.regions.into_iter().map(|region| (region.region, region)).collect()),
        organisations: Arc::new(head.organisations.into_iter().map(|org| (org.id, org)).collect()),
        policy: head.policy,
        ..State::default()
    };
    head.keys.into_iter().for_each(|key| state.insert_key(key));
    for _ in 0..u64::from_le_bytes(array(body)?) {
        let line: [u8; CHANGED_LEN] = array(body)?;
        let placement = changed_of(&line)?;
        // Two lines for one id would be two homes.
        if state.directory.contains(placement.patient) {
            return Err(SnapshotError::Damaged);
        }
        state.directory.set(placement);
    }
    if body.read(&mut [0])? == 0 { Ok(state) } else { Err(SnapshotError::Damaged) }
}
