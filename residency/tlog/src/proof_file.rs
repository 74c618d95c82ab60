//! The one file that shows somebody who is offline that a record is in a log (C2SP tlog-proof).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::keys::{KeyKind, VerifierKey};
use crate::lines::{Lines, number, text_of};
use crate::malformed::{Malformed, Wrong};
use crate::note::{NOTE_BYTES_MAX, Note, OpenError};
use crate::verify::{ProofError, verify_inclusion};

const VERSION: &str = "c2sp.org/tlog-proof@v1";
/// The most that may be carried beside the proof, in bytes.
const EXTRA_BYTES_MAX: usize = 128 * 1_024;
const FILE_BYTES_MAX: usize = NOTE_BYTES_MAX + EXTRA_BYTES_MAX.div_ceil(3) * 4 + 8 * 1_024;

/// A proof that a leaf is in a log, with the checkpoint that it leads to. `Display` is the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    extra: Option<Vec<u8>>,
    index: u64,
    path: Vec<Hash>,
    note: Note,
    checkpoint: Checkpoint,
}

/// Whom the reader of a proof believes.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// The log.
    pub origin: &'a str,
    /// Keys of the log, of which one must have signed. Give no witness's key here.
    pub log: &'a [VerifierKey],
    /// Keys of witnesses.
    pub witnesses: &'a [VerifierKey],
    /// How many witnesses must have cosigned, by their names: a witness with two keys counts once.
    pub required: usize,
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// The checkpoint is not the log's.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[source] OpenError),
    /// Too few witnesses cosigned.
    #[error("{cosigned} of the witnesses cosigned, {required} must have")]
    Witnesses {
        /// How many did.
        cosigned: usize,
        /// How many must have.
        required: usize,
    },
    /// The leaf is not shown to be in the tree.
    #[error("the proof: {0}")]
    Proof(#[from] ProofError),
}

/// What a proof that was verified shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The leaf's index.
    pub index: u64,
    /// The size of the tree that it is in.
    pub size: u64,
    /// The witnesses that cosigned, by name, and when each says that it did, in seconds since 1970.
    pub witnesses: Vec<(String, Option<u64>)>,
}

impl ProofFile {
    /// The file for a leaf. `extra` is not authenticated by anything: what is in it must prove itself.
    ///
    /// # Errors
    /// When a part is longer than it may be, or the note holds no signed checkpoint.
    pub fn new(extra: Option<Vec<u8>>, index: u64, path: Vec<Hash>, note: Note) -> Result<Self, Malformed> {
        let checkpoint = Checkpoint::parse(note.text())?;
        // What is written must read as the same.
        Self::parse(Self { extra, index, path, note, checkpoint }.to_string().as_bytes())
    }

    /// The proof that a file's bytes are.
    ///
    /// # Errors
    /// What is wrong, and at which byte or in which line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut lines = Lines::new(text_of(bytes, FILE_BYTES_MAX)?, 1);
        if !lines.after(VERSION)?.is_empty() {
            return Err(Malformed::line(1, Wrong::Header(VERSION)));
        }
        let extra =
            if lines.rest().starts_with("extra ") { Some(extra(lines.after("extra ")?)?) } else { None };
        let at = lines.number();
        let index = number(lines.after("index ")?).map_err(|wrong| Malformed::line(at, wrong))?;
        let path = lines.hashes()?;
        let first = lines.number();
        let note = Note::parse_from(lines.rest(), first)?;
        let checkpoint = Checkpoint::parse_from(note.text(), first)?;
        Ok(Self { extra, index, path, note, checkpoint })
    }

    /// What is carried beside the proof.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Which leaf it says that it is about.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof, the leaf's sibling first.
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// The checkpoint, which nothing says to be the log's until it was verified.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note that the checkpoint is in.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Verifies that the leaf with this hash is in the log, for those who believe `trust`.
    ///
    /// # Errors
    /// When it is not the log's checkpoint, too few witnesses cosigned it, or the leaf is not in it.
    pub fn verify(&self, leaf: &Hash, trust: &Trust<'_>) -> Result<Shown, ProofFileError> {
        if self.checkpoint.origin() != trust.origin {
            return Err(ProofFileError::Checkpoint(OpenError::Origin));
        }
        self.note.open(trust.log).map_err(ProofFileError::Checkpoint)?;
        let witnesses = self.cosigned(trust)?;
        verify_inclusion(leaf, self.index, self.checkpoint.size, &self.path, &self.checkpoint.root)?;
        Ok(Shown { index: self.index, size: self.checkpoint.size, witnesses })
    }

    /// The witnesses that cosigned, each once.
    fn cosigned(&self, trust: &Trust<'_>) -> Result<Vec<(String, Option<u64>)>, ProofFileError> {
        let cosigned = match self.note.open(trust.witnesses) {
            Ok(cosigned) => cosigned,
            Err(OpenError::NotSigned) => Vec::new(),
            Err(why) => return Err(ProofFileError::Checkpoint(why)),
        };
        let mut names: Vec<(String, Option<u64>)> = Vec::new();
        for one in cosigned.iter().filter(|one| one.key.kind() == KeyKind::CosignatureV1) {
            if !names.iter().any(|(name, _)| name == one.key.name()) {
                names.push((one.key.name().into(), one.time));
            }
        }
        if names.len() < trust.required {
            return Err(ProofFileError::Witnesses { cosigned: names.len(), required: trust.required });
        }
        Ok(names)
    }
}

/// The bytes of the second line.
fn extra(base64: &str) -> Result<Vec<u8>, Malformed> {
    let bytes = STANDARD.decode(base64).map_err(|_| Malformed::line(2, Wrong::Base64))?;
    if bytes.len() > EXTRA_BYTES_MAX {
        return Err(Malformed::line(2, Wrong::TooLong(EXTRA_BYTES_MAX)));
    }
    Ok(bytes)
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}
