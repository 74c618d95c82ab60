//! A set of policies as texts: what is kept in one file, digested and signed.

use residency_policy::ruleset::Digest;
use serde::{Deserialize, Serialize};

use crate::{Loaded, POLICIES, PolicyError, PolicyFile, SCHEMA};

/// A named text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What it is called, such as `care.cedar`. No path: the digest shall not depend on where it lay.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    fn as_file(&self) -> PolicyFile<'_> {
        PolicyFile { name: &self.name, text: &self.text }
    }
}

impl From<PolicyFile<'_>> for Source {
    fn from(file: PolicyFile<'_>) -> Self {
        Self { name: file.name.to_owned(), text: file.text.to_owned() }
    }
}

/// The schema and the policies of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// What a decision may speak of.
    pub schema: Source,
    /// The policies, file by file.
    pub policies: Vec<Source>,
}

impl Sources {
    /// Those that come with the product.
    pub fn shipped() -> Self {
        Self { schema: SCHEMA.into(), policies: POLICIES.iter().copied().map(Source::from).collect() }
    }

    /// Reads the set: all of it or nothing.
    pub fn load(&self) -> Result<Loaded, PolicyError> {
        let files: Vec<PolicyFile<'_>> = self.policies.iter().map(Source::as_file).collect();
        Loaded::parse(self.schema.as_file(), &files)
    }

    /// What identifies the set.
    pub fn digest(&self) -> Digest {
        let files: Vec<PolicyFile<'_>> = self.policies.iter().map(Source::as_file).collect();
        digest(self.schema.as_file(), &files)
    }
}

/// SHA-256 over every name and text of a set, each after its length, the policies in the order of their names. So two
/// sets have the same digest only if every byte of them is the same.
pub(crate) fn digest(schema: PolicyFile<'_>, files: &[PolicyFile<'_>]) -> Digest {
    let mut files = files.to_vec();
    files.sort_by_key(|file| (file.name, file.text));
    let mut bytes = b"domicile policies v1\n".to_vec();
    for file in std::iter::once(schema).chain(files) {
        for part in [file.name, file.text] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Digest {
        let policies = files.iter().map(|(name, text)| PolicyFile { name, text }.into()).collect();
        Sources { schema: SCHEMA.into(), policies }.digest()
    }

    #[test]
    fn every_byte_of_a_set_counts_and_the_order_of_its_files_does_not() {
        let set = of(&[("a.cedar", "one"), ("b.cedar", "two")]);
        assert_eq!(set, of(&[("b.cedar", "two"), ("a.cedar", "one")]));
        for other in [
            vec![("a.cedar", "one"), ("b.cedar", "two ")],
            vec![("a.cedar", "onetwo"), ("b.cedar", "")],
            vec![("a.cedar", "one"), ("b.ceda", "rtwo")],
            vec![("a.cedar", "two"), ("b.cedar", "one")],
            vec![("a.cedar", "one")],
        ] {
            assert_ne!(set, of(&other), "{other:?}");
        }
        let mut shipped = Sources::shipped();
        let digest = shipped.digest();
        assert_eq!(shipped.load().expect("it loads").digest(), digest, "what was loaded says so");
        shipped.schema.text.push('\n');
        assert_ne!(shipped.digest(), digest, "the schema counts too");
    }
}
