//! Bundles: a log's entries, 256 to a file (C2SP tlog-tiles, section "Log entries").

use crate::malformed::{Malformed, Wrong};

/// The longest entry, in bytes: its length is written in 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// Which bundle: the `index`-th from the left, with the first `width` of its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bundle {
    /// Which one, from the left.
    pub index: u64,
    /// How many entries, 1 to 256. Below 256 it is partial: a larger log replaces it.
    pub width: u16,
}

/// An entry of more than [`ENTRY_BYTES_MAX`] bytes: no bundle can hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry of {bytes} bytes fits in no bundle")]
pub struct EntryTooLong {
    /// How many it has.
    pub bytes: usize,
}

/// Writes an entry behind those that a bundle has already.
///
/// # Errors
/// When it is too long; the bundle is as it was.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong { bytes: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries in a bundle's bytes, in order, without copying: as many as its width says and nothing after them. The first
/// error ends it.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Entries<'a> {
    /// Reads the bundle from its start.
    pub fn new(bundle: Bundle, bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, left: bundle.width }
    }

    fn entry(&mut self) -> Result<&'a [u8], Malformed> {
        let short = Malformed::byte(self.at, Wrong::TooShort);
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let entry = rest.get(..length).ok_or(short)?;
        self.at += 2 + length;
        if self.left == 1 && self.at < self.bytes.len() {
            return Err(Malformed::byte(self.at, Wrong::Trailing));
        }
        Ok(entry)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let entry = self.entry();
        self.left = if entry.is_err() { 0 } else { self.left - 1 };
        Some(entry)
    }
}
