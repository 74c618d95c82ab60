//! The port to where wrapped data keys are kept.

use futures::future::BoxFuture;
use residency_policy::{Category, PatientId};

use crate::{DataKeyId, KeyUse, Wrapped};

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyOwner {
    /// One patient's cells of one category.
    Patient(PatientId, Category),
    /// The region's cells that belong to no patient.
    Region,
    /// The region's blind indexes.
    BlindIndex,
}

impl KeyOwner {
    /// The patient, if it is one's.
    pub fn patient(self) -> Option<PatientId> {
        match self {
            Self::Patient(patient, _) => Some(patient),
            Self::Region | Self::BlindIndex => None,
        }
    }

    /// The category, if there is one.
    pub fn category(self) -> Option<Category> {
        match self {
            Self::Patient(_, category) => Some(category),
            Self::Region | Self::BlindIndex => None,
        }
    }

    /// What the owner's keys do.
    pub fn use_(self) -> KeyUse {
        match self {
            Self::Patient(..) => KeyUse::PatientData,
            Self::Region => KeyUse::RegionData,
            Self::BlindIndex => KeyUse::BlindIndex,
        }
    }
}

/// One wrapped data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its name, as in the header of what it sealed.
    pub id: DataKeyId,
    /// Whose it is.
    pub owner: KeyOwner,
    /// First, second, ... of its owner. New cells are sealed under the highest.
    pub version: u32,
    /// The key, wrapped.
    pub wrapped: Wrapped,
}

/// Keeps wrapped data keys. What it has acknowledged survives a power cut.
pub trait Keyring: Send + Sync + 'static {
    /// The newest key of an owner.
    fn newest(&self, owner: KeyOwner) -> BoxFuture<'_, Result<Option<KeyRecord>, KeyringError>>;

    /// The key of this name.
    fn by_id(&self, id: DataKeyId) -> BoxFuture<'_, Result<Option<KeyRecord>, KeyringError>>;

    /// Keeps a new key, unless its owner has a key of that version already. Returns the one that is kept, which is
    /// then durable.
    fn insert(&self, record: KeyRecord) -> BoxFuture<'_, Result<KeyRecord, KeyringError>>;

    /// Destroys all keys of a patient and returns their names. What was sealed under them is gone for good.
    fn destroy(&self, patient: PatientId) -> BoxFuture<'_, Result<Vec<DataKeyId>, KeyringError>>;

    /// Up to `limit` keys whose names come after `after`, in the order of names.
    fn after(
        &self,
        after: Option<DataKeyId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<KeyRecord>, KeyringError>>;

    /// Replaces how a key is wrapped, if it is still wrapped as `from`.
    fn replace(&self, id: DataKeyId, from: Wrapped, to: Wrapped) -> BoxFuture<'_, Result<bool, KeyringError>>;

    /// Whether a new key could be kept now: writes something small, durably.
    fn check(&self) -> BoxFuture<'_, Result<(), KeyringError>>;

    /// The identity of the Postgres server that the keyring lives in, if it lives in one.
    fn server_identity(&self) -> Option<i64> {
        None
    }

    /// Where the keyring is, in words for an operator.
    fn describe(&self) -> String;
}

/// Why the keyring did not do it. Holds no key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// It could not be asked, or could not make its answer durable.
    #[error("the keyring {keyring} is unavailable: {why}")]
    Unavailable {
        /// Which keyring.
        keyring: String,
        /// What happened.
        why: String,
    },
    /// It is not as it must be.
    #[error("the keyring {keyring} cannot be used: {why}")]
    Unusable {
        /// Which keyring.
        keyring: String,
        /// What is wrong, and how to mend it.
        why: String,
    },
}
