//! Patient ids that a region claims ahead of need.

use residency_policy::{Entropy, PatientId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// 1 to 4,096 different patient ids, ascending.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IdBatch(Box<[PatientId]>);

/// The ids do not make a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a batch of ids: expected 1 to 4,096 different ids")]
pub struct NotABatch;

impl IdBatch {
    /// The most ids in one batch.
    pub const LEN_MAX: usize = 4_096;

    /// A batch of these ids, in any order.
    pub fn new(mut ids: Vec<PatientId>) -> Result<Self, NotABatch> {
        ids.sort_unstable();
        Self::ascending(ids)
    }

    /// A batch of new random ids.
    pub fn random(count: usize, entropy: &dyn Entropy) -> Result<Self, NotABatch> {
        if count > Self::LEN_MAX {
            return Err(NotABatch);
        }
        Self::new((0..count).map(|_| PatientId::random(entropy)).collect())
    }

    /// The ids, ascending.
    pub fn as_slice(&self) -> &[PatientId] {
        &self.0
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Always false: an empty batch cannot be made.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn ascending(ids: Vec<PatientId>) -> Result<Self, NotABatch> {
        let ascending = ids.windows(2).all(|pair| pair[0] < pair[1]);
        if ids.is_empty() || ids.len() > Self::LEN_MAX || !ascending {
            return Err(NotABatch);
        }
        Ok(Self(ids.into()))
    }
}

impl std::fmt::Debug for IdBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdBatch({})", self.len())
    }
}

impl<'de> Deserialize<'de> for IdBatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::ascending(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> PatientId {
        PatientId::from_bytes([n; 16])
    }

    #[test]
    fn a_batch_is_bounded_and_without_doubles() {
        assert_eq!(IdBatch::new(vec![]), Err(NotABatch));
        assert_eq!(IdBatch::new(vec![id(1), id(1)]), Err(NotABatch));
        let batch = IdBatch::new(vec![id(2), id(1)]).expect("a batch");
        assert_eq!(batch.as_slice(), [id(1), id(2)]);
        let bytes = postcard::to_allocvec(&batch).expect("encodes");
        assert_eq!(postcard::from_bytes::<IdBatch>(&bytes), Ok(batch));
        let doubled = postcard::to_allocvec(&[id(1), id(1)][..]).expect("encodes");
        assert!(postcard::from_bytes::<IdBatch>(&doubled).is_err());
    }
}
