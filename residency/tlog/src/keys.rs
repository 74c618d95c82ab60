//! Keys that sign notes, and their texts (C2SP signed-note, section "Verifier keys").

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::malformed::{Malformed, Wrong};

const ED25519_BYTES: usize = 32;
/// The longest text of a key.
const KEY_BYTES_MAX: usize = 1_024;
const SECRET: &str = "PRIVATE+KEY+";

/// What a key signs, by the type byte of C2SP signed-note. ML-DSA-44 cosignatures (`0x06`) are to come: their lines in a
/// note are ignored as any unknown key's are, and their keys are refused by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// `0x01`: Ed25519 over a note's text.
    Ed25519,
    /// `0x04`: Ed25519 over a checkpoint and the time (C2SP tlog-cosignature, `cosignature/v1`).
    CosignatureV1,
}

impl KeyKind {
    /// Its type byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Ed25519, Self::CosignatureV1].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// The id of a key: the first four bytes of SHA-256 over its name, a newline, its type and its public bytes.
pub fn key_id(name: &str, kind: u8, public: &[u8]) -> u32 {
    let mut context = Context::new(&SHA256);
    for part in [name.as_bytes(), b"\n", &[kind], public] {
        context.update(part);
    }
    context.finish().as_ref().first_chunk().map_or(0, |id| u32::from_be_bytes(*id))
}

/// Whether a key may have this name: not empty, no space of Unicode, no plus, no control character.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+' || c < ' ')
}

/// A public key and the name under which it signs. `Display` is its text, `name+id+base64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    id: u32,
    kind: KeyKind,
    public: Vec<u8>,
}

impl VerifierKey {
    /// The key of 32 public bytes.
    ///
    /// # Errors
    /// [`Wrong::KeyName`].
    pub fn new(name: &str, kind: KeyKind, public: &[u8; ED25519_BYTES]) -> Result<Self, Malformed> {
        if !is_name(name) {
            return Err(Malformed::byte(0, Wrong::KeyName));
        }
        Ok(Self { name: name.into(), id: key_id(name, kind.byte(), public), kind, public: public.to_vec() })
    }

    /// The key with this text.
    ///
    /// # Errors
    /// What is wrong with it and at which byte; [`Wrong::KeyType`] for types that are assigned but not known here.
    pub fn parse(vkey: &str) -> Result<Self, Malformed> {
        let (name, id, bytes) = parts(vkey, 0)?;
        let (kind, public) = typed(&bytes, vkey.len())?;
        let key = Self::new(name, kind, public)?;
        if key.id == id { Ok(key) } else { Err(Malformed::byte(name.len() + 1, Wrong::KeyId)) }
    }

    /// Under which name it signs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id, which stands before its signatures.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its public bytes.
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// Whether these 64 bytes are this key's Ed25519 signature of the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind.byte()];
        bytes.extend_from_slice(&self.public);
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(bytes))
    }
}

/// A private key. What it was made from is the caller's to wipe ([`Zeroizing`]); what ring makes of it lives as long as
/// this value.
pub struct SigningKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// The key of an Ed25519 seed (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// [`Wrong::KeyName`].
    pub fn from_seed(
        name: &str,
        kind: KeyKind,
        seed: &Zeroizing<[u8; ED25519_BYTES]>,
    ) -> Result<Self, Malformed> {
        let wrong = Malformed::byte(0, Wrong::KeyLength);
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| wrong)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| wrong)?;
        Ok(Self { verifier: VerifierKey::new(name, kind, public)?, pair })
    }

    /// The key with this text, as [`skey_text`] writes it.
    ///
    /// # Errors
    /// What is wrong with it and at which byte. Nothing of it is repeated.
    pub fn parse(skey: &str) -> Result<Self, Malformed> {
        let text = skey.strip_prefix(SECRET).ok_or(Malformed::byte(0, Wrong::Header("PRIVATE+KEY+")))?;
        let (name, id, bytes) = parts(text, SECRET.len())?;
        let (kind, seed) = typed(&bytes, skey.len())?;
        let key = Self::from_seed(name, kind, &Zeroizing::new(*seed))?;
        let at = SECRET.len() + name.len() + 1;
        if key.verifier.id == id { Ok(key) } else { Err(Malformed::byte(at, Wrong::KeyId)) }
    }

    /// Its public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs with Ed25519, whatever the message.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.verifier.to_string()).finish()
    }
}

/// The text of a private key, `PRIVATE+KEY+name+id+base64`, as other programs that sign notes read it.
///
/// # Errors
/// [`Wrong::KeyName`].
pub fn skey_text(
    name: &str,
    kind: KeyKind,
    seed: &Zeroizing<[u8; ED25519_BYTES]>,
) -> Result<Zeroizing<String>, Malformed> {
    let id = SigningKey::from_seed(name, kind, seed)?.verifier.id;
    let mut bytes = Zeroizing::new([0; 1 + ED25519_BYTES]);
    bytes[0] = kind.byte();
    bytes[1..].copy_from_slice(seed.as_slice());
    let secret = Zeroizing::new(STANDARD.encode(*bytes));
    Ok(Zeroizing::new(format!("{SECRET}{name}+{id:08x}+{}", *secret)))
}

type Parts<'a> = (&'a str, u32, Zeroizing<Vec<u8>>);

/// Name, id and bytes of `name+id+base64`, which began at byte `start` of what was given.
fn parts(text: &str, start: usize) -> Result<Parts<'_>, Malformed> {
    if text.len() > KEY_BYTES_MAX {
        return Err(Malformed::byte(start + KEY_BYTES_MAX, Wrong::TooLong(KEY_BYTES_MAX)));
    }
    let ended = Malformed::byte(start + text.len(), Wrong::KeyText);
    let (name, rest) = text.split_once('+').ok_or(ended)?;
    let (id, bytes) = rest.split_once('+').ok_or(ended)?;
    if !is_name(name) {
        return Err(Malformed::byte(start, Wrong::KeyName));
    }
    let at = start + name.len() + 1;
    let hex = id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id = hex.then(|| u32::from_str_radix(id, 16).ok()).flatten();
    let id = id.ok_or(Malformed::byte(at, Wrong::KeyText))?;
    let bytes = STANDARD.decode(bytes).map_err(|_| Malformed::byte(at + 9, Wrong::Base64))?;
    Ok((name, id, Zeroizing::new(bytes)))
}

/// Type and 32 bytes of a key.
fn typed(bytes: &[u8], end: usize) -> Result<(KeyKind, &[u8; ED25519_BYTES]), Malformed> {
    let (kind, key) = bytes.split_first().ok_or(Malformed::byte(end, Wrong::KeyLength))?;
    let kind = KeyKind::from_byte(*kind).ok_or(Malformed::byte(end, Wrong::KeyType))?;
    Ok((kind, key.try_into().map_err(|_| Malformed::byte(end, Wrong::KeyLength))?))
}
