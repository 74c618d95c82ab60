//! What is wrong with an input, and where.

use std::fmt;

/// Where in an input something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// A line of a text, the first being 1.
    Line(usize),
    /// A byte of what was given, the first being 0.
    Byte(usize),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}

/// An input that is not what it should be. It repeats nothing of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {wrong}")]
pub struct Malformed {
    /// Where.
    pub at: At,
    /// What.
    pub wrong: Wrong,
}

impl Malformed {
    pub(crate) fn line(line: usize, wrong: Wrong) -> Self {
        Self { at: At::Line(line), wrong }
    }

    pub(crate) fn byte(byte: usize, wrong: Wrong) -> Self {
        Self { at: At::Byte(byte), wrong }
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// Longer than the limit, in bytes.
    #[error("more than {0} bytes")]
    TooLong(usize),
    /// It ends before it should.
    #[error("it ends too early")]
    TooShort,
    /// Something follows where nothing should.
    #[error("something follows the end")]
    Trailing,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// An ASCII control character other than a newline.
    #[error("a control character")]
    ControlCharacter,
    /// The last line has no newline.
    #[error("no newline at the end")]
    NoFinalNewline,
    /// No empty line between a text and its signatures, or before a checkpoint.
    #[error("no empty line before what is signed or its signatures")]
    NoEmptyLine,
    /// An empty line where none may be.
    #[error("an empty line")]
    EmptyLine,
    /// A note without any signature.
    #[error("no signature")]
    NoSignature,
    /// More signatures than the limit.
    #[error("more than {0} signatures")]
    TooManySignatures(usize),
    /// A line that is not `— name base64`.
    #[error("not a signature line")]
    SignatureLine,
    /// A key's name that is empty, or has a space or a plus.
    #[error("not a key's name")]
    KeyName,
    /// A key that is not spelt `name+id+base64`.
    #[error("not a key")]
    KeyText,
    /// A key's id that is not the one its name and bytes give.
    #[error("the key's id is of another key")]
    KeyId,
    /// A type of key that cannot be used here.
    #[error("a type of key that is not known")]
    KeyType,
    /// A key of another length than its type's.
    #[error("a key of the wrong length")]
    KeyLength,
    /// Not base64 (RFC 4648 section 4, padded, no unused bits set).
    #[error("not base64")]
    Base64,
    /// Base64 of something else than 32 bytes.
    #[error("not a hash of 32 bytes")]
    HashLength,
    /// Not a decimal number without leading zeros.
    #[error("not a decimal number")]
    Number,
    /// A number above the limit.
    #[error("a number that is too large")]
    TooLarge,
    /// More lines of a proof than the limit.
    #[error("more than {0} hashes in a proof")]
    TooManyHashes(usize),
    /// Another first word or line than this.
    #[error("it does not begin with {0:?}")]
    Header(&'static str),
    /// An origin that is empty.
    #[error("no origin")]
    Origin,
    /// A path that names no resource of a log, or names it in another way than its one spelling.
    #[error("not a path of a log")]
    Path,
    /// A leaf that does not begin with the version that is known.
    #[error("a leaf of an unknown version")]
    LeafVersion,
}
