//! The paths under which a log is published (C2SP tlog-tiles, section "APIs").

use std::fmt;

use crate::bundle::Bundle;
use crate::malformed::{Malformed, Wrong};
use crate::tile::{TILE_WIDTH, Tile};

/// The longest path: the largest index has 20 digits.
const PATH_BYTES_MAX: usize = 64;

/// One file of a log. `Display` is its path relative to the log's prefix, which has no slash before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `checkpoint`: the newest signed head.
    Checkpoint,
    /// `tile/0/x001/x234/067`, `tile/0/x001/x234/067.p/5`.
    Tile(Tile),
    /// `tile/entries/x001/x234/067`, `tile/entries/x001/x234/067.p/5`.
    Entries(Bundle),
}

impl Resource {
    /// The resource that a path relative to the log's prefix names. A resource has one path: another spelling is refused.
    ///
    /// # Errors
    /// [`Wrong::Path`] with the byte where it stops being one.
    pub fn parse(path: &str) -> Result<Self, Malformed> {
        if path.len() > PATH_BYTES_MAX {
            return Err(Malformed::byte(PATH_BYTES_MAX, Wrong::TooLong(PATH_BYTES_MAX)));
        }
        if path == "checkpoint" {
            return Ok(Self::Checkpoint);
        }
        let mut at = 0;
        let wrong = |at| Malformed::byte(at, Wrong::Path);
        let mut parts = path.split('/').map(|part| {
            let here = at;
            at += part.len() + 1;
            (here, part)
        });
        if parts.next() != Some((0, "tile")) {
            return Err(wrong(0));
        }
        let (level_at, level) = parts.next().ok_or(wrong(path.len()))?;
        let level = match level {
            "entries" => None,
            number => Some(decimal(number).filter(|level| *level <= 63).ok_or(wrong(level_at))?),
        };
        let mut index = 0_u64;
        let width = loop {
            let (here, part) = parts.next().ok_or(wrong(path.len()))?;
            let (more, digits) = part.strip_prefix('x').map_or((false, part), |digits| (true, digits));
            let (partial, digits) = digits.strip_suffix(".p").map_or((false, digits), |digits| (true, digits));
            let group = three(digits).filter(|_| !(more && partial)).ok_or(wrong(here))?;
            // A first group of zeros before others would be a second spelling.
            if more && index == 0 && group == 0 {
                return Err(wrong(here));
            }
            index = index.checked_mul(1_000).and_then(|n| n.checked_add(group)).ok_or(wrong(here))?;
            if partial {
                let (here, width) = parts.next().ok_or(wrong(path.len()))?;
                let width = decimal(width).and_then(|width| u16::try_from(width).ok());
                break width.filter(|width| (1..TILE_WIDTH).contains(width)).ok_or(wrong(here))?;
            }
            if !more {
                break TILE_WIDTH;
            }
        };
        if let Some((here, _)) = parts.next() {
            return Err(wrong(here));
        }
        match level.map(u8::try_from) {
            None => Ok(Self::Entries(Bundle { index, width })),
            Some(Ok(level)) => Ok(Self::Tile(Tile { level, index, width })),
            Some(Err(_)) => Err(wrong(level_at)),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Tile(tile) => {
                write!(f, "tile/{}/", tile.level)?;
                numbered(f, tile.index, tile.width)
            }
            Self::Entries(bundle) => {
                f.write_str("tile/entries/")?;
                numbered(f, bundle.index, bundle.width)
            }
        }
    }
}

/// The index in groups of three digits, all but the last with an `x`; the width when it is partial.
fn numbered(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let groups = (1..7).rev().map(|power| index / 1_000_u64.pow(power)).filter(|above| *above > 0);
    for above in groups {
        write!(f, "x{:03}/", above % 1_000)?;
    }
    write!(f, "{:03}", index % 1_000)?;
    if width < TILE_WIDTH {
        write!(f, ".p/{width}")?;
    }
    Ok(())
}

/// A decimal number without leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Three digits.
fn three(text: &str) -> Option<u64> {
    (text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}
