//! The keys themselves, open and wrapped.

use std::fmt;

use residency_policy::Entropy;
use zeroize::Zeroizing;

/// 32 bytes that seal. Zeroed when dropped, never printed, never copied.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A new key.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut());
        Self(bytes)
    }

    /// The key that these bytes are, unless there are not 32 of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The key's bytes, for a cipher.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// Names one data key. It is in the header of everything sealed under the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKeyId(pub [u8; 16]);

impl DataKeyId {
    /// A new id.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Display for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A data key as the KMS wrapped it. Only the KMS that wrapped it can say what is inside.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped(pub Vec<u8>);

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapped({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    /// Freed memory cannot be looked at without `unsafe`. That what holds the bytes is zeroed as it is dropped is in its
    /// type, and `envelope`'s tests show that whatever is dropped by a cache is.
    #[test]
    fn the_bytes_are_in_what_zeroes_itself() {
        fn zeroes_itself<T: ZeroizeOnDrop>(_: &T) {}
        let key = DataKey::from_slice(&[7; 32]).expect("32 bytes");
        zeroes_itself(&key.0);
        assert_eq!(key.bytes(), &[7; 32]);
        assert!(DataKey::from_slice(&[7; 31]).is_none());
    }
}
