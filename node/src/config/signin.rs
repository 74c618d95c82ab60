//! Section `[signin]`: what people sign in with.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use residency_control::Host;
use serde::Deserialize;

use super::{SecretFile, from_text};

/// Signing in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigninSection {
    /// The keys that seal the secrets of authenticators and of identity providers: the same on every node of the cluster.
    /// The first seals, all open: give every node a new one behind the old one, then put it first. Without any, nobody can
    /// enrol an authenticator or come in through an identity provider.
    pub sealing_keys: Vec<SealingKeyEntry>,
    /// Where browsers reach this cluster: identity providers send them back there, and want to be told beforehand. Without
    /// any, nobody comes in through one.
    pub origins: Vec<Origin>,
    /// The hosts of identity providers that may have an address inside a private network.
    pub private_issuers: Vec<Host>,
    /// The authorities that identity providers' certificates are checked with; those of the system if left out.
    pub issuers_ca: Option<PathBuf>,
    /// What passkeys are bound to. Without it nobody adds one or signs in with one.
    pub passkeys: Option<PasskeysSection>,
}

/// Section `[signin.passkeys]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeysSection {
    /// The domain that passkeys are bound to: the relying party's id (WebAuthn Level 3, section 5.1.2). The same on every node;
    /// whoever changes it gives every passkey up.
    pub rp_id: Host,
    /// The origins from whose pages passkeys are used, each at that domain or below it; those of `[signin]` if left out.
    pub origins: Option<Vec<Origin>>,
}

/// Where browsers reach a server: `https`, a host, and a port if it is not 443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// The text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin: expected https, a host and perhaps a port, such as https://clinic.example")]
pub struct NotAnOrigin;

impl Origin {
    /// The origin as text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let authority = text.strip_prefix("https://").ok_or(NotAnOrigin)?;
        let (host, port) =
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let host_is = host.parse::<Host>().is_ok();
        let port_is = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        if host_is && port_is { Ok(Self(text.to_owned())) } else { Err(NotAnOrigin) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        from_text(d)
    }
}

/// One key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingKeyEntry {
    /// Its number, which what it sealed names. Never given to another key.
    pub number: u32,
    /// The file with its 32 bytes, in hexadecimal.
    pub file: SecretFile,
}

impl SigninSection {
    pub(super) fn consistent(&self) -> Result<(), String> {
        let mut numbers: Vec<u32> = self.sealing_keys.iter().map(|key| key.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() == self.sealing_keys.len() {
            Ok(())
        } else {
            Err("two [[signin.sealing_keys]] have the same number".into())
        }
    }
}

impl SealingKeyEntry {
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

    fn file(text: &str) -> (tempfile::TempDir, SealingKeyEntry) {
        use std::io::Write as _;
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        let mut open = std::fs::OpenOptions::new();
        let mut out = open.write(true).create(true).truncate(true).mode(0o600).open(&path).expect("opens");
        out.write_all(text.as_bytes()).expect("writes");
        (dir, SealingKeyEntry { number: 1, file: SecretFile(path) })
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
    fn an_origin_has_no_path_and_is_over_tls() {
        for text in ["https://clinic.example", "https://localhost:8443"] {
            assert_eq!(text.parse::<Origin>().map(|one| one.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "http://clinic.example", "https://", "https://clinic.example/", "https://a:0", "https://A"]
        {
            assert_eq!(text.parse::<Origin>(), Err(NotAnOrigin), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_one_keys_only() {
        let (_dir, one) = file("0a");
        let two = SigninSection { sealing_keys: vec![one.clone(), one.clone()], ..SigninSection::default() };
        assert!(two.consistent().is_err());
        assert!(SigninSection { sealing_keys: vec![one], ..SigninSection::default() }.consistent().is_ok());
    }
}
