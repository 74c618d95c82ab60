//! Refresh tokens: opaque, and another one after every use.
//!
//! A token is `dr_` and, in base64url, the session's id, 32 random bytes that stay and 32 that change. Whoever shows the
//! right half that stays with a wrong half that changes has an old token, and had a right one once; whoever has neither
//! guesses, and can end nobody's session by it.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use residency_policy::{Entropy, SessionId};
use ring::digest::{SHA256, digest};

const PREFIX: &str = "dr_";
const LEN: usize = 16 + 32 + 32;

/// A refresh token in hand. Its `Debug` is redacted.
pub(crate) struct RefreshToken {
    pub(crate) session: SessionId,
    family: [u8; 32],
    current: [u8; 32],
}

impl RefreshToken {
    pub(crate) fn first(session: SessionId, entropy: &dyn Entropy) -> Self {
        let (mut family, mut current) = ([0; 32], [0; 32]);
        entropy.fill(&mut family);
        entropy.fill(&mut current);
        Self { session, family, current }
    }

    /// The token that takes this one's place.
    pub(crate) fn next(&self, entropy: &dyn Entropy) -> Self {
        let mut current = [0; 32];
        entropy.fill(&mut current);
        Self { current, ..*self }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == BASE64URL_NOPAD.encode_len(LEN))?;
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?;
        let (session, halves) = bytes.split_first_chunk::<16>()?;
        let (family, current) = halves.split_first_chunk::<32>()?;
        let current = current.try_into().ok()?;
        Some(Self { session: SessionId::from_bytes(*session), family: *family, current })
    }

    pub(crate) fn text(&self) -> String {
        let bytes = [self.session.to_bytes().as_slice(), &self.family, &self.current].concat();
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    pub(crate) fn family_sha256(&self) -> [u8; 32] {
        sha256(&self.family)
    }

    pub(crate) fn current_sha256(&self) -> [u8; 32] {
        sha256(&self.current)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(redacted)")
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    #[test]
    fn a_token_reads_back_in_one_spelling_and_the_next_one_is_of_its_family() {
        let token = RefreshToken::first(SessionId::from_bytes([7; 16]), &SystemEntropy::new());
        let read = RefreshToken::parse(&token.text()).expect("reads back");
        assert_eq!((read.session, read.text()), (token.session, token.text()));
        let next = token.next(&SystemEntropy::new());
        assert_eq!((next.session, next.family_sha256()), (token.session, token.family_sha256()));
        assert_ne!(next.current_sha256(), token.current_sha256());
        let text = token.text();
        for wrong in ["", "dr_", &text[1..], &text[..text.len() - 1], &format!("{text}="), &format!("{text}A")]
        {
            assert!(RefreshToken::parse(wrong).is_none(), "{wrong:?}");
        }
        assert!(!format!("{token:?}").contains(&text[20..]));
    }
}
