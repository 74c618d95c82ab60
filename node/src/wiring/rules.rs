//! Reads the rules of residency and the keys of whoever may put them in force.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use residency_control::rules::RulesInForce;
use residency_policy::verify_keys::VerifyKeys;
use residency_policy::{Clock, Ruleset};

use crate::config::RulesSection;
use crate::exit::{Cause, Stop};

/// The node's own copy of the rules. They hold only while the control plane says that these are in force.
pub fn load(section: &RulesSection, clock: Arc<dyn Clock>) -> Result<RulesInForce, Stop> {
    Ok(RulesInForce::new(ruleset(&section.file)?, verify_keys(&section.verify_key)?, clock))
}

/// Parses the rules' file.
pub fn ruleset(file: &Path) -> Result<Ruleset, Stop> {
    let stop = |why: String| Stop::new(Cause::Rules, why, "see [rules] file");
    let text = fs::read_to_string(file)
        .map_err(|e| stop(format!("the rules {} cannot be read: {e}", file.display())))?;
    Ruleset::parse(&text).map_err(|e| stop(format!("the rules {} are refused: {e}", file.display())))
}

/// Reads the keys whose signatures count, and from and until when.
pub fn verify_keys(file: &Path) -> Result<VerifyKeys, Stop> {
    let stop = |why: String| {
        Stop::new(
            Cause::Rules,
            why,
            "[rules] verify_key names a file of Ed25519 public keys, 64 hexadecimal digits a line; \
             see deploy/runbooks/policies.md",
        )
    };
    let text = fs::read_to_string(file)
        .map_err(|e| stop(format!("the verification keys {} cannot be read: {e}", file.display())))?;
    VerifyKeys::parse(&text).map_err(|e| stop(format!("{}: {e}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_digits_and_what_is_none_is_refused_with_its_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("policy.pub");
        fs::write(&path, format!("{}\n", "0a".repeat(32))).expect("writes");
        assert_eq!(verify_keys(&path).expect("reads"), VerifyKeys::from([10; 32]));
        for wrong in ["", "0a", &"0a".repeat(33), &"zz".repeat(32)] {
            fs::write(&path, wrong).expect("writes");
            let stop = verify_keys(&path).expect_err("is refused");
            assert_eq!(stop.cause, Cause::Rules);
            assert!(stop.to_string().contains("policy.pub"), "{stop}");
        }
    }
}
