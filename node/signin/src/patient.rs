//! What patients are handed out, who sign in at their home: the code of an invitation, and the secret of a session. The
//! home's database keeps a digest of each, and the control plane nothing.

use std::fmt;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use http::HeaderMap;
use node_access::Refused;
use residency_policy::{Entropy, Region};
use residency_tokens::{cookie, patient};

use crate::cookies::{clear, set};
use crate::refresh_token::sha256;

/// After so long without a request a session is over, in seconds (the database's function `portal_session` knows it too).
pub const IDLE_SECONDS: i64 = 30 * 60;
/// After so long a session is over however often it is shown, in seconds.
pub const SESSION_SECONDS: i64 = 12 * 60 * 60;
/// How long an invitation is open, in seconds.
pub const INVITATION_SECONDS: i64 = 7 * 24 * 60 * 60;
/// How often the code of an invitation may be shown.
pub const CODE_ATTEMPTS: i16 = 5;

/// How many random bytes a code has: 120 bits.
const CODE_LEN: usize = 15;
/// How many letters stand together when it is written down.
const TOGETHER: usize = 4;

/// A secret that is shown once. Its `Debug` is redacted.
pub struct Minted {
    text: String,
    /// What the database keeps.
    pub sha256: [u8; 32],
}

impl Minted {
    /// The text, for the one person who may have it.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Minted(redacted)")
    }
}

/// The secret of a new session at a home.
pub fn session(home: Region, entropy: &dyn Entropy) -> Minted {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let text = format!("{}{}_{}", patient::PREFIX, home.0.code(), BASE64URL_NOPAD.encode(&secret));
    let sha256 = patient::sha256(&text);
    Minted { text, sha256 }
}

/// A new code, as it is written down: six groups of four letters and digits (base32, RFC 4648 section 6).
pub fn code(entropy: &dyn Entropy) -> Minted {
    let mut bytes = [0; CODE_LEN];
    entropy.fill(&mut bytes);
    let plain = BASE32_NOPAD.encode(&bytes);
    let (mut text, sha256) = (String::new(), sha256(plain.as_bytes()));
    for (at, letter) in plain.chars().enumerate() {
        if at > 0 && at % TOGETHER == 0 {
            text.push('-');
        }
        text.push(letter);
    }
    Minted { text, sha256 }
}

/// The digest of a code as somebody typed it: capitals and groups do not matter. `None` where it can be none.
pub fn read_code(typed: &str) -> Option<[u8; 32]> {
    let left = |c: &char| !(c.is_ascii_whitespace() || *c == '-');
    let plain: String = typed.chars().filter(left).map(|c| c.to_ascii_uppercase()).collect();
    let bytes = BASE32_NOPAD.decode(plain.as_bytes()).ok()?;
    (bytes.len() == CODE_LEN).then(|| sha256(plain.as_bytes()))
}

/// Gives a session to a browser: where no script can read it.
pub fn keep(headers: &mut HeaderMap, session: &Minted) -> Result<(), Refused> {
    set(headers, cookie::PATIENT, session.reveal(), SESSION_SECONDS)
}

/// Takes it away again.
pub fn forget(headers: &mut HeaderMap) -> Result<(), Refused> {
    clear(headers, cookie::PATIENT)
}

/// The digest of what is shown, if a patient's home gave it out.
pub fn digest(shown: &str) -> Option<[u8; 32]> {
    patient::home(shown).map(|_| patient::sha256(shown))
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    #[test]
    fn a_code_reads_back_however_it_is_typed_and_does_not_show_itself() {
        let minted = code(&SystemEntropy::new());
        let text = minted.reveal();
        assert_eq!((text.len(), text.matches('-').count()), (29, 5));
        for typed in [text.to_owned(), text.to_lowercase(), text.replace('-', " "), format!(" {text} ")] {
            assert_eq!(read_code(&typed), Some(minted.sha256), "{typed}");
        }
        for wrong in
            ["", &text[1..], &format!("{text}A"), &text.replace('-', "é"), "8888-8888-8888-8888-8888-8888"]
        {
            assert_eq!(read_code(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{minted:?}"), "Minted(redacted)");
    }

    #[test]
    fn a_session_says_its_home_and_is_known_by_its_digest() {
        let home: Region = Region("US-TX".parse().expect("a jurisdiction"));
        let minted = session(home, &SystemEntropy::new());
        assert_eq!(patient::home(minted.reveal()), Some(home));
        assert_eq!(digest(minted.reveal()), Some(minted.sha256));
        assert_eq!(digest("dk_something"), None);
    }
}
