//! Which version of the access policies is in force, and on whose word.
//!
//! The policies say who may see what. They are read far above this floor; what is here is the part of them that the
//! control plane holds: a version, a digest and a signature, by the same key that puts rules of residency in force. The
//! context that is signed differs, so that neither kind of signature can be passed off as the other; and it names the
//! cluster, so that what was signed for a rehearsal is nothing in production, though one key signs for both.

use crate::Label;
use crate::ruleset::{Digest, NotSigned, signed_by};

/// What is signed to put a set of access policies in force: a fixed context, the cluster, the version and the digest.
pub fn signed_bytes(cluster: Label, version: u64, digest: Digest) -> Vec<u8> {
    // No label has a line break in it, so that where each part ends is plain.
    let mut bytes = format!("domicile access policies v2\n{cluster}\n").into_bytes();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&digest.0);
    bytes
}

/// Checks who put a set of access policies in force: the Ed25519 signature over [`signed_bytes`] (RFC 8032).
pub fn verify(
    cluster: Label,
    (version, digest): (u64, Digest),
    signature: &[u8],
    public_key: &[u8],
) -> Result<(), NotSigned> {
    signed_by(&signed_bytes(cluster, version, digest), signature, public_key)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::ruleset;

    #[test]
    fn a_signature_holds_for_its_cluster_key_version_and_set_only_and_never_for_rules() {
        let pair = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let (ours, other) = (pair(1), pair(2));
        let digest = Digest::of(b"permit (principal, action, resource);");
        let here: Label = "production".parse().expect("a label");
        let there: Label = "rehearsal".parse().expect("a label");
        let signature = ours.sign(&signed_bytes(here, 3, digest));
        let (signature, public) = (signature.as_ref(), ours.public_key().as_ref());
        assert_eq!(verify(here, (3, digest), signature, public), Ok(()), "the control");
        assert_eq!(verify(there, (3, digest), signature, public), Err(NotSigned));
        assert_eq!(verify(here, (4, digest), signature, public), Err(NotSigned));
        assert_eq!(verify(here, (3, Digest::of(b"forbid")), signature, public), Err(NotSigned));
        assert_eq!(verify(here, (3, digest), signature, other.public_key().as_ref()), Err(NotSigned));
        assert_eq!(ruleset::verify(3, digest, signature, public), Err(NotSigned), "it is no ruleset");
        let rules = ours.sign(&ruleset::signed_bytes(3, digest));
        assert_eq!(ruleset::verify(3, digest, rules.as_ref(), public), Ok(()), "the control");
        assert_eq!(verify(here, (3, digest), rules.as_ref(), public), Err(NotSigned), "a ruleset's signature");
    }
}
