//! Section `[rules]`: the rules of residency.

use std::path::PathBuf;

use serde::Deserialize;

/// The rules of residency. They are in force when the control plane names their digest with a good signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesSection {
    /// The rules' file.
    pub file: PathBuf,
    /// The Ed25519 public keys of whoever puts rules and access policies in force: a file with 64 hexadecimal digits a line, and
    /// perhaps from and until when each counts ([`residency_policy::verify_keys`]).
    pub verify_key: PathBuf,
    /// The folder of signed sets of access policies. Without one only those that come with the program can be in force.
    pub policies: Option<PathBuf>,
}
