//! A set of access policies with its version and the signature that puts it in force: one file, for every node.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use node_policy::Sources;
use residency_control::{PolicyVersion, Signature64};
use residency_policy::ruleset::Digest;
use residency_policy::{Label, access_policies};
use ring::signature::Ed25519KeyPair;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use crate::config::secret_file;
use crate::wiring::policies::SET_BYTES_MAX;

/// What is in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    version: u64,
    #[serde(with = "as_hex")]
    signature: [u8; 64],
    /// The set.
    pub(super) set: Sources,
}

impl Signed {
    /// Signs a set as this version for a cluster.
    pub(super) fn new(cluster: Label, version: u64, set: Sources, key: &Ed25519KeyPair) -> Result<Self> {
        ensure!(version > 0, "the first version is 1");
        let signature = key.sign(&access_policies::signed_bytes(cluster, version, set.digest()));
        let signature = signature.as_ref().try_into().context("an Ed25519 signature has 64 bytes")?;
        Ok(Self { version, signature, set })
    }

    /// Reads a file that `domicile policy sign` has written.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        File::open(path)?.take(SET_BYTES_MAX).read_to_end(&mut bytes)?;
        serde_json::from_slice(&bytes).context("not a signed set, or longer than is accepted")
    }

    /// What the control plane holds of it. The digest is of what is in the file, whoever wrote it.
    pub(super) fn said(&self) -> PolicyVersion {
        let (version, digest) = (self.version, self.digest());
        PolicyVersion { version, digest, signature: Signature64::from_bytes(&self.signature) }
    }

    /// What identifies the set.
    pub(super) fn digest(&self) -> Digest {
        self.set.digest()
    }
}

/// Reads the key that signs: an Ed25519 key as PKCS#8 (RFC 8410), in PEM as `openssl genpkey` writes it, or in DER.
pub(super) fn key(path: &Path) -> Result<Ed25519KeyPair> {
    secret_file::closed(path)?;
    let bytes = fs::read(path)?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(&bytes);
    let der = der.as_ref().map_or(bytes.as_slice(), PrivatePkcs8KeyDer::secret_pkcs8_der);
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().context("not an Ed25519 key as PKCS#8")
}

mod as_hex {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_encoding::HEXLOWER.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes =
            data_encoding::HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| D::Error::custom("a signature is 128 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::KeyPair as _;

    use super::*;
    use crate::dev::keep::{self, Readers};

    #[test]
    fn what_was_signed_is_read_as_it_was_and_every_change_shows() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("policy.key");
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        keep::write(&path, Readers::All, pkcs8.as_ref()).expect("writes");
        assert!(key(&path).is_err(), "others may read it");
        keep::write(&path, Readers::Owner, pkcs8.as_ref()).expect("writes");
        let key = key(&path).expect("the control");

        let cluster: Label = "example".parse().expect("a label");
        let signed = Signed::new(cluster, 3, Sources::shipped(), &key).expect("signs");
        assert!(Signed::new(cluster, 0, Sources::shipped(), &key).is_err(), "0 is no version");
        let file = dir.path().join("signed.json");
        keep::write_json(&file, Readers::All, &signed).expect("writes");
        let mut read = Signed::read(&file).expect("reads");
        assert_eq!(read, signed);
        let verify = |signed: &Signed| {
            let said = signed.said();
            let key = key.public_key().as_ref();
            access_policies::verify(cluster, (said.version, said.digest), said.signature.as_bytes(), key)
        };
        assert!(verify(&read).is_ok());
        read.set.policies[0].text.push('\n');
        assert!(verify(&read).is_err(), "another text is another set");
        for wrong in ["", "{}", "{\"version\": 1, \"signature\": \"00\", \"set\": {}}"] {
            fs::write(&file, wrong).expect("writes");
            assert!(Signed::read(&file).is_err(), "{wrong}");
        }
    }
}
