//! Signed notes (C2SP signed-note) and timestamped cosignatures of them (C2SP tlog-cosignature).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::SIZE_MAX;
use crate::keys::{KeyKind, SigningKey, VerifierKey, is_name};
use crate::lines::{Lines, text_of};
use crate::malformed::{Malformed, Wrong};

/// The longest note, in bytes: room for the most signatures there may be, were each an ML-DSA-44 one.
pub const NOTE_BYTES_MAX: usize = 128 * 1_024;
/// The longest text of a note, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1_024;
/// The most signatures in a note. Verifiers must accept 16 at least.
pub const SIGNATURES_MAX: usize = 32;

const DASH: &str = "\u{2014} ";

/// One signature of a note: who says to have signed, and what. `Display` is its line, without the newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    id: u32,
    bytes: Vec<u8>,
}

impl SignatureLine {
    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What follows the id: of a cosignature the time and then the signature.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Signature lines and nothing else, as a witness answers them; at least one.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse_lines(bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        signatures(&mut Lines::new(text_of(bytes, NOTE_BYTES_MAX)?, 1))
    }

    fn parse(line: &str) -> Result<Self, Wrong> {
        let (name, bytes) =
            line.strip_prefix(DASH).and_then(|l| l.split_once(' ')).ok_or(Wrong::SignatureLine)?;
        if !is_name(name) {
            return Err(Wrong::KeyName);
        }
        let bytes = STANDARD.decode(bytes).map_err(|_| Wrong::Base64)?;
        let (id, bytes) = bytes.split_first_chunk().ok_or(Wrong::SignatureLine)?;
        if bytes.is_empty() {
            return Err(Wrong::SignatureLine);
        }
        Ok(Self { name: name.into(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
    }

    /// When it says to have been made, if this key's signatures say it, and whether it is this key's over this text.
    fn verified(&self, key: &VerifierKey, text: &str) -> Option<Option<u64>> {
        match key.kind() {
            KeyKind::Ed25519 => key.verifies(text.as_bytes(), &self.bytes).then_some(None),
            KeyKind::CosignatureV1 => {
                let (time, signature) = self.bytes.split_first_chunk()?;
                let time = u64::from_be_bytes(*time);
                let signed = time <= SIZE_MAX && key.verifies(cosigned(text, time).as_bytes(), signature);
                signed.then_some(Some(time))
            }
        }
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "{DASH}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// What a cosigner signs (C2SP tlog-cosignature, section "Ed25519 signed message").
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

fn signatures(lines: &mut Lines<'_>) -> Result<Vec<SignatureLine>, Malformed> {
    let mut found = Vec::new();
    while !lines.rest().is_empty() {
        let number = lines.number();
        if found.len() == SIGNATURES_MAX {
            return Err(Malformed::line(number, Wrong::TooManySignatures(SIGNATURES_MAX)));
        }
        let line = lines.next()?;
        found.push(SignatureLine::parse(line).map_err(|wrong| Malformed::line(number, wrong))?);
    }
    if found.is_empty() { Err(Malformed::line(lines.number(), Wrong::NoSignature)) } else { Ok(found) }
}

/// A text and its signatures. `Display` is the note. What is in it says nothing until it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

/// A known key's signature that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'k> {
    /// The key.
    pub key: &'k VerifierKey,
    /// When it was made, in seconds since 1970, if it is a cosignature. The cosigner says so.
    pub time: Option<u64>,
}

/// Why a note is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no note, or not one of the kind that was asked for.
    #[error("not a note of this kind: {0}")]
    Malformed(#[from] Malformed),
    /// It says to be signed by a known key, and is not.
    #[error("line {line}: not a signature of {name}")]
    BadSignature {
        /// Which line of the note.
        line: usize,
        /// The key's name.
        name: String,
    },
    /// No known key signed it.
    #[error("no key that is trusted signed it")]
    NotSigned,
    /// It is a checkpoint of another log.
    #[error("it is of another log")]
    Origin,
}

/// Why a note cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is for the other kind of signature.
    #[error("the key is not for signatures of this kind")]
    Kind,
    /// The time is above 2^63 - 1, or 0.
    #[error("not a time at which a cosignature can be made")]
    Time,
    /// It has as many signatures as it may have, or would be longer than a note may be.
    #[error("the note has no room for another signature")]
    Full,
}

impl Note {
    /// A text that nobody has signed yet.
    ///
    /// # Errors
    /// When it does not end with a newline, has control characters or is too long.
    pub fn new(text: String) -> Result<Self, Malformed> {
        text_of(text.as_bytes(), TEXT_BYTES_MAX)?;
        if text.ends_with('\n') {
            Ok(Self { text, signatures: Vec::new() })
        } else {
            Err(Malformed::byte(text.len(), Wrong::NoFinalNewline))
        }
    }

    /// The note that bytes are.
    ///
    /// # Errors
    /// What is wrong, and at which byte or in which line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::parse_from(text_of(bytes, NOTE_BYTES_MAX)?, 1)
    }

    /// The note that is the rest of a text, from the line with this number on.
    pub(crate) fn parse_from(note: &str, first: usize) -> Result<Self, Malformed> {
        let lines = note.bytes().filter(|b| *b == b'\n').count();
        if !note.ends_with('\n') {
            return Err(Malformed::line(first + lines, Wrong::NoFinalNewline));
        }
        // The last empty line: the text may have others.
        let empty = note.rfind("\n\n").ok_or(Malformed::line(first + lines, Wrong::NoEmptyLine))?;
        let (text, rest) = note.split_at(empty + 1);
        let rest = rest.strip_prefix('\n').unwrap_or(rest);
        for (part, max) in [(note, NOTE_BYTES_MAX), (text, TEXT_BYTES_MAX)] {
            if part.len() > max {
                return Err(Malformed::line(first, Wrong::TooLong(max)));
            }
        }
        let above = text.bytes().filter(|b| *b == b'\n').count() + 1;
        let signatures = signatures(&mut Lines::new(rest, first + above))?;
        Ok(Self { text: text.into(), signatures })
    }

    /// What is signed, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Who says to have signed it.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Signs the text with an Ed25519 key.
    ///
    /// # Errors
    /// [`SignError::Kind`], [`SignError::Full`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), SignError> {
        if key.verifier().kind() != KeyKind::Ed25519 {
            return Err(SignError::Kind);
        }
        let bytes = key.sign(self.text.as_bytes());
        self.add(line_of(key, bytes))
    }

    /// The cosignature of the text at a time, in seconds since 1970. It is not added.
    ///
    /// # Errors
    /// [`SignError::Kind`], [`SignError::Time`].
    pub fn cosignature(&self, key: &SigningKey, time: u64) -> Result<SignatureLine, SignError> {
        if key.verifier().kind() != KeyKind::CosignatureV1 {
            return Err(SignError::Kind);
        }
        if time == 0 || time > SIZE_MAX {
            return Err(SignError::Time);
        }
        let mut bytes = time.to_be_bytes().to_vec();
        bytes.extend(key.sign(cosigned(&self.text, time).as_bytes()));
        Ok(line_of(key, bytes))
    }

    /// Adds a signature in the place of one of the same key, or as the last. Whether it is right shows when it is opened.
    ///
    /// # Errors
    /// [`SignError::Full`].
    pub fn add(&mut self, signature: SignatureLine) -> Result<(), SignError> {
        let at = self.signatures.iter().position(|s| s.id == signature.id && s.name == signature.name);
        let mut signatures = self.signatures.clone();
        match at.and_then(|at| signatures.get_mut(at)) {
            Some(before) => *before = signature,
            None => signatures.push(signature),
        }
        let added = Self { text: self.text.clone(), signatures };
        if added.signatures.len() > SIGNATURES_MAX || added.to_string().len() > NOTE_BYTES_MAX {
            return Err(SignError::Full);
        }
        *self = added;
        Ok(())
    }

    /// Which of the known keys signed it, each once. Signatures of others are ignored.
    ///
    /// # Errors
    /// [`OpenError::BadSignature`] when one that says to be of a known key is not; [`OpenError::NotSigned`] when there is none
    /// of a known key.
    pub fn open<'k>(&self, known: &'k [VerifierKey]) -> Result<Vec<Verified<'k>>, OpenError> {
        let mut found: Vec<Verified<'k>> = Vec::new();
        let above = self.text.bytes().filter(|b| *b == b'\n').count() + 1;
        for (at, signature) in self.signatures.iter().enumerate() {
            let same = |key: &&VerifierKey| key.id() == signature.id && key.name() == signature.name;
            let Some(key) = known.iter().find(same) else { continue };
            let Some(time) = signature.verified(key, &self.text) else {
                return Err(OpenError::BadSignature { line: above + at + 1, name: key.name().into() });
            };
            if !found.iter().any(|other| other.key == key) {
                found.push(Verified { key, time });
            }
        }
        if found.is_empty() { Err(OpenError::NotSigned) } else { Ok(found) }
    }
}

fn line_of(key: &SigningKey, bytes: Vec<u8>) -> SignatureLine {
    SignatureLine { name: key.verifier().name().into(), id: key.verifier().id(), bytes }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}
