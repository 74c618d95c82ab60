//! The keys that seal what signing in keeps and must open again: AES-256-GCM (NIST SP 800-38D).

use std::fmt;

use residency_policy::Entropy;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};

/// The sealing keys. Every node is given the same ones; the control plane has none, so that nothing that is replicated
/// makes a code or signs in to another server.
pub struct SealingKeys(Vec<(u32, LessSafeKey)>);

/// What opens a sealed value again, beside the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal {
    /// The number of the key.
    pub(crate) sealed_under: u32,
    /// The nonce.
    pub(crate) nonce: [u8; NONCE_LEN],
    /// The tag.
    pub(crate) tag: [u8; 16],
}

impl SealingKeys {
    /// These keys, by number. The first seals; all of them open, so that a new one can come before the old one goes.
    pub fn new(keys: &[(u32, [u8; 32])]) -> Self {
        let key = |bytes| UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new);
        Self(keys.iter().filter_map(|(number, bytes)| Some((*number, key(bytes)?))).collect())
    }

    /// Seals in place, bound to what it is and whose. None where no key was given.
    pub(crate) fn seal(&self, bound_to: &[u8], value: &mut [u8], entropy: &dyn Entropy) -> Option<Seal> {
        let (sealed_under, key) = self.0.first()?;
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let (once, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(bound_to));
        let tag = key.seal_in_place_separate_tag(once, aad, value).ok()?;
        Some(Seal { sealed_under: *sealed_under, nonce, tag: tag.as_ref().try_into().ok()? })
    }

    /// Opens in place. None if anything is another than when it was sealed.
    pub(crate) fn open(&self, bound_to: &[u8], seal: &Seal, value: &mut [u8]) -> Option<()> {
        let (_, key) = self.0.iter().find(|(number, _)| *number == seal.sealed_under)?;
        let (once, aad) = (Nonce::assume_unique_for_key(seal.nonce), Aad::from(bound_to));
        key.open_in_place_separate_tag(once, aad, Tag::from(seal.tag), value, 0..).ok().map(|_| ())
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(number, _)| number)).finish()
    }
}
