//! The region's secret for what it hands out and takes back: cursors, and fingerprints of requests.

use std::fmt;

use ring::hmac;

/// 32 bytes nobody outside the region knows. Not a key of PHI: who has it can read a cursor, no more.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key for one use. Uses are constants of the program, so no two share a key.
    pub(crate) fn derive(&self, of_use: &'static str) -> [u8; 32] {
        self.mac("derive v1", &[of_use.as_bytes()])
    }

    /// A keyed digest of some parts, each with its length, so that no two lists of parts look the same.
    pub(crate) fn mac(&self, of_use: &'static str, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        for part in std::iter::once(&of_use.as_bytes()).chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let secret = Secret::new([7; 32]);
        assert_ne!(secret.mac("u", &[b"ab", b"c"]), secret.mac("u", &[b"a", b"bc"]));
        assert_ne!(secret.mac("u", &[b"a"]), secret.mac("v", &[b"a"]));
        assert_ne!(secret.mac("u", &[b"a"]), Secret::new([8; 32]).mac("u", &[b"a"]));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
