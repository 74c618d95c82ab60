//! The region's audit log as this node keeps it: with which keys it signs, and how it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use residency_control::Signature64;
use residency_control::audit_log::{Cosignature, Head, LogKeys, origin, witness_name};
use residency_policy::{Label, Region};
use residency_tlog::{Checkpoint, Hash, KeyKind, Malformed, Note, SignError, SigningKey};
use storage::RegionPool;

use crate::exit::{Cause, Stop};

/// Keys and standing of one region's log.
pub struct AuditLog {
    origin: String,
    keys: LogKeys,
    log: SigningKey,
    witness: SigningKey,
    standing: Mutex<Standing>,
    suspects: Mutex<BTreeMap<Region, Suspicion>>,
}

/// How the log stands, as far as this node knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    /// Whether this node gives records their places.
    pub holds: bool,
    /// How many leaves it has.
    pub size: u64,
    /// How many records wait for their place, of which at most a bounded number are counted.
    pub waiting: u64,
    /// When the oldest of them was written.
    pub waiting_since: Option<Timestamp>,
    /// The newest head that was signed here.
    pub head: Option<Head>,
    /// When it was signed.
    pub signed_at: Option<Timestamp>,
    /// Why nothing is added any more.
    pub stopped: Option<Stopped>,
}

/// Why a log was stopped rather than forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The database has fewer leaves than were published: it is of an older backup, or another took over too early.
    Behind,
    /// The database has another tree than was published.
    Forked,
    /// What the database has is no tree.
    Damaged,
    /// The log was registered with other keys: the region's keyring is another.
    OtherKeys,
}

impl Stopped {
    /// What is wrong, and what an operator may do.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Behind => {
                "the database has fewer audit records than were published; find the database that has them, and see \
                 the runbook of the audit log before anything is added to this one"
            }
            Self::Forked => {
                "the database's audit log is not the one that was published; see the runbook of the audit log"
            }
            Self::Damaged => "the database's audit log is not whole; see the runbook of the audit log",
            Self::OtherKeys => {
                "the audit log was begun with another keyring than this one; put the region's own keyring back"
            }
        }
    }
}

/// What is wrong with another region's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Two heads of one size with two roots.
    SplitView,
    /// Fewer leaves than it had.
    Rewound,
    /// It was not shown to go on from what was seen of it.
    Inconsistent,
    /// Its head is not signed by the key that it registered.
    NotSigned,
}

impl AuditLog {
    /// The log of a region, with the keys that its keyring gives.
    pub fn of(cluster: Label, region: Region, pool: &RegionPool) -> Result<Self, Stop> {
        let (origin, witness_name) = (origin(cluster, region), witness_name(cluster, region));
        let key = |name: &str, kind, witness| {
            SigningKey::from_seed(name, kind, &pool.audit_seed(witness)).map_err(|e| {
                Stop::new(
                    Cause::Keys,
                    format!("the audit log's key cannot be made: {e}"),
                    "see [region] cluster",
                )
            })
        };
        let log = key(&origin, KeyKind::Ed25519, false)?;
        let witness = key(&witness_name, KeyKind::CosignatureV1, true)?;
        let public = |key: &SigningKey| -> [u8; 32] {
            // Ed25519 keys have 32 bytes; were it otherwise nothing would verify.
            key.verifier().public_key().try_into().unwrap_or([0; 32])
        };
        let keys = LogKeys { region, cluster, log: public(&log), witness: public(&witness) };
        Ok(Self { origin, keys, log, witness, standing: Mutex::default(), suspects: Mutex::default() })
    }

    /// Whose log it is, and its public keys.
    pub fn keys(&self) -> &LogKeys {
        &self.keys
    }

    /// The signed note over so many leaves, and its head.
    pub fn sign(&self, size: u64, root: Hash) -> Result<(Note, Head), NotSigned> {
        let mut note = Checkpoint::new(&self.origin, size, root)?.to_note()?;
        note.sign(&self.log)?;
        let signature = note.signatures().first().and_then(|line| line.bytes().try_into().ok());
        let signature = Signature64::from_bytes(signature.ok_or(NotSigned::Length)?);
        Ok((note, Head { size, root: *root.as_bytes(), signature }))
    }

    /// This region's word about another's head at a second since 1970.
    pub fn cosign(&self, other: &Note, head: &Head, at: u64) -> Result<Cosignature, NotSigned> {
        let line = other.cosignature(&self.witness, at)?;
        // The time, and then the signature.
        let signature = line.bytes().get(8..).and_then(|bytes| bytes.try_into().ok());
        let signature = Signature64::from_bytes(signature.ok_or(NotSigned::Length)?);
        Ok(Cosignature { witness: self.keys.region, size: head.size, root: head.root, at, signature })
    }

    /// How the log stands.
    pub fn standing(&self) -> Standing {
        *lock(&self.standing)
    }

    /// Changes what is known of it.
    pub fn note(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut lock(&self.standing));
    }

    /// Says that nothing is added any more, once.
    pub fn stop(&self, why: Stopped) {
        let before = lock(&self.standing).stopped.replace(why);
        if before.is_none() {
            tracing::error!(?why, "the audit log was stopped: {}", why.says());
        }
    }

    /// What is thought of other regions' logs, by region. A log that nothing is wrong with is there too.
    pub fn suspects(&self) -> BTreeMap<Region, Suspicion> {
        lock(&self.suspects).clone()
    }

    /// Notes what was found of another's log, and says it when it is news.
    pub fn judged(&self, of: Region, found: Option<Suspicion>) {
        let mut suspects = lock(&self.suspects);
        let before = match found {
            Some(found) => suspects.insert(of, found),
            None => suspects.remove(&of),
        };
        drop(suspects);
        match (before, found) {
            (None, Some(found)) => {
                tracing::error!(region = %of, ?found, security_event = "audit-log", "another region's audit log is not what it was");
            }
            (Some(_), None) => tracing::warn!(region = %of, "another region's audit log is right again"),
            _ => {}
        }
    }
}

/// Why nothing was signed. None of these can be but by a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// There is no such checkpoint.
    #[error("no checkpoint: {0}")]
    Checkpoint(#[from] Malformed),
    /// The key is not for that.
    #[error("no signature: {0}")]
    Key(#[from] SignError),
    /// A signature has another length.
    #[error("a signature has another length")]
    Length,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("origin", &self.origin).finish_non_exhaustive()
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}
