//! How a key rests in the file. What cannot be read is an error and never an absent key: a key that is taken for
//! absent would be made anew, and what is sealed under the old one could not be opened.

use redb::ReadableTable;
use residency_policy::{Category, PatientId};
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::{DataKeyId, KeyOwner, KeyRecord, Wrapped};

#[derive(Serialize, Deserialize)]
struct Stored {
    patient: Option<PatientId>,
    category: Option<Category>,
    kind: u8,
    version: u32,
    wrapped: Vec<u8>,
}

const KIND_PATIENT: u8 = 1;
const KIND_REGION: u8 = 2;
const KIND_INDEX: u8 = 3;

/// Kind, patient, category, version: sorts by owner, then by version.
pub(super) fn place(owner: KeyOwner, version: u32) -> [u8; 22] {
    let mut at = [0; 22];
    match owner {
        KeyOwner::Patient(patient, category) => {
            at[0] = KIND_PATIENT;
            at[1..17].copy_from_slice(&patient.to_bytes());
            at[17] = category_byte(category);
        }
        KeyOwner::Region => at[0] = KIND_REGION,
        KeyOwner::BlindIndex => at[0] = KIND_INDEX,
    }
    at[18..].copy_from_slice(&version.to_be_bytes());
    at
}

/// The first and the last place that a key of the patient can have.
pub(super) fn places_of(patient: PatientId) -> ([u8; 22], [u8; 22]) {
    let (mut first, mut last) = ([0; 22], [0xff; 22]);
    for bound in [&mut first, &mut last] {
        bound[0] = KIND_PATIENT;
        bound[1..17].copy_from_slice(&patient.to_bytes());
    }
    (first, last)
}

fn category_byte(category: Category) -> u8 {
    match category {
        Category::General => 1,
        Category::PsychotherapyNotes => 2,
        Category::SubstanceUse => 3,
        Category::Reproductive => 4,
        Category::MinorSensitive => 5,
    }
}

pub(super) fn encode(record: &KeyRecord) -> Vec<u8> {
    let stored = Stored {
        patient: record.owner.patient(),
        category: record.owner.category(),
        kind: place(record.owner, 0)[0],
        version: record.version,
        wrapped: record.wrapped.0.clone(),
    };
    // postcard into a growing vector has no way to fail.
    postcard::to_allocvec(&stored).unwrap_or_else(|_| unreachable!("a key record is plain data"))
}

pub(super) fn decode(id: DataKeyId, bytes: &[u8]) -> Result<KeyRecord, Fault> {
    let unreadable = || Fault::Damaged(format!("its record of data key {id} cannot be read: restore it"));
    let stored: Stored = postcard::from_bytes(bytes).map_err(|_| unreadable())?;
    let owner = match (stored.kind, stored.patient, stored.category) {
        (KIND_PATIENT, Some(patient), Some(category)) => KeyOwner::Patient(patient, category),
        (KIND_REGION, None, None) => KeyOwner::Region,
        (KIND_INDEX, None, None) => KeyOwner::BlindIndex,
        _ => return Err(unreadable()),
    };
    Ok(KeyRecord { id, owner, version: stored.version, wrapped: Wrapped(stored.wrapped) })
}

/// The record of this name, if there is one.
pub(super) fn record(
    keys: &impl ReadableTable<[u8; 16], &'static [u8]>,
    id: [u8; 16],
) -> Result<Option<KeyRecord>, Fault> {
    keys.get(id)?.map(|stored| decode(DataKeyId(id), stored.value())).transpose()
}

/// The record that an owner's entry leads to.
pub(super) fn owned(
    keys: &impl ReadableTable<[u8; 16], &'static [u8]>,
    id: [u8; 16],
) -> Result<KeyRecord, Fault> {
    record(keys, id)?.ok_or_else(|| {
        Fault::Damaged(format!("an owner's data key {} is not in it: restore it", DataKeyId(id)))
    })
}
