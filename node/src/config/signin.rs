//! Section `[signin]`: what people sign in with.

use serde::Deserialize;

use super::SecretFile;

/// Signing in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigninSection {
    /// The keys that seal the secrets of authenticators: the same on every node of the cluster. The first seals, all open:
    /// give every node a new one behind the old one, then put it first. Without any, nobody can enrol an authenticator.
    pub totp_keys: Vec<TotpKeyEntry>,
}

/// One key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpKeyEntry {
    /// Its number, which what it sealed names. Never given to another key.
    pub number: u32,
    /// The file with its 32 bytes, in hexadecimal.
    pub file: SecretFile,
}

impl SigninSection {
    pub(super) fn consistent(&self) -> Result<(), String> {
        let mut numbers: Vec<u32> = self.totp_keys.iter().map(|key| key.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() == self.totp_keys.len() {
            Ok(())
        } else {
            Err("two [[signin.totp_keys]] have the same number".into())
        }
    }
}

impl TotpKeyEntry {
    /// The key. The error names its file and never what is in it.
    pub fn read(&self) -> Result<[u8; 32], String> {
        let secret = self.file.read().map_err(|e| e.to_string())?;
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(secret.reveal().as_bytes()).ok();
        let key = bytes.and_then(|bytes| bytes.try_into().ok());
        key.ok_or_else(|| format!("{} does not hold 64 hexadecimal digits", self.file.0.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, TotpKeyEntry) {
        use std::io::Write as _;
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        let mut open = std::fs::OpenOptions::new();
        let mut out = open.write(true).create(true).truncate(true).mode(0o600).open(&path).expect("opens");
        out.write_all(text.as_bytes()).expect("writes");
        (dir, TotpKeyEntry { number: 1, file: SecretFile(path) })
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_is_never_repeated() {
        let (_dir, right) = file(&format!("{}\n", "0A".repeat(32)));
        assert_eq!(right.read(), Ok([10; 32]));
        for wrong in ["0a", &"0a".repeat(33), &"zz".repeat(32)] {
            let (_dir, wrong_one) = file(wrong);
            let error = wrong_one.read().expect_err("is refused");
            assert!(error.contains("64 hexadecimal") && !error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_number_is_one_keys_only() {
        let (_dir, one) = file("0a");
        let two = SigninSection { totp_keys: vec![one.clone(), one.clone()] };
        assert!(two.consistent().is_err());
        assert!(SigninSection { totp_keys: vec![one] }.consistent().is_ok());
    }
}
