//! What a patient shows who is signed in: a secret of their home's, which says in the clear which home that is.
//!
//! It is `dom_p_`, the code of the region, `_`, and 32 random bytes in base64url (43 characters). The control plane knows
//! nothing of it: only the home can say whose it is. A router reads the region, so that what is asked with it goes there and
//! nowhere else; and scanners for secrets find the beginning.

use residency_policy::{Jurisdiction, Region};
use ring::digest::{SHA256, digest};

/// What every one begins with.
pub const PREFIX: &str = "dom_p_";
/// How many characters the secret half has.
pub const SECRET_LEN: usize = 43;

/// The home that gave it out; `None` where the text is none. Whether it is good, that home knows.
pub fn home(shown: &str) -> Option<Region> {
    let (code, secret) = shown.strip_prefix(PREFIX)?.split_once('_')?;
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let whole = secret.len() == SECRET_LEN && secret.bytes().all(letters);
    let home: Jurisdiction = code.parse().ok().filter(|_| whole)?;
    // One spelling only.
    (home.code() == code).then_some(Region(home))
}

/// What the home keeps of it: SHA-256 of the text. The secret has 256 bits of its own, so a slow hash would slow nobody.
pub fn sha256(shown: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, shown.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_read_from_one_spelling_only() {
        let secret = "aB3-_".repeat(9);
        let secret = &secret[..SECRET_LEN];
        let shown = format!("dom_p_US-TX_{secret}");
        assert_eq!(home(&shown).map(|home| home.0.code()), Some("US-TX"));
        for wrong in [
            String::new(),
            "dom_p_".to_owned(),
            format!("dom_p_{secret}"),
            format!("dom_p_us-tx_{secret}"),
            format!("dom_p_TX_{secret}"),
            format!("dom_p_US-XX_{secret}"),
            format!("dom_p_US-TX_{}", &secret[1..]),
            format!("{shown}a"),
            format!("{shown} "),
            format!("dk_US-TX_{secret}"),
            format!("dom_p_US-TX_é{}", &secret[2..]),
        ] {
            assert_eq!(home(&wrong), None, "{wrong:?}");
        }
        assert_ne!(sha256(&shown), sha256(&format!("dom_p_US-CA_{secret}")));
    }
}
