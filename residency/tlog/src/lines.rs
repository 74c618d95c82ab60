//! Reading a text line by line, with the numbers of its lines.

use crate::hash::Hash;
use crate::malformed::{Malformed, Wrong};
use crate::{PROOF_LINES_MAX, SIZE_MAX};

/// What is left of a text. Every line must end with a newline.
pub(crate) struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The text whose first line has this number.
    pub(crate) fn new(text: &'a str, number: usize) -> Self {
        Self { rest: text, number }
    }

    /// The number of the next line.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Everything that was not read.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    /// The next line without its newline.
    pub(crate) fn next(&mut self) -> Result<&'a str, Malformed> {
        let wrong = if self.rest.is_empty() { Wrong::TooShort } else { Wrong::NoFinalNewline };
        let (line, rest) = self.rest.split_once('\n').ok_or(self.wrong_here(wrong))?;
        self.rest = rest;
        self.number += 1;
        Ok(line)
    }

    /// The next line without its newline, which must begin so, and what follows that.
    pub(crate) fn after(&mut self, header: &'static str) -> Result<&'a str, Malformed> {
        let wrong = self.wrong_here(Wrong::Header(header));
        self.next()?.strip_prefix(header).ok_or(wrong)
    }

    /// Hashes, one a line, up to the empty line that ends them.
    pub(crate) fn hashes(&mut self) -> Result<Vec<Hash>, Malformed> {
        let mut hashes = Vec::new();
        loop {
            let number = self.number;
            let line = self.next()?;
            if line.is_empty() {
                return Ok(hashes);
            }
            if hashes.len() == PROOF_LINES_MAX {
                return Err(Malformed::line(number, Wrong::TooManyHashes(PROOF_LINES_MAX)));
            }
            hashes.push(Hash::from_base64(line).map_err(|wrong| Malformed::line(number, wrong))?);
        }
    }

    fn wrong_here(&self, wrong: Wrong) -> Malformed {
        Malformed::line(self.number, wrong)
    }
}

/// A decimal number without leading zeros, up to [`SIZE_MAX`].
pub(crate) fn number(text: &str) -> Result<u64, Wrong> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(Wrong::Number);
    }
    text.parse().ok().filter(|number| *number <= SIZE_MAX).ok_or(Wrong::TooLarge)
}

/// The text that bytes are: of at most so many, UTF-8, without control characters but newlines.
pub(crate) fn text_of(bytes: &[u8], max: usize) -> Result<&str, Malformed> {
    if bytes.len() > max {
        return Err(Malformed::byte(max, Wrong::TooLong(max)));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| Malformed::byte(error.valid_up_to(), Wrong::NotUtf8))?;
    match text.bytes().position(|b| b < b' ' && b != b'\n') {
        Some(at) => Err(Malformed::byte(at, Wrong::ControlCharacter)),
        None => Ok(text),
    }
}
