//! Which rules are in force here.
//!
//! The control plane holds a version, a digest and a signature, never the rules themselves. A node holds a rules'
//! file and the public key of whoever may put rules in force. Only when the two say the same are there rules, and a
//! node without rules in force serves nothing (R4).

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use residency_policy::{Ruleset, ruleset};

use crate::{PolicyVersion, Reader};

/// The node's own rules' file and the key that puts rules in force.
pub struct RulesInForce {
    local: ArcSwap<Ruleset>,
    verify_key: [u8; 32],
    /// The last version that was checked, and what came of it: a signature check costs more than a whole request.
    checked: ArcSwapOption<Checked>,
}

struct Checked {
    version: PolicyVersion,
    rules: Option<Arc<Ruleset>>,
    local: Arc<Ruleset>,
}

impl RulesInForce {
    /// Holds a rules' file and the Ed25519 public key of whoever puts rules in force.
    pub fn new(local: Ruleset, verify_key: [u8; 32]) -> Self {
        Self { local: ArcSwap::from_pointee(local), verify_key, checked: ArcSwapOption::empty() }
    }

    /// Takes a new file. It holds from the moment that the control plane says so.
    pub fn replace(&self, local: Ruleset) {
        self.local.store(Arc::new(local));
    }

    /// The local file, if the control plane says that exactly this file is in force, signed.
    pub fn current(&self, reader: &Reader) -> Option<Arc<Ruleset>> {
        self.in_force(reader.policy()?)
    }

    fn in_force(&self, version: PolicyVersion) -> Option<Arc<Ruleset>> {
        let local = self.local.load_full();
        if let Some(checked) = &*self.checked.load()
            && checked.version == version
            && Arc::ptr_eq(&checked.local, &local)
        {
            return checked.rules.clone();
        }
        let rules = self.check(&version, &local).then(|| local.clone());
        self.checked.store(Some(Arc::new(Checked { version, rules: rules.clone(), local })));
        rules
    }

    fn check(&self, said: &PolicyVersion, local: &Ruleset) -> bool {
        said.version == local.version()
            && said.digest == local.digest()
            && ruleset::verify(said.version, said.digest, said.signature.as_bytes(), &self.verify_key).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::Signature64;

    const FILE: &str = "version = 3\n[[transit]]\nhome = 'any'\ningress = 'any'\ncategory = 'any'\nmode = 'proxy'\n\
                        effective_from = 2025-01-01\ncitation = '45 CFR 164.312(e)'\n";

    fn parse(text: &str) -> Ruleset {
        Ruleset::parse(text).expect("rules")
    }

    fn signed(key: &Ed25519KeyPair, rules: &Ruleset) -> PolicyVersion {
        let (version, digest) = (rules.version(), rules.digest());
        let signature = key.sign(&ruleset::signed_bytes(version, digest));
        let signature = Signature64::from_bytes(signature.as_ref().try_into().expect("64 bytes"));
        PolicyVersion { version, digest, signature }
    }

    fn pair(seed: u8) -> (Ed25519KeyPair, [u8; 32]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let public = pair.public_key().as_ref().try_into().expect("32 bytes");
        (pair, public)
    }

    #[test]
    fn rules_hold_only_when_file_version_and_signature_agree() {
        let (key, public) = pair(1);
        let rules = RulesInForce::new(parse(FILE), public);
        let said = signed(&key, &parse(FILE));
        // The control: what is right is in force, at the first look and at the second.
        assert!(rules.in_force(said.clone()).is_some());
        assert!(rules.in_force(said.clone()).is_some());

        let other_file = signed(&key, &parse(&FILE.replace("proxy", "deny")));
        assert!(rules.in_force(other_file).is_none(), "the digest is another file's");
        let other_version = signed(&key, &parse(&FILE.replace("version = 3", "version = 4")));
        assert!(rules.in_force(other_version).is_none(), "the version is another");
        let other_signer = signed(&pair(2).0, &parse(FILE));
        assert!(rules.in_force(other_signer).is_none(), "someone else signed");
        let moved = PolicyVersion { signature: Signature64::from_bytes(&[0; 64]), ..said.clone() };
        assert!(rules.in_force(moved).is_none(), "the signature is nonsense");

        rules.replace(parse(&FILE.replace("proxy", "deny")));
        assert!(rules.in_force(said).is_none(), "the file changed under a cached verdict");
    }
}
