//! Keys: what opens, what does not, and what is left after a destruction.

mod embedded;
mod envelope;
mod local;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use residency_policy::{Category, Entropy, Jurisdiction, Label, PatientId, Region};
use storage_keys::{KeyContext, KeyUse};

/// A generator that never repeats itself. Not for keys: for tests.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, dest: &mut [u8]) {
        for chunk in dest.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

pub(crate) fn entropy() -> Arc<dyn Entropy> {
    static SHARED: std::sync::LazyLock<Arc<Counting>> = std::sync::LazyLock::new(Arc::default);
    Arc::clone(&*SHARED) as Arc<dyn Entropy>
}

pub(crate) fn cluster() -> Label {
    "test".parse().expect("a label")
}

pub(crate) fn region(postal: &str) -> Region {
    Region(Jurisdiction::from_postal(postal).expect("a jurisdiction"))
}

pub(crate) fn patient(n: u8) -> PatientId {
    PatientId::from_bytes([n; 16])
}

pub(crate) fn context(n: u8) -> KeyContext {
    KeyContext {
        cluster: cluster(),
        region: region("TX"),
        patient: Some(patient(n)),
        category: Some(Category::General),
        use_: KeyUse::PatientData,
    }
}
