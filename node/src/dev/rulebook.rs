//! The rules of a development cluster, and the key that puts them in force.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use residency_control::{Command, PolicyVersion, Signature64};
use residency_policy::{Ruleset, ruleset};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::keep::{self, Readers};
use super::layout::Home;

/// The rules that come with this program.
pub const SHIPPED: &str = include_str!("../../../residency/policy/rules/us.toml");

/// Where rules and the verification key lie.
pub struct Rulebook {
    /// The rules' file.
    pub file: PathBuf,
    /// The public half of the policy key.
    pub verify_key: PathBuf,
    key: Ed25519KeyPair,
}

impl Rulebook {
    /// Puts the rules and the policy key in place. Rules that were edited stay, unless newer ones were shipped.
    pub fn open_or_create(home: &Home) -> Result<Self> {
        let dir = home.rules();
        keep::folder(&dir, Readers::All)?;
        let (file, private, verify_key) = (dir.join("us.toml"), dir.join("policy.key"), dir.join("policy.pub"));

        let shipped = Ruleset::parse(SHIPPED).context("the shipped rules cannot be read")?;
        let there = fs::read_to_string(&file).ok().and_then(|text| Ruleset::parse(&text).ok());
        if there.is_none_or(|there| there.version() < shipped.version()) {
            keep::write(&file, Readers::All, SHIPPED.as_bytes())?;
        }

        if !private.exists() {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .ok()
                .context("no policy key can be made")?;
            keep::write(&private, Readers::Owner, pkcs8.as_ref())?;
        }
        let key = Ed25519KeyPair::from_pkcs8(&fs::read(&private)?)
            .ok()
            .with_context(|| format!("{} is no policy key", private.display()))?;
        let public = data_encoding::HEXLOWER.encode(key.public_key().as_ref());
        keep::write(&verify_key, Readers::All, format!("{public}\n").as_bytes())?;
        Ok(Self { file, verify_key, key })
    }

    /// The command that puts the file in force.
    pub fn command(&self) -> Result<Command> {
        let text = fs::read_to_string(&self.file)?;
        let rules = Ruleset::parse(&text)?;
        let (version, digest) = (rules.version(), rules.digest());
        let signed = self.key.sign(&ruleset::signed_bytes(version, digest));
        let bytes: [u8; 64] = signed.as_ref().try_into().context("an Ed25519 signature has 64 bytes")?;
        Ok(Command::PutPolicy(PolicyVersion { version, digest, signature: Signature64::from_bytes(&bytes) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_verified_by_the_public_half_and_by_no_other() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        let book = Rulebook::open_or_create(&home).expect("opens");
        let Ok(Command::PutPolicy(policy)) = book.command() else { panic!("puts rules in force") };
        let keys = crate::wiring::rules::verify_keys(&book.verify_key).expect("reads");
        let check =
            |key: &[u8]| ruleset::verify(policy.version, policy.digest, policy.signature.as_bytes(), key);
        assert!(keys.iter().all(|key| check(&key.public).is_ok()));
        assert!(check(&[1; 32]).is_err());
        let again = Rulebook::open_or_create(&home).expect("opens again");
        assert_eq!(crate::wiring::rules::verify_keys(&again.verify_key).expect("reads"), keys, "the key stays");
    }

    #[test]
    fn newer_edited_rules_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        let file = Rulebook::open_or_create(&home).expect("opens").file;
        let edited = "version = 4000000000\n";
        fs::write(&file, edited).expect("writes");
        Rulebook::open_or_create(&home).expect("opens again");
        assert_eq!(fs::read_to_string(&file).expect("reads"), edited);
        fs::write(&file, "nonsense").expect("writes");
        Rulebook::open_or_create(&home).expect("opens again");
        assert_eq!(fs::read_to_string(&file).expect("reads"), SHIPPED, "what cannot be read is replaced");
    }
}
