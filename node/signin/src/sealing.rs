//! The keys that seal what signing in keeps and must open again: AES-256-GCM (NIST SP 800-38D).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use residency_policy::Entropy;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

/// The sealing keys. Every node is given the same ones; the control plane has none, so that nothing that is replicated
/// makes a code or signs in to another server.
pub struct SealingKeys {
    kept: KeyRing,
    flows: KeyRing,
    ceremonies: KeyRing,
}

/// Keys of one use, by number. The first seals; all of them open.
pub(crate) struct KeyRing(Vec<(u32, LessSafeKey)>);

/// What the keys of flows are derived for (RFC 5869, `info`). Whoever sends many cookies learns nothing of the keys that keep
/// authenticators, and random nonces run out for neither because of the other.
const FLOWS: &[u8] = b"domicile: signin: flow cookies v1";
/// What the keys of passkeys' ceremonies are derived for.
const CEREMONIES: &[u8] = b"domicile: signin: passkey ceremonies v1";

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
        let key = |bytes: &[u8; 32]| UnboundKey::new(&AES_256_GCM, bytes).ok();
        Self {
            kept: KeyRing::of(keys, key),
            flows: KeyRing::of(keys, |bytes| derived(bytes, FLOWS)),
            ceremonies: KeyRing::of(keys, |bytes| derived(bytes, CEREMONIES)),
        }
    }

    /// What seals the cookies of those who are on their way to an identity provider.
    pub(crate) fn flows(&self) -> &KeyRing {
        &self.flows
    }

    /// What seals what those keep who are asked for a passkey.
    pub(crate) fn ceremonies(&self) -> &KeyRing {
        &self.ceremonies
    }

    /// Seals in place what is kept, bound to what it is and whose. None where no key was given.
    pub(crate) fn seal(&self, bound_to: &[u8], value: &mut [u8], entropy: &dyn Entropy) -> Option<Seal> {
        self.kept.seal(bound_to, value, entropy)
    }

    /// Opens in place. None if anything is another than when it was sealed.
    pub(crate) fn open(&self, bound_to: &[u8], seal: &Seal, value: &mut [u8]) -> Option<()> {
        self.kept.open(bound_to, seal, value)
    }
}

/// A key of its own for one use (HKDF with SHA-256, RFC 5869).
fn derived(bytes: &[u8; 32], info: &[u8]) -> Option<UnboundKey> {
    let key = Salt::new(HKDF_SHA256, &[]).extract(bytes);
    key.expand(&[info], &AES_256_GCM).ok().map(UnboundKey::from)
}

impl KeyRing {
    fn of(keys: &[(u32, [u8; 32])], key: impl Fn(&[u8; 32]) -> Option<UnboundKey>) -> Self {
        let key = |bytes| key(bytes).map(LessSafeKey::new);
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

/// What a caller keeps for us, as text.
impl KeyRing {
    /// The number of the key, the nonce, the tag and the sealed value, in base64url. None where no key was given.
    pub(crate) fn seal_text(
        &self,
        bound_to: &[u8],
        mut value: Vec<u8>,
        entropy: &dyn Entropy,
    ) -> Option<String> {
        let Seal { sealed_under, nonce, tag } = self.seal(bound_to, &mut value, entropy)?;
        Some(BASE64URL_NOPAD.encode(&[&sealed_under.to_be_bytes()[..], &nonce, &tag, &value].concat()))
    }

    /// The value again, if the text is whole and no longer than that.
    pub(crate) fn open_text(&self, bound_to: &[u8], text: &str, len_max: usize) -> Option<Vec<u8>> {
        if text.len() > len_max {
            return None;
        }
        let mut bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (head, value) = bytes.split_at_mut_checked(4 + 12 + 16)?;
        let (number, rest) = head.split_first_chunk::<4>()?;
        let (nonce, tag) = rest.split_first_chunk::<12>()?;
        let seal = Seal { sealed_under: u32::from_be_bytes(*number), nonce: *nonce, tag: tag.try_into().ok()? };
        self.open(bound_to, &seal, value)?;
        Some(value.to_vec())
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kept.0.iter().map(|(number, _)| number)).finish()
    }
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    #[test]
    fn what_one_use_sealed_the_other_does_not_open() {
        let keys = SealingKeys::new(&[(1, [7; 32])]);
        let (entropy, sealed) = (SystemEntropy::new(), *b"sixteen bytes!!!");
        let opens = |by: &KeyRing, with: &KeyRing| {
            let mut value = sealed;
            let seal = by.seal(b"a", &mut value, &entropy).expect("a key seals");
            assert_ne!(value, sealed);
            with.open(b"a", &seal, &mut value).is_some_and(|()| value == sealed)
        };
        let uses = [&keys.kept, keys.flows(), keys.ceremonies()];
        for (at, one) in uses.iter().enumerate() {
            for (other_at, other) in uses.iter().enumerate() {
                assert_eq!(opens(one, other), at == other_at, "{at} {other_at}");
            }
        }
    }
}
