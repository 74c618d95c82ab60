//! The state as bytes: versioned, checked, and the same bytes for the same state.
//!
//! An image is `"DOMSTATE"`, a version, the length of a head, the head (everything but the directory, in postcard),
//! the number of placements, the placements (22 bytes each, ascending by id) and SHA-256 of all that. A version that
//! this program does not know is refused: guessing at a newer member's state would be worse than stopping.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use residency_policy::{Epoch, Home, Jurisdiction, PatientId, Placement, PlacementState, Region};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::command::{KeyVerifier, Organisation, PolicyVersion, RegionEntry};
use crate::directory::Directory;
use crate::machine::State;

/// The version that [`encode`] writes.
pub const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"DOMSTATE";
const DIGEST_LEN: usize = 32;
const PLACEMENT_LEN: usize = 22;

/// Why bytes are not a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// They do not begin as a snapshot does.
    #[error("not a snapshot of the control plane")]
    NotASnapshot,
    /// Another version of this program wrote them.
    #[error("a snapshot of version {0}, which this program does not know (it knows {VERSION})")]
    UnknownVersion(u16),
    /// They are not the bytes that were written.
    #[error("the snapshot is damaged")]
    Damaged,
}

#[derive(Serialize, Deserialize)]
struct Head {
    regions: Vec<RegionEntry>,
    organisations: Vec<Organisation>,
    keys: Vec<KeyVerifier>,
    policy: Option<PolicyVersion>,
}

/// The state as bytes.
pub fn encode(state: &State) -> Result<Bytes, SnapshotError> {
    let head = Head {
        regions: state.regions.values().cloned().collect(),
        organisations: state.organisations.values().cloned().collect(),
        keys: state.keys.values().cloned().collect(),
        policy: state.policy.clone(),
    };
    let head = postcard::to_allocvec(&head).map_err(|_| SnapshotError::Damaged)?;
    let length = u32::try_from(head.len()).map_err(|_| SnapshotError::Damaged)?;
    let placements = &state.directory;
    let mut out = BytesMut::with_capacity(64 + head.len() + placements.len() * PLACEMENT_LEN + DIGEST_LEN);
    out.put_slice(MAGIC);
    out.put_u16_le(VERSION);
    out.put_u32_le(length);
    out.put_slice(&head);
    out.put_u64_le(placements.len() as u64);
    for Placement { patient, home, epoch, state } in placements.ascending() {
        out.put_slice(&patient.to_bytes());
        out.put_u8(home.0.0.index());
        out.put_u32_le(epoch.0);
        out.put_u8(match state {
            PlacementState::Active => 0,
            PlacementState::Retired => 1,
        });
    }
    out.put_slice(digest(&SHA256, &out).as_ref());
    Ok(out.freeze())
}

/// The state that these bytes are.
pub fn restore(image: &[u8]) -> Result<State, SnapshotError> {
    let mut rest = image.strip_prefix(MAGIC.as_slice()).ok_or(SnapshotError::NotASnapshot)?;
    // The version comes before the digest: a later version may place or compute its digest otherwise.
    let version = rest.try_get_u16_le().map_err(|_| SnapshotError::Damaged)?;
    if version != VERSION {
        return Err(SnapshotError::UnknownVersion(version));
    }
    let (body, written) =
        image.split_at_checked(image.len() - DIGEST_LEN.min(image.len())).ok_or(SnapshotError::Damaged)?;
    if digest(&SHA256, body).as_ref() != written {
        return Err(SnapshotError::Damaged);
    }
    read_body(&body[MAGIC.len() + 2..]).ok_or(SnapshotError::Damaged)
}

fn read_body(mut rest: &[u8]) -> Option<State> {
    let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    let (head, mut rest) = rest.split_at_checked(length)?;
    let head: Head = postcard::from_bytes(head).ok()?;
    let count = usize::try_from(rest.try_get_u64_le().ok()?).ok()?;
    if Some(rest.len()) != count.checked_mul(PLACEMENT_LEN) {
        return None;
    }
    let mut directory = Directory::default();
    for line in rest.chunks_exact(PLACEMENT_LEN) {
        directory.set(read_placement(line)?);
    }
    // Two lines for one id would be two homes.
    (directory.len() == count).then(|| State {
        regions: std::sync::Arc::new(head.regions.into_iter().map(|r| (r.region, r)).collect()),
        organisations: std::sync::Arc::new(head.organisations.into_iter().map(|o| (o.id, o)).collect()),
        keys: std::sync::Arc::new(head.keys.into_iter().map(|k| (k.key, k)).collect()),
        policy: head.policy,
        directory,
    })
}

fn read_placement(mut line: &[u8]) -> Option<Placement> {
    let mut id = [0; 16];
    line.try_copy_to_slice(&mut id).ok()?;
    let home = Jurisdiction::from_index(line.try_get_u8().ok()?).ok()?;
    let epoch = Epoch(line.try_get_u32_le().ok()?);
    let state = match line.try_get_u8().ok()? {
        0 => PlacementState::Active,
        1 => PlacementState::Retired,
        _ => return None,
    };
    Some(Placement { patient: PatientId::from_bytes(id), home: Home(Region(home)), epoch, state })
}
