//! AES-256-GCM, the one cipher here (NIST SP 800-38D), through ring.
//!
//! Nonces are random 96-bit. SP 800-38D section 8.3 allows 2^32 of them under one key. A key of one patient and
//! category seals a few cells per change of a record and stays below that by many orders of magnitude; the region's
//! own key seals one stored answer per registration of something that belongs to no patient, and
//! [`crate::Envelope::rotate`] replaces it. A counter would need a durable, shared and never restored state.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::DataKey;

/// The bytes of a nonce.
pub type NonceBytes = [u8; NONCE_LEN];

/// The bytes that sealing adds.
pub const TAG_LEN: usize = 16;

/// What was sealed under another key, for another purpose, or was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not open")]
pub struct DoesNotOpen;

fn cipher(key: &DataKey) -> LessSafeKey {
    match UnboundKey::new(&AES_256_GCM, key.bytes()) {
        Ok(key) => LessSafeKey::new(key),
        // The only reason for a refusal is a length other than 32, which the type rules out.
        Err(_) => unreachable!("a data key has 32 bytes"),
    }
}

/// Appends the sealed `plain` to `header`. `plain` is overwritten on the way and never left in memory.
pub fn seal(
    key: &DataKey,
    nonce: NonceBytes,
    bound_to: &[u8],
    mut plain: Zeroizing<Vec<u8>>,
    mut header: Vec<u8>,
) -> Vec<u8> {
    let Ok(tag) = cipher(key).seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(bound_to),
        &mut plain,
    ) else {
        // ring refuses only texts of 64 GiB and more.
        unreachable!("a cell is shorter than 64 GiB")
    };
    header.reserve_exact(plain.len() + TAG_LEN);
    header.extend_from_slice(&plain);
    header.extend_from_slice(tag.as_ref());
    header
}

/// Opens what [`seal`] appended.
pub fn open(
    key: &DataKey,
    nonce: NonceBytes,
    bound_to: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let length = cipher(key)
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut bytes)
        .map_err(|_| DoesNotOpen)?
        .len();
    bytes.truncate(length);
    Ok(bytes)
}
