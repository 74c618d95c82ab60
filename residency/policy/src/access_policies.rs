//! Which version of the access policies is in force, and on whose word.
//!
//! The policies say who may see what. They are read far above this floor; what is here is the part of them that the
//! control plane holds: a version, a digest and a signature, by the same key that puts rules of residency in force. The
//! context that is signed differs, so that neither kind of signature can be passed off as the other.

use crate::ruleset::{Digest, NotSigned, signed_by};

/// What is signed to put a set of access policies in force: a fixed context, the version and the digest.
pub fn signed_bytes(version: u64, digest: Digest) -> Vec<u8> {
    let mut bytes = b"domicile access policies v1\n".to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&digest.0);
    bytes
}

/// Checks who put a set of access policies in force: the Ed25519 signature over [`signed_bytes`] (RFC 8032).
pub fn verify(version: u64, digest: Digest, signature: &[u8], public_key: &[u8]) -> Result<(), NotSigned> {
    signed_by(&signed_bytes(version, digest), signature, public_key)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::ruleset;

    #[test]
    fn a_signature_holds_for_its_key_version_and_set_only_and_never_for_rules() {
        let pair = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let (ours, other) = (pair(1), pair(2));
        let digest = Digest::of(b"permit (principal, action, resource);");
        let signature = ours.sign(&signed_bytes(3, digest));
        let (signature, public) = (signature.as_ref(), ours.public_key().as_ref());
        assert_eq!(verify(3, digest, signature, public), Ok(()), "the control");
        assert_eq!(verify(4, digest, signature, public), Err(NotSigned));
        assert_eq!(verify(3, Digest::of(b"forbid"), signature, public), Err(NotSigned));
        assert_eq!(verify(3, digest, signature, other.public_key().as_ref()), Err(NotSigned));
        assert_eq!(ruleset::verify(3, digest, signature, public), Err(NotSigned), "it is no ruleset");
        let rules = ours.sign(&ruleset::signed_bytes(3, digest));
        assert_eq!(ruleset::verify(3, digest, rules.as_ref(), public), Ok(()), "the control");
        assert_eq!(verify(3, digest, rules.as_ref(), public), Err(NotSigned), "a ruleset's signature");
    }
}
