//! API keys: how they look, and how one is recognised.
//!
//! A key is `dk_`, the key's id as 32 hexadecimal digits, `_`, and 32 random bytes in base64url (43 characters). The
//! secret has 256 bits of its own, so plain SHA-256 protects it: there is nothing for a slow hash to slow down.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, Encoding, HEXLOWER};
use jiff::Timestamp;
use residency_policy::{Entropy, KeyId, KeyScopes, UserId};
use ring::digest::{SHA256, digest};

use crate::{KeyVerifier, Reader};

/// What every key begins with.
pub const PREFIX: &str = "dk_";
const TEXT_LEN: usize = 3 + 32 + 1 + 43;

/// The text of an API key, shown once. Its `Debug` is redacted, and it has no `Display`.
pub struct ApiKeyText(String);

impl ApiKeyText {
    /// The text, for the one person who may have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyText(redacted)")
    }
}

/// A new key: its text, and what recognises it.
#[derive(Debug)]
pub struct Minted {
    /// The text, shown once.
    pub text: ApiKeyText,
    /// The id in the text.
    pub key: KeyId,
    /// SHA-256 of the secret half, for [`KeyVerifier`].
    pub secret_sha256: [u8; 32],
}

/// Makes a new key.
pub fn mint(entropy: &dyn Entropy) -> Minted {
    secret_of(KeyId::random(entropy), entropy)
}

/// Makes another secret for a key.
pub fn secret_of(key: KeyId, entropy: &dyn Entropy) -> Minted {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let text = format!("{PREFIX}{}_{}", HEXLOWER.encode(&key.to_bytes()), BASE64URL_NOPAD.encode(&secret));
    Minted { text: ApiKeyText(text), key, secret_sha256: sha256(&secret) }
}

/// The verifier of the key that this text is, if the key is valid now and its organisation is active; and so is its
/// user, if it has one, with the key's role in that organisation.
pub fn authenticate(reader: &Reader, text: &str, now: Timestamp) -> Option<KeyVerifier> {
    recognise(reader, text, now).map(|held| held.verifier)
}

/// A key that was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What recognised it.
    pub verifier: KeyVerifier,
    /// Whose it is, if it is a person's.
    pub user: Option<UserId>,
    /// For what it was issued.
    pub scopes: KeyScopes,
}

/// The same, whose key it is, and for what it was issued.
pub fn recognise(reader: &Reader, text: &str, now: Timestamp) -> Option<Held> {
    let (key, secret) = parse(text)?;
    let shown = sha256(&secret);
    let held = reader.holder(key);
    // An unknown key costs the same as a wrong secret.
    let expected = held.as_ref().map_or([0; 32], |(verifier, ..)| verifier.secret_sha256);
    let past = held.as_ref().and_then(|(_, _, grant, _)| grant.as_ref());
    let past = past.is_some_and(|grant| grant.was(&shown, now.as_second(), equal));
    let same = equal(&shown, &expected) || past;
    let (verifier, user, grant, may) = held.filter(|_| same)?;
    let expired = verifier.expires.is_some_and(|at| at <= now.as_second());
    let scopes = grant.map_or(KeyScopes::ALL, |grant| grant.scopes);
    (!verifier.revoked && !expired && may).then_some(Held { verifier, user, scopes })
}

fn parse(text: &str) -> Option<(KeyId, [u8; 32])> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    Some((KeyId::from_bytes(decoded(&HEXLOWER, id)?), decoded(&BASE64URL_NOPAD, secret)?))
}

/// The bytes that a text of exactly their length stands for. Every request comes here, so nothing is allocated.
fn decoded<const N: usize>(encoding: &Encoding, text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if encoding.decode_len(text.len()).ok()? != N {
        return None;
    }
    let length = encoding.decode_mut(text.as_bytes(), &mut bytes).ok()?;
    (length == N).then_some(bytes)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// Looks at every byte, wherever the first difference is.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0, |found, (x, y)| std::hint::black_box(found | (x ^ y)));
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEntropy;

    #[test]
    fn a_minted_key_reads_back_and_does_not_show_itself() {
        let minted = mint(&SystemEntropy::new());
        let (key, secret) = parse(minted.text.reveal()).expect("reads back");
        assert_eq!((key, sha256(&secret)), (minted.key, minted.secret_sha256));
        assert!(!format!("{minted:?}").contains(&minted.text.reveal()[36..]));
    }

    #[test]
    fn a_key_has_one_spelling() {
        let text = mint(&SystemEntropy::new()).text.0;
        for wrong in [
            String::new(),
            text[1..].to_owned(),
            format!("{text} "),
            text.replace("dk_", "sk_"),
            text[..36].to_ascii_uppercase() + &text[36..],
            format!("{}=", &text[..78]),
            "é".repeat(40),
        ] {
            assert!(wrong == text || parse(&wrong).is_none(), "{wrong:?}");
        }
    }
}
