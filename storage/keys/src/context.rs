//! What a data key is for, as the KMS sees it.

use residency_policy::{Category, Label, PatientId, Region};

use crate::KeyOwner;

/// What a data key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// Seals one patient's cells of one category.
    PatientData,
    /// Seals the region's few cells that belong to no patient.
    RegionData,
    /// Keys the region's blind indexes, cursors and fingerprints.
    BlindIndex,
}

impl KeyUse {
    /// The word in encryption contexts and keyrings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PatientData => "patient-data",
            Self::RegionData => "region-data",
            Self::BlindIndex => "blind-index",
        }
    }
}

/// The encryption context of one data key. It is authenticated, not secret: AWS writes it to CloudTrail. The
/// patient's id in it is random and derived from nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyContext {
    /// The deployment.
    pub cluster: Label,
    /// The region that the key belongs to.
    pub region: Region,
    /// The patient, or `None` for a key of the region.
    pub patient: Option<PatientId>,
    /// The category, or `None` for a key of the region.
    pub category: Option<Category>,
    /// What the key does.
    pub use_: KeyUse,
}

impl KeyContext {
    /// The context of one owner's keys.
    pub fn of(cluster: Label, region: Region, owner: KeyOwner) -> Self {
        Self { cluster, region, patient: owner.patient(), category: owner.category(), use_: owner.use_() }
    }

    /// The context as names and values, always all five, always in this order.
    pub fn as_pairs(&self) -> [(&'static str, String); 5] {
        let none = || String::from("none");
        [
            ("cluster", self.cluster.to_string()),
            ("region", self.region.to_string()),
            ("patient", self.patient.map_or_else(none, |p| p.to_string())),
            ("category", self.category.map_or_else(none, |c| c.to_string())),
            ("use", self.use_.name().to_owned()),
        ]
    }

    /// The context as bytes with one reading only: every name and value is preceded by its length.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"domicile/key-context/1".to_vec();
        for (name, value) in self.as_pairs() {
            for part in [name.as_bytes(), value.as_bytes()] {
                // Names and values are ids, codes and labels: far below 4 GiB.
                bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
                bytes.extend_from_slice(part);
            }
        }
        bytes
    }
}
