//! Reads the rules of residency and the key of whoever may put them in force.

use std::fs;
use std::path::Path;

use residency_control::rules::RulesInForce;
use residency_policy::Ruleset;

use crate::config::RulesSection;
use crate::exit::{Cause, Stop};

/// The node's own copy of the rules. They hold only while the control plane says that these are in force.
pub fn load(section: &RulesSection) -> Result<RulesInForce, Stop> {
    Ok(RulesInForce::new(ruleset(&section.file)?, verify_key(&section.verify_key)?))
}

/// Parses the rules' file.
pub fn ruleset(file: &Path) -> Result<Ruleset, Stop> {
    let stop = |why: String| Stop::new(Cause::Rules, why, "see [rules] file");
    let text = fs::read_to_string(file)
        .map_err(|e| stop(format!("the rules {} cannot be read: {e}", file.display())))?;
    Ruleset::parse(&text).map_err(|e| stop(format!("the rules {} are refused: {e}", file.display())))
}

/// Reads 64 hexadecimal digits.
pub fn verify_key(file: &Path) -> Result<[u8; 32], Stop> {
    let stop = |why: String| {
        Stop::new(
            Cause::Rules,
            why,
            "[rules] verify_key names a file of 64 hexadecimal digits, an Ed25519 public key",
        )
    };
    let text = fs::read_to_string(file)
        .map_err(|e| stop(format!("the verification key {} cannot be read: {e}", file.display())))?;
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.trim().as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| stop(format!("{} holds no verification key", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_digits_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("policy.pub");
        fs::write(&path, format!("{}\n", "0a".repeat(32))).expect("writes");
        assert_eq!(verify_key(&path).expect("reads"), [10; 32]);
        for wrong in ["", "0a", &"0a".repeat(33), &"zz".repeat(32)] {
            fs::write(&path, wrong).expect("writes");
            let stop = verify_key(&path).expect_err("is refused");
            assert_eq!(stop.cause, Cause::Rules);
            assert!(stop.to_string().contains("policy.pub"), "{stop}");
        }
    }
}
