//! Heads of a log (C2SP tlog-checkpoint).

use crate::hash::Hash;
use crate::keys::VerifierKey;
use crate::lines::{Lines, number, text_of};
use crate::malformed::{Malformed, Wrong};
use crate::note::{Note, OpenError, TEXT_BYTES_MAX, Verified};

/// What a log says of itself: how many leaves it has, and their root. `Display` is the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    extensions: Vec<String>,
}

/// A checkpoint that a trusted key of its log signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<'k> {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note that it is in, with all of its signatures.
    pub note: Note,
    /// Which of the known keys signed it, each once.
    pub signed: Vec<Verified<'k>>,
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    ///
    /// # Errors
    /// When the origin is empty or not one line, or the size above [`crate::SIZE_MAX`].
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, Malformed> {
        let checkpoint = Self { origin: origin.into(), size, root, extensions: Vec::new() };
        // What is written must read as the same.
        match Self::parse(&checkpoint.to_string())? {
            same if same == checkpoint => Ok(checkpoint),
            _ => Err(Malformed::line(1, Wrong::Origin)),
        }
    }

    /// The checkpoint that the text of a note is.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Self::parse_from(text, 1)
    }

    pub(crate) fn parse_from(text: &str, first: usize) -> Result<Self, Malformed> {
        text_of(text.as_bytes(), TEXT_BYTES_MAX)?;
        let mut lines = Lines::new(text, first);
        let origin = lines.next()?;
        if origin.is_empty() {
            return Err(Malformed::line(first, Wrong::Origin));
        }
        let size = number(lines.next()?).map_err(|wrong| Malformed::line(first + 1, wrong))?;
        let root = Hash::from_base64(lines.next()?).map_err(|wrong| Malformed::line(first + 2, wrong))?;
        let mut extensions = Vec::new();
        while !lines.rest().is_empty() {
            let number = lines.number();
            match lines.next()? {
                "" => return Err(Malformed::line(number, Wrong::EmptyLine)),
                line => extensions.push(line.into()),
            }
        }
        Ok(Self { origin: origin.into(), size, root, extensions })
    }

    /// Which log's it is.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Lines after the third, without their newlines. What they say is the log's own; no witness looks at them.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The note of this checkpoint, to be signed.
    ///
    /// # Errors
    /// When it is longer than a note may be.
    pub fn to_note(&self) -> Result<Note, Malformed> {
        Note::new(self.to_string())
    }

    /// The checkpoint in a note, when it is of this log and a known key signed it.
    ///
    /// # Errors
    /// What is wrong with it, [`OpenError::Origin`], or why it is not to be believed.
    pub fn open<'k>(bytes: &[u8], origin: &str, known: &'k [VerifierKey]) -> Result<Opened<'k>, OpenError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != origin {
            return Err(OpenError::Origin);
        }
        let signed = note.open(known)?;
        Ok(Opened { checkpoint, note, signed })
    }
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
