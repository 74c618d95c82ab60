//! Which rules are in force here.
//!
//! The control plane holds a version, a digest and a signature, never the rules themselves. A node holds a rules'
//! file and the public keys of whoever may put rules in force. Only when the two say the same are there rules, and a
//! node without rules in force serves nothing (R4). A key may end: what it had signed is looked at again every second.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use residency_policy::verify_keys::VerifyKeys;
use residency_policy::{Clock, Ruleset, ruleset};

use crate::{PolicyVersion, Reader};

/// The node's own rules' file and the keys that put rules in force.
pub struct RulesInForce {
    local: ArcSwap<Ruleset>,
    keys: VerifyKeys,
    clock: Arc<dyn Clock>,
    /// The last version that was checked, and what came of it: a signature check costs more than a whole request.
    checked: ArcSwapOption<Checked>,
}

struct Checked {
    version: PolicyVersion,
    rules: Option<Arc<Ruleset>>,
    local: Arc<Ruleset>,
    /// In which second. It matters where a key has dates.
    second: i64,
}

impl RulesInForce {
    /// Holds a rules' file and the keys of whoever puts rules in force, which count by this clock.
    pub fn new(local: Ruleset, keys: VerifyKeys, clock: Arc<dyn Clock>) -> Self {
        Self { local: ArcSwap::from_pointee(local), keys, clock, checked: ArcSwapOption::empty() }
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
        let (local, now) = (self.local.load_full(), self.clock.now());
        let second = now.as_second();
        if let Some(checked) = &*self.checked.load()
            && checked.version == version
            && Arc::ptr_eq(&checked.local, &local)
            && (checked.second == second || !self.keys.dated())
        {
            return checked.rules.clone();
        }
        let rules = self.check(&version, &local, now).then(|| local.clone());
        self.checked.store(Some(Arc::new(Checked { version, rules: rules.clone(), local, second })));
        rules
    }

    fn check(&self, said: &PolicyVersion, local: &Ruleset, now: Timestamp) -> bool {
        let signature = said.signature.as_bytes();
        said.version == local.version()
            && said.digest == local.digest()
            && self.keys.verify(now, |key| ruleset::verify(said.version, said.digest, signature, key)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use residency_policy::verify_keys::VerifyKey;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::Signature64;
    use crate::system::SystemClock;

    /// A clock that is set.
    struct Set(AtomicI64);

    impl Clock for Set {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::SeqCst)).expect("an instant")
        }
    }

    #[test]
    fn what_a_key_signed_is_in_force_until_the_key_ends_though_it_was_in_force_before() {
        let ((old, old_public), (new, new_public)) = (pair(1), pair(2));
        let at = |second| Timestamp::from_second(second).ok();
        let ends = VerifyKey { public: old_public, not_before: None, not_after: at(100) };
        let begins = VerifyKey { public: new_public, not_before: at(50), not_after: None };
        let text = format!("{ends}\n{begins}");
        let clock = Arc::new(Set(AtomicI64::new(0)));
        let keys = VerifyKeys::parse(&text).expect("two keys");
        let rules = RulesInForce::new(parse(FILE), keys, Arc::clone(&clock) as Arc<dyn Clock>);
        let (by_old, by_new) = (signed(&old, &parse(FILE)), signed(&new, &parse(FILE)));
        for (second, of_old, of_new) in
            [(49, true, false), (50, true, true), (99, true, true), (100, false, true)]
        {
            clock.0.store(second, Ordering::SeqCst);
            let holds = |said: &PolicyVersion| rules.in_force(said.clone()).is_some();
            assert_eq!((holds(&by_old), holds(&by_new)), (of_old, of_new), "at {second} s");
        }
        // The same version, looked at before and after the end with nothing between.
        clock.0.store(99, Ordering::SeqCst);
        assert!(rules.in_force(by_old.clone()).is_some());
        clock.0.store(100, Ordering::SeqCst);
        assert!(rules.in_force(by_old).is_none());
    }

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
        let rules = RulesInForce::new(parse(FILE), public.into(), Arc::new(SystemClock));
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
