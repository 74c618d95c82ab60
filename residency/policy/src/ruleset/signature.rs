//! Which rules' file is in force, and on whose word.

use ring::digest;
use ring::signature::{self, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// SHA-256 of a rules' file: what the control plane holds, signed, so that every node knows which file is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(out)
    }
}

/// What is signed to put a ruleset in force: a fixed context, the version and the digest.
pub fn signed_bytes(version: u64, digest: Digest) -> Vec<u8> {
    let mut bytes = b"domicile ruleset v1\n".to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&digest.0);
    bytes
}

/// An Ed25519 signature is not by this key (RFC 8032).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not signed for this by the configured policy key")]
pub struct NotSigned;

/// Checks who put a ruleset in force.
pub fn verify(version: u64, digest: Digest, signature: &[u8], public_key: &[u8]) -> Result<(), NotSigned> {
    signed_by(&signed_bytes(version, digest), signature, public_key)
}

/// Whether bytes are signed by this key.
pub(crate) fn signed_by(signed: &[u8], signature: &[u8], public_key: &[u8]) -> Result<(), NotSigned> {
    UnparsedPublicKey::new(&signature::ED25519, public_key).verify(signed, signature).map_err(|_| NotSigned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
    }

    #[test]
    fn a_signature_holds_for_its_key_version_and_file_only() {
        let (ours, other) = (key(1), key(2));
        let digest = Digest::of(b"version = 3");
        let signature = ours.sign(&signed_bytes(3, digest));
        let (signature, public) = (signature.as_ref(), ours.public_key().as_ref());
        assert_eq!(verify(3, digest, signature, public), Ok(()));
        assert_eq!(verify(4, digest, signature, public), Err(NotSigned));
        assert_eq!(verify(3, Digest::of(b"version = 3 "), signature, public), Err(NotSigned));
        assert_eq!(verify(3, digest, signature, other.public_key().as_ref()), Err(NotSigned));
        assert_eq!(verify(3, digest, &signature[1..], public), Err(NotSigned));
        assert_eq!(verify(3, digest, signature, &[]), Err(NotSigned));
    }
}
