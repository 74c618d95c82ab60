//! A leaf that says nothing of its record until the record and its salt are shown.
//!
//! A leaf's data is [`VERSION`] and then HMAC-SHA-256 (RFC 2104) with the salt as the key over the record's bytes: 54 bytes
//! always, which with the byte that RFC 6962 puts before them fill one block of SHA-256.
//!
//! - It hides. The salt is 32 bytes that nobody else knows and that no other leaf has. To whom the key is unknown, HMAC's
//!   output is not to be told from random bytes, whatever is known or guessed of the record, and the length of the leaf is
//!   always the same. A plain hash of the record would be found by trying the records that there can be.
//! - It binds. Salts of one length make one key each, so that two pairs of salt and record with the same commitment would be
//!   a collision of SHA-256. Who published a leaf cannot show another record for it, nor the same record with another salt.
//! - Who destroys a salt makes its leaf say nothing for ever, and every proof of the tree is as valid as before.
//!
//! What is not hidden: that there is a record, where it stands in the log, and when its checkpoint was signed.

use std::fmt;

use ring::hmac;
use zeroize::Zeroize;

use crate::hash::{HASH_BYTES, Hash, leaf_hash};
use crate::malformed::{Malformed, Wrong};

/// What the data of a leaf begins with.
pub const VERSION: &[u8; 22] = b"domicile-audit-leaf/v1";
/// How many bytes the data of a leaf has.
pub const LEAF_BYTES: usize = VERSION.len() + HASH_BYTES;
/// How many bytes a salt has.
pub const SALT_BYTES: usize = 32;

/// What makes a record impossible to guess from its leaf: random bytes, for one record only. Wiped when it goes, and never
/// printed.
#[derive(Clone)]
pub struct Salt([u8; SALT_BYTES]);

impl Salt {
    /// The salt of these bytes, which must be random and used for no other record.
    pub fn new(bytes: [u8; SALT_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes: who has them and guesses the record can say that the leaf is its.
    pub fn as_bytes(&self) -> &[u8; SALT_BYTES] {
        &self.0
    }
}

impl Drop for Salt {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// The data of a leaf, as it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf([u8; LEAF_BYTES]);

/// A record or a salt that is not the leaf's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the leaf is not of this record and this salt")]
pub struct NotItsRecord;

impl Leaf {
    /// The leaf of a record. The bytes are the caller's canonical ones: the same record must always give the same.
    pub fn of(salt: &Salt, record: &[u8]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salt.0), record);
        let mut bytes = [0; LEAF_BYTES];
        bytes[..VERSION.len()].copy_from_slice(VERSION);
        for (room, byte) in bytes[VERSION.len()..].iter_mut().zip(tag.as_ref()) {
            *room = *byte;
        }
        Self(bytes)
    }

    /// The leaf that published data is.
    ///
    /// # Errors
    /// [`Wrong::LeafVersion`], or at which byte it ends or should have ended.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let common = data.iter().zip(VERSION).take_while(|(a, b)| a == b).count();
        if common < VERSION.len().min(data.len()) {
            return Err(Malformed::byte(common, Wrong::LeafVersion));
        }
        if data.len() < LEAF_BYTES {
            return Err(Malformed::byte(data.len(), Wrong::TooShort));
        }
        data.try_into().map(Self).map_err(|_| Malformed::byte(LEAF_BYTES, Wrong::Trailing))
    }

    /// Its data.
    pub fn as_bytes(&self) -> &[u8; LEAF_BYTES] {
        &self.0
    }

    /// Its hash in the tree.
    pub fn hash(&self) -> Hash {
        leaf_hash(&self.0)
    }

    /// Whether it is the leaf of this record.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(&self, salt: &Salt, record: &[u8]) -> Result<(), NotItsRecord> {
        if *self == Self::of(salt, record) { Ok(()) } else { Err(NotItsRecord) }
    }
}
