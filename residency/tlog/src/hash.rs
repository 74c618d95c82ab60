//! SHA-256 as RFC 6962 section 2.1 uses it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256, digest};

use crate::malformed::Wrong;

/// The length of a hash.
pub const HASH_BYTES: usize = 32;

/// The root of the tree without leaves: the hash of nothing.
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
    0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// A SHA-256: of a leaf, of a node, of a tree. Shown in base64, as every text of C2SP has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    /// The hash that these bytes are; `None` if they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// The hash that is spelt so in base64; the one spelling, padded.
    ///
    /// # Errors
    /// [`Wrong::Base64`], [`Wrong::HashLength`].
    pub fn from_base64(text: &str) -> Result<Self, Wrong> {
        // 44 characters are at most 33 bytes.
        let mut bytes = [0; HASH_BYTES + 1];
        if text.len() != 44 {
            return Err(Wrong::HashLength);
        }
        let length = STANDARD.decode_slice(text, &mut bytes).map_err(|_| Wrong::Base64)?;
        bytes.get(..length).and_then(Self::from_slice).ok_or(Wrong::HashLength)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 44];
        let length = STANDARD.encode_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        let text = text.get(..length).and_then(|t| std::str::from_utf8(t).ok()).ok_or(fmt::Error)?;
        f.write_str(text)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a leaf: SHA-256 of `0x00` and its data (RFC 6962 section 2.1).
pub fn leaf_hash(data: &[u8]) -> Hash {
    // Most leaves fit here, and one call is cheaper than a context.
    let mut short = [0; 128];
    if let Some(room) = short.get_mut(1..=data.len()) {
        room.copy_from_slice(data);
        return finished(digest(&SHA256, short.get(..=data.len()).unwrap_or_default()));
    }
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(data);
    finished(context.finish())
}

/// The hash of a node: SHA-256 of `0x01`, its left child and its right one (RFC 6962 section 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * HASH_BYTES];
    bytes[1..=HASH_BYTES].copy_from_slice(&left.0);
    bytes[1 + HASH_BYTES..].copy_from_slice(&right.0);
    finished(digest(&SHA256, &bytes))
}

pub(crate) fn finished(digest: ring::digest::Digest) -> Hash {
    let mut bytes = [0; HASH_BYTES];
    // A SHA-256 has 32 bytes; were it otherwise this hash would match nothing.
    if digest.as_ref().len() == HASH_BYTES {
        bytes.copy_from_slice(digest.as_ref());
    }
    Hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: Hash) -> String {
        use std::fmt::Write as _;
        hash.0.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    #[test]
    fn leaves_and_nodes_hash_as_rfc_6962_says() {
        assert_eq!(finished(digest(&SHA256, b"")), EMPTY_ROOT);
        assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(
            hex(leaf_hash(b"L123456")),
            "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
        );
        let (left, right) = (Hash(*b"N123N123N123N123N123N123N123N123"), Hash([b'x'; 32]));
        assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
    }

    #[test]
    fn a_leaf_of_any_length_hashes_the_same_way() {
        for length in [0, 1, 54, 55, 126, 127, 128, 129, 4_000, 65_535] {
            let data = vec![7; length];
            let mut whole = vec![0];
            whole.extend_from_slice(&data);
            assert_eq!(leaf_hash(&data), finished(digest(&SHA256, &whole)), "{length}");
        }
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let text = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        assert_eq!(Hash::from_base64(text).expect("a hash").to_string(), text);
        for (bad, why) in [
            ("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=", Wrong::Base64),
            ("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I", Wrong::HashLength),
            ("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2Ix", Wrong::HashLength),
            ("CsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=", Wrong::Base64),
            ("", Wrong::HashLength),
        ] {
            assert_eq!(Hash::from_base64(bad), Err(why), "{bad}");
        }
    }
}
