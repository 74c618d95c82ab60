//! Reads the access policies that the control plane says are in force.
//!
//! The control plane holds a version, a digest and a signature. The sets themselves lie in a folder of each node, every
//! one under its digest, so that the next set lies beside the present one before it is put in force. What cannot be
//! shown to be the set that was signed decides nothing.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use node_access::policies::{InForce, NotInForce, Policies};
use node_policy::{Loaded, Sources};
use residency_control::PolicyVersion;
use residency_policy::ruleset::Digest;
use residency_policy::verify_keys::VerifyKeys;
use residency_policy::{Clock, Label, access_policies};

use super::rules;
use crate::config::RulesSection;
use crate::dev::keep::{self, Readers};
use crate::exit::Stop;

/// The most bytes of a set.
pub const SET_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where the sets of this node lie, and whose signature counts.
pub struct Installed {
    folder: Option<PathBuf>,
    keys: VerifyKeys,
    clock: Arc<dyn Clock>,
    cluster: Label,
}

/// Why a set does not decide, for the node's callers and for its log.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// What callers and probers are told.
    pub refused: NotInForce,
    why: String,
}

impl Refused {
    /// Why, in words for the log.
    pub fn new(refused: NotInForce, why: impl fmt::Display) -> Self {
        Self { refused, why: why.to_string() }
    }
}

impl Installed {
    /// What a configuration says, of a node of this cluster, whose keys count by this clock.
    pub fn of(section: &RulesSection, cluster: Label, clock: Arc<dyn Clock>) -> Result<Self, Stop> {
        let keys = rules::verify_keys(&section.verify_key)?;
        Ok(Self { folder: section.policies.clone(), keys, clock, cluster })
    }

    /// Whether what is proven now may not be later, with nothing new said: a key begins or ends.
    pub fn dated(&self) -> bool {
        self.keys.dated()
    }

    /// The set that is said to be in force. Where none is said, the one that comes with this program.
    pub fn open(&self, said: Option<&PolicyVersion>) -> Result<Arc<InForce>, Refused> {
        let unfit = |e: node_policy::PolicyError| Refused::new(NotInForce::Unfit, e);
        let Some(said) = said else {
            return Ok(Arc::new(InForce { version: None, loaded: Loaded::shipped().map_err(unfit)? }));
        };
        self.proven(said)?;
        let folder = self.folder.as_ref();
        let folder = folder.ok_or_else(|| Refused::new(NotInForce::NoFolder, "[rules] policies is not set"))?;
        let path = folder.join(name(said.digest));
        let sources = read(&path).map_err(|e| {
            let refused = if e.kind() == io::ErrorKind::NotFound {
                NotInForce::NotInstalled
            } else {
                NotInForce::Damaged
            };
            Refused::new(refused, format!("{}: {e}", path.display()))
        })?;
        if sources.digest() != said.digest {
            return Err(Refused::new(NotInForce::Damaged, format!("{} is another set", path.display())));
        }
        Ok(Arc::new(InForce { version: Some(said.version), loaded: sources.load().map_err(unfit)? }))
    }

    /// Whether one of this node's keys that count now has signed a version for this cluster.
    pub fn proven(&self, said: &PolicyVersion) -> Result<(), Refused> {
        let (of, signature) = ((said.version, said.digest), said.signature.as_bytes());
        self.keys
            .verify(self.clock.now(), |key| access_policies::verify(self.cluster, of, signature, key))
            .map_err(|e| Refused::new(NotInForce::NotSigned, e))
    }

    /// Puts a set beside the others. Doing it again changes nothing.
    pub fn install(&self, sources: &Sources) -> Result<PathBuf> {
        let folder = self.folder.as_ref().context("[rules] policies names no folder for them")?;
        keep::folder(folder, Readers::All)?;
        let path = folder.join(name(sources.digest()));
        keep::write(&path, Readers::All, &serde_json::to_vec_pretty(sources)?)?;
        Ok(path)
    }
}

/// Whether what decides here is what is said to be in force.
pub fn decides(policies: &Policies, said: Option<&PolicyVersion>) -> bool {
    policies.current().is_ok_and(|in_force| match said {
        Some(said) => in_force.version == Some(said.version) && in_force.loaded.digest() == said.digest,
        None => in_force.version.is_none(),
    })
}

/// Whether what is said to be in force was read: it decides, or is known not to and nothing does.
pub fn is_read(policies: &Policies, said: Option<&PolicyVersion>) -> bool {
    decides(policies, said) || policies.current().is_err_and(|why| why != NotInForce::Unread)
}

/// The file of a set.
fn name(digest: Digest) -> String {
    format!("{}.json", hex(digest))
}

/// A digest as people compare it.
pub fn hex(digest: Digest) -> String {
    data_encoding::HEXLOWER.encode(&digest.0)
}

fn read(path: &std::path::Path) -> io::Result<Sources> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SET_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;
    use residency_control::Signature64;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
    }

    fn cluster() -> Label {
        "example".parse().expect("a label")
    }

    fn signed(key: &Ed25519KeyPair, version: u64, digest: Digest) -> PolicyVersion {
        let signature = key.sign(&access_policies::signed_bytes(cluster(), version, digest));
        let signature = Signature64::from_bytes(signature.as_ref().try_into().expect("64 bytes"));
        PolicyVersion { version, digest, signature }
    }

    /// The tests' present.
    const NOW: &str = "2026-12-31T12:00:00Z";

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            NOW.parse().expect("an instant")
        }
    }

    /// A node that keeps its sets there and goes by the first key, with these dates.
    fn keeping(folder: Option<PathBuf>, dates: &str) -> Installed {
        let line = format!("{} {dates}", data_encoding::HEXLOWER.encode(pair(1).public_key().as_ref()));
        let keys = VerifyKeys::parse(&line).expect("a key");
        Installed { folder, keys, clock: Arc::new(Stopped), cluster: cluster() }
    }

    #[test]
    fn a_set_decides_while_the_key_that_signed_it_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("policies");
        let sources = Sources::shipped();
        keeping(Some(folder.clone()), "").install(&sources).expect("is installed");
        let said = signed(&pair(1), 1, sources.digest());
        for dates in ["not-after=2026-12-31T12:00:01Z", "not-before=2026-12-31T12:00:00Z"] {
            assert!(keeping(Some(folder.clone()), dates).open(Some(&said)).is_ok(), "the control: {dates}");
        }
        for dates in ["not-after=2026-12-31T12:00:00Z", "not-before=2026-12-31T12:00:01Z"] {
            assert_eq!(refused(&keeping(Some(folder.clone()), dates), &said), NotInForce::NotSigned, "{dates}");
        }
    }

    fn refused(installed: &Installed, said: &PolicyVersion) -> NotInForce {
        let Err(refused) = installed.open(Some(said)) else { panic!("it decides") };
        refused.refused
    }

    #[test]
    fn a_set_decides_only_when_it_is_the_one_that_was_signed() {
        let dir = tempfile::tempdir().expect("a folder");
        let installed = keeping(Some(dir.path().join("policies")), "");
        let mut sources = Sources::shipped();
        sources.policies.retain(|file| file.name != "payment.cedar");
        let said = signed(&pair(1), 1, sources.digest());
        assert_eq!(refused(&installed, &said), NotInForce::NotInstalled);

        let path = installed.install(&sources).expect("is installed");
        let in_force = installed.open(Some(&said)).expect("the control");
        assert_eq!((in_force.version, in_force.loaded.digest()), (Some(1), sources.digest()));

        assert_eq!(refused(&installed, &signed(&pair(2), 1, sources.digest())), NotInForce::NotSigned);
        let moved = PolicyVersion { version: 2, ..said.clone() };
        assert_eq!(refused(&installed, &moved), NotInForce::NotSigned, "the signature is of version 1");
        let without = keeping(None, "");
        let elsewhere = Installed { cluster: "rehearsal".parse().expect("a label"), ..without };
        assert_eq!(refused(&elsewhere, &said), NotInForce::NotSigned, "signed for another cluster");
        let without = keeping(None, "");
        assert_eq!(refused(&without, &said), NotInForce::NoFolder);

        let other = serde_json::to_vec(&Sources::shipped()).expect("it serialises");
        fs::write(&path, other).expect("writes");
        assert_eq!(refused(&installed, &said), NotInForce::Damaged, "another set under this name");
        fs::write(&path, "{").expect("writes");
        assert_eq!(refused(&installed, &said), NotInForce::Damaged, "no set");

        sources.policies[0].text.push_str("\npermit (principal, action, resource);");
        installed.install(&sources).expect("is installed, whatever is in it");
        assert_eq!(refused(&installed, &signed(&pair(1), 1, sources.digest())), NotInForce::Unfit);
    }

    #[test]
    fn where_nothing_was_put_in_force_the_shipped_set_decides() {
        let without = keeping(None, "");
        let in_force = without.open(None).expect("the shipped set");
        assert_eq!((in_force.version, in_force.loaded.digest()), (None, Sources::shipped().digest()));
    }
}
