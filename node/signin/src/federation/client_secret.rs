//! The secrets that prove to identity providers that it is us, sealed before anybody else has them.

use residency_control::signin::SealedSecret;
use residency_policy::{Entropy, IdentityProviderId, OrgId};

use crate::sealing::{Seal, SealingKeys};

/// The longest secret, in bytes.
pub const LEN_MAX: usize = 126;
const PADDED: usize = 128;

/// Seals a secret of this provider. None if it is empty or too long, or if no key was given.
pub fn seal(
    keys: &SealingKeys,
    (org, provider): (OrgId, IdentityProviderId),
    secret: &str,
    entropy: &dyn Entropy,
) -> Option<SealedSecret> {
    let length = u16::try_from(secret.len()).ok().filter(|len| (1..=LEN_MAX).contains(&usize::from(*len)))?;
    // Padded, so that its length is nobody's either.
    let mut padded = [0; PADDED];
    padded[..2].copy_from_slice(&length.to_be_bytes());
    padded[2..2 + secret.len()].copy_from_slice(secret.as_bytes());
    let Seal { sealed_under, nonce, tag } = keys.seal(&bound_to(org, provider), &mut padded, entropy)?;
    let mut sealed = Box::new([[0; 32]; 4]);
    sealed.as_flattened_mut().copy_from_slice(&padded);
    Some(SealedSecret { sealed_under, nonce, sealed, tag })
}

/// Opens the secret of a provider.
pub(crate) fn open(
    keys: &SealingKeys,
    (org, provider): (OrgId, IdentityProviderId),
    secret: &SealedSecret,
) -> Option<String> {
    let mut padded = [0; PADDED];
    padded.copy_from_slice(secret.sealed.as_flattened());
    let seal = Seal { sealed_under: secret.sealed_under, nonce: secret.nonce, tag: secret.tag };
    keys.open(&bound_to(org, provider), &seal, &mut padded)?;
    let length = usize::from(u16::from_be_bytes([padded[0], padded[1]]));
    String::from_utf8(padded.get(2..2 + length)?.to_vec()).ok()
}

/// A seal that was moved to another provider does not open: its administrator could have the secret sent to a server of
/// their own.
fn bound_to(org: OrgId, provider: IdentityProviderId) -> Vec<u8> {
    [b"signin: client secret v1".as_slice(), &org.to_bytes(), &provider.to_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    #[test]
    fn a_secret_opens_for_its_provider_and_none_other() {
        let keys = SealingKeys::new(&[(1, [7; 32])]);
        let of = |n| (OrgId::from_bytes([n; 16]), IdentityProviderId::from_bytes([n; 16]));
        let longest = "s".repeat(LEN_MAX);
        for secret in ["a", "GOCSPX-abc_123", &longest] {
            let sealed = seal(&keys, of(1), secret, &SystemEntropy::new()).expect("seals");
            assert_eq!(open(&keys, of(1), &sealed).as_deref(), Some(secret));
            assert_eq!(open(&keys, of(2), &sealed), None);
            assert!(!sealed.sealed.as_flattened().windows(secret.len().max(4)).any(|w| w == secret.as_bytes()));
        }
        for secret in ["", &"s".repeat(LEN_MAX + 1)] {
            assert!(seal(&keys, of(1), secret, &SystemEntropy::new()).is_none());
        }
        assert!(seal(&SealingKeys::new(&[]), of(1), "a", &SystemEntropy::new()).is_none());
    }
}
