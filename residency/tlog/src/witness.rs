//! Witnessing another's log (C2SP tlog-witness): the request, and what is answered to it.
//!
//! [`decide`] is a function of what the witness last cosigned and of the request, and of nothing else. The caller reads
//! [`Latest`] and writes the new one in one transaction, which must be durable before the cosignature leaves: two requests
//! that are decided on the same state would let the log go back.
//!
//! What the log itself makes of the answer: a conflict with a size above its own says that it was rewound.

use std::fmt;

use crate::checkpoint::Checkpoint;
use crate::hash::{EMPTY_ROOT, Hash};
use crate::keys::VerifierKey;
use crate::lines::{Lines, number, text_of};
use crate::malformed::Malformed;
use crate::note::{NOTE_BYTES_MAX, Note, OpenError};
use crate::verify::{ProofError, verify_consistency};

/// The longest body: the longest note, the most hashes of a proof, the line with the old size.
pub const BODY_BYTES_MAX: usize = NOTE_BYTES_MAX + 4 * 1_024;

/// The body of `add-checkpoint`. `Display` is its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness is said to have cosigned last; 0 for none.
    pub old: u64,
    /// The consistency proof from there.
    pub proof: Vec<Hash>,
    note: Note,
    checkpoint: Checkpoint,
}

impl AddCheckpoint {
    /// The request for a signed checkpoint.
    ///
    /// # Errors
    /// When the note holds no checkpoint, has no signature, or the proof has too many hashes.
    pub fn new(old: u64, proof: Vec<Hash>, note: Note) -> Result<Self, Malformed> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let request = Self { old, proof, note, checkpoint };
        Self::parse(request.to_string().as_bytes())
    }

    /// The request that a body is.
    ///
    /// # Errors
    /// What is wrong, and in which line. A witness answers 400.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut lines = Lines::new(text_of(body, BODY_BYTES_MAX)?, 1);
        let old = number(lines.after("old ")?).map_err(|wrong| Malformed::line(1, wrong))?;
        let proof = lines.hashes()?;
        let first = lines.number();
        let note = Note::parse_from(lines.rest(), first)?;
        let checkpoint = Checkpoint::parse_from(note.text(), first)?;
        Ok(Self { old, proof, note, checkpoint })
    }

    /// The checkpoint. Whether a key signed it that is trusted for its origin, [`decide`] looks at.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note that the checkpoint is in: what is cosigned.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// What it would have the witness hold.
    fn shown(&self) -> Latest {
        Latest { size: self.checkpoint.size, root: self.checkpoint.root, note: self.note.to_string() }
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

/// A log's checkpoint as a witness keeps it: the last one that it cosigned, and the note that the log signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The whole note, which is evidence against the log should it show another.
    pub note: String,
}

/// Two checkpoints of one log, both signed by it, that are not consistent or were not shown to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Views {
    /// The one that the witness cosigned last.
    pub held: Latest,
    /// The one that it was shown.
    pub shown: Latest,
}

/// What a witness does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Keep this, durably, and then answer with the cosignature: 200. It may be what is kept already, of the same size.
    Cosign(Latest),
    /// Refuse, and keep what is kept.
    Refuse(Refusal),
    /// Refuse, and raise an alarm: the log signed two roots for one size. The two notes prove it to anybody.
    SplitView {
        /// Both checkpoints.
        views: Box<Views>,
        /// What the caller is told.
        refusal: Refusal,
    },
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not witness a log of that origin.
    #[error("a log of this origin is not witnessed here")]
    UnknownOrigin,
    /// No key that is trusted for the origin signed it, or one is said to have and has not.
    #[error("no key that is trusted for this origin signed it")]
    NotSigned(#[source] OpenError),
    /// The old size is above the checkpoint's.
    #[error("the old size {old} is above the checkpoint's, {size}")]
    OldAboveSize {
        /// The old size.
        old: u64,
        /// The checkpoint's.
        size: u64,
    },
    /// The old size is not that of the last checkpoint that was cosigned. The answer's body is that size and a newline, its
    /// type [`SIZE_TYPE`].
    #[error("the last checkpoint that was cosigned has {size} leaves")]
    Conflict {
        /// The last one's.
        size: u64,
    },
    /// The proof does not show that the checkpoint goes on from the last one. The log may have been forked, or a proof
    /// have gone wrong: the checkpoint alone does not say which. `views` has what was compared.
    #[error("not shown to be consistent with the last checkpoint: {why}")]
    BadProof {
        /// What is wrong with the proof.
        why: ProofError,
        /// What was compared, when the witness holds something of that log.
        views: Option<Box<Views>>,
    },
}

/// The media type of a conflict's body.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

impl Refusal {
    /// The HTTP status that C2SP tlog-witness gives it.
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownOrigin => 404,
            Self::NotSigned(_) => 403,
            Self::OldAboveSize { .. } => 400,
            Self::Conflict { .. } => 409,
            Self::BadProof { .. } => 422,
        }
    }

    /// The body that C2SP tlog-witness asks for: of a conflict, and of nothing else.
    pub fn body(&self) -> Option<String> {
        match self {
            Self::Conflict { size } => Some(format!("{size}\n")),
            _ => None,
        }
    }
}

impl Decision {
    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosign(_) => 200,
            Self::Refuse(refusal) | Self::SplitView { refusal, .. } => refusal.status(),
        }
    }
}

/// Decides about a request. `log` are the keys that are trusted for the checkpoint's origin, `None` when the witness does
/// not know it; `last` is what it keeps of that origin, `None` when it never cosigned anything of it.
///
/// Another root for the size that is held is a split view whatever else is wrong, once the log's key signed it.
pub fn decide(log: Option<&[VerifierKey]>, last: Option<&Latest>, request: &AddCheckpoint) -> Decision {
    let Some(keys) = log else {
        return Decision::Refuse(Refusal::UnknownOrigin);
    };
    if let Err(why) = request.note.open(keys) {
        return Decision::Refuse(Refusal::NotSigned(why));
    }
    let (size, root) = (request.checkpoint.size, request.checkpoint.root);
    let views = |held: &Latest| Box::new(Views { held: held.clone(), shown: request.shown() });
    let refusal = refusal(last, request).map(|refusal| match (refusal, last) {
        (Refusal::BadProof { why, .. }, Some(held)) => Refusal::BadProof { why, views: Some(views(held)) },
        (other, _) => other,
    });
    match (last, refusal) {
        (Some(held), Some(refusal)) if held.size == size && held.root != root => {
            Decision::SplitView { views: views(held), refusal }
        }
        (_, Some(refusal)) => Decision::Refuse(refusal),
        (_, None) => Decision::Cosign(request.shown()),
    }
}

/// What is wrong with a request whose checkpoint is signed, in the order of C2SP tlog-witness.
fn refusal(last: Option<&Latest>, request: &AddCheckpoint) -> Option<Refusal> {
    let (held, root) = last.map_or((0, EMPTY_ROOT), |last| (last.size, last.root));
    let (old, size) = (request.old, request.checkpoint.size);
    if old > size {
        return Some(Refusal::OldAboveSize { old, size });
    }
    if old != held {
        return Some(Refusal::Conflict { size: held });
    }
    let shown = verify_consistency(old, &root, size, &request.checkpoint.root, &request.proof);
    shown.err().map(|why| Refusal::BadProof { why, views: None })
}
