//! The report as bytes that somebody answers for: Ed25519 (RFC 8032) over the report's JSON as it stands.

use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

/// The JSON of a report, signed. `report` in it is the text that was signed, so that no reader has to write it again alike.
pub fn signed(report: &str, key: &Path) -> Result<String> {
    let text = std::fs::read_to_string(key).with_context(|| format!("cannot read {}", key.display()))?;
    let seed = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes());
    let wrong = || format!("{} is no Ed25519 key: expected 64 hexadecimal digits", key.display());
    let pair =
        seed.ok().and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok()).with_context(wrong)?;
    let signature = pair.sign(report.as_bytes());
    let note = json!({
        "report": report,
        "algorithm": "Ed25519",
        "public_key": data_encoding::HEXLOWER.encode(pair.public_key().as_ref()),
        "signature": STANDARD.encode(signature.as_ref()),
    });
    Ok(serde_json::to_string_pretty(&note)?)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_signed_report_verifies_and_a_changed_one_does_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let key = dir.path().join("key");
        std::fs::write(&key, "07".repeat(32)).expect("writes");
        let note: serde_json::Value =
            serde_json::from_str(&signed("{\"a\":1}", &key).expect("signs")).expect("is JSON");
        let field = |name: &str| note[name].as_str().expect("is there").to_owned();
        let public = data_encoding::HEXLOWER.decode(field("public_key").as_bytes()).expect("hex");
        let signature = STANDARD.decode(field("signature")).expect("base64");
        let public = UnparsedPublicKey::new(&ED25519, public);
        assert!(public.verify(field("report").as_bytes(), &signature).is_ok());
        assert!(public.verify(b"{\"a\":2}", &signature).is_err());
        std::fs::write(&key, "no key").expect("writes");
        assert!(signed("{}", &key).is_err());
    }
}
