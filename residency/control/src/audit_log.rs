//! The heads of the regions' audit logs, and who has seen that each follows from the one before.
//!
//! A region signs the head of its log (C2SP tlog-checkpoint) and has it kept here; the other regions cosign what they
//! found to follow from what they saw earlier (C2SP tlog-cosignature). Sizes, hashes and signatures: nothing of a record.
//! Every member checks every signature as it applies it, so a member that was broken into can say nothing in the name of a
//! log whose key it has not. What is kept is the last head of each region, what each witness cosigned last, and, if it was
//! ever seen, a second signed head that cannot be of the same log.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::BASE64;
use residency_policy::{Label, Region};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::command::{Refusal, Signature64, commands, must_be_replicated, record};
use crate::machine::State;
use crate::peer::PeerKind;

record! {
    /// Who signs a region's log, and what the log is called. Said once; another key is another log.
    #[derive(Debug, Copy)]
    pub struct LogKeys {
        /// Whose log.
        pub region: Region,
        /// The deployment, which begins the log's name.
        pub cluster: Label,
        /// The Ed25519 key that signs heads.
        pub log: [u8; 32],
        /// The Ed25519 key with which the region cosigns others' heads.
        pub witness: [u8; 32],
    }
}

record! {
    /// A signed head.
    #[derive(Debug, Copy)]
    pub struct Head {
        /// How many leaves.
        pub size: u64,
        /// The root hash over them (RFC 6962 section 2.1).
        pub root: [u8; 32],
        /// Ed25519 over the checkpoint's text.
        pub signature: Signature64,
    }
}

record! {
    /// A witness' word that a head follows from the one that it saw before.
    #[derive(Debug, Copy)]
    pub struct Cosignature {
        /// Who says so.
        pub witness: Region,
        /// How many leaves the head has.
        pub size: u64,
        /// Its root hash.
        pub root: [u8; 32],
        /// When, in seconds since the Unix epoch.
        pub at: u64,
        /// Ed25519 over `cosignature/v1`, the time and the checkpoint's text.
        pub signature: Signature64,
    }
}

commands! {
    /// What is said of audit logs.
    pub enum LogChange {
        /// Says who signs a region's log. The same again changes nothing.
        Register(LogKeys),
        /// Keeps a region's newest head.
        Publish {
            /// Whose log.
            region: Region,
            /// Its head.
            head: Head,
        },
        /// Keeps a witness' word about the newest head.
        Cosign {
            /// Whose log.
            region: Region,
            /// The word.
            cosignature: Cosignature,
        },
        /// Shows a head that the log's key signed and that contradicts the one that is kept. It stays for good.
        ShowSplit {
            /// Whose log.
            region: Region,
            /// The other head.
            head: Head,
        },
    }
}

impl LogChange {
    /// Whether a member may say this: a region speaks for its own log, and as a witness in its own name. Evidence proves
    /// itself.
    pub(crate) fn may_be_proposed_by(&self, who: PeerKind) -> bool {
        let PeerKind::Region(own) = who else { return false };
        match self {
            Self::Register(keys) => keys.region == own,
            Self::Publish { region, .. } => *region == own,
            Self::Cosign { cosignature, .. } => cosignature.witness == own,
            Self::ShowSplit { .. } => true,
        }
    }
}

/// What is known of one region's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLog {
    keys: LogKeys,
    head: Option<Head>,
    cosigned: BTreeMap<Region, Cosignature>,
    split: Option<Head>,
}

impl AuditLog {
    /// Who signs it.
    pub fn keys(&self) -> &LogKeys {
        &self.keys
    }

    /// Its newest head.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// What each witness cosigned last, which may be an older head.
    pub fn cosigned(&self) -> impl Iterator<Item = &Cosignature> {
        self.cosigned.values()
    }

    /// What one witness cosigned last.
    pub fn cosigned_by(&self, witness: Region) -> Option<&Cosignature> {
        self.cosigned.get(&witness)
    }

    /// A head that the log's key signed beside one that was kept, of which one must be a lie.
    pub fn split(&self) -> Option<&Head> {
        self.split.as_ref()
    }

    /// The log's name: its origin, and its key's name.
    pub fn origin(&self) -> String {
        origin(self.keys.cluster, self.keys.region)
    }

    /// Whether the log's key signed a head.
    pub fn signed(&self, head: &Head) -> bool {
        let text = checkpoint_text(&self.origin(), head.size, &head.root);
        verifies(&self.keys.log, text.as_bytes(), &head.signature)
    }
}

/// What a region's log is called.
pub fn origin(cluster: Label, region: Region) -> String {
    format!("{}/{}", cluster.as_str(), region.0.code().to_ascii_lowercase())
}

/// As whom a region cosigns.
pub fn witness_name(cluster: Label, region: Region) -> String {
    format!("{}/witness", origin(cluster, region))
}

/// What the log's key signs (C2SP tlog-checkpoint).
pub fn checkpoint_text(origin: &str, size: u64, root: &[u8; 32]) -> String {
    format!("{origin}\n{size}\n{}\n", BASE64.encode(root))
}

/// What a witness signs (C2SP tlog-cosignature, `cosignature/v1`).
pub fn cosigned_text(checkpoint: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{checkpoint}")
}

fn verifies(key: &[u8; 32], message: &[u8], signature: &Signature64) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature.as_bytes()).is_ok()
}

impl State {
    /// What is known of the logs.
    pub fn audit_logs(&self) -> &BTreeMap<Region, AuditLog> {
        &self.audit_logs
    }
}

pub(crate) fn apply(state: &mut State, change: &LogChange) -> Result<(), Refusal> {
    match *change {
        LogChange::Register(keys) => register(state, keys),
        LogChange::Publish { region, head } => publish(state, region, head),
        LogChange::Cosign { region, cosignature } => cosign(state, region, cosignature),
        LogChange::ShowSplit { region, head } => show_split(state, region, head),
    }
}

fn register(state: &mut State, keys: LogKeys) -> Result<(), Refusal> {
    if !state.regions.contains_key(&keys.region) {
        return Err(Refusal::UnknownRegion);
    }
    match state.audit_logs.get(&keys.region) {
        Some(known) if known.keys == keys => Ok(()),
        Some(_) => Err(Refusal::AlreadyKnown),
        None => {
            let new = AuditLog { keys, head: None, cosigned: BTreeMap::new(), split: None };
            Arc::make_mut(&mut state.audit_logs).insert(keys.region, new);
            Ok(())
        }
    }
}

/// A log only grows. Of two heads of one size with two roots one is a lie, and so is what follows from it.
fn publish(state: &mut State, region: Region, head: Head) -> Result<(), Refusal> {
    let known = signed_by(state, region, &head)?;
    match &known.head {
        Some(last) if head.size < last.size => return Err(Refusal::Rewound),
        Some(last) if head.size == last.size && head.root != last.root => return Err(Refusal::SplitView),
        _ => {}
    }
    change(state, region, |log| log.head = Some(head))
}

fn cosign(state: &mut State, region: Region, cosignature: Cosignature) -> Result<(), Refusal> {
    let known = state.audit_logs.get(&region).ok_or(Refusal::UnknownLog)?;
    let witness = state.audit_logs.get(&cosignature.witness).ok_or(Refusal::UnknownLog)?;
    let head = known.head.as_ref().ok_or(Refusal::StaleVersion)?;
    if cosignature.witness == region {
        return Err(Refusal::NotSigned);
    }
    // It was about a head that a newer one has replaced meanwhile: the witness looks at that one next.
    if (head.size, head.root) != (cosignature.size, cosignature.root) {
        return Err(Refusal::StaleVersion);
    }
    let text = checkpoint_text(&known.origin(), cosignature.size, &cosignature.root);
    let text = cosigned_text(&text, cosignature.at);
    if !verifies(&witness.keys.witness, text.as_bytes(), &cosignature.signature) {
        return Err(Refusal::NotSigned);
    }
    change(state, region, |log| {
        log.cosigned.insert(cosignature.witness, cosignature);
    })
}

/// Any head that the key signed is looked at: of the size that is kept, or of one that a witness cosigned. The first
/// evidence stays.
fn show_split(state: &mut State, region: Region, head: Head) -> Result<(), Refusal> {
    let known = signed_by(state, region, &head)?;
    let kept = known.head.iter().map(|kept| (kept.size, kept.root));
    let seen = known.cosigned.values().map(|cosigned| (cosigned.size, cosigned.root));
    if !kept.chain(seen).any(|(size, root)| size == head.size && root != head.root) {
        return Err(Refusal::NotSplit);
    }
    change(state, region, |log| {
        log.split.get_or_insert(head);
    })
}

fn signed_by<'s>(state: &'s State, region: Region, head: &Head) -> Result<&'s AuditLog, Refusal> {
    let known = state.audit_logs.get(&region).ok_or(Refusal::UnknownLog)?;
    if known.signed(head) { Ok(known) } else { Err(Refusal::NotSigned) }
}

fn change(state: &mut State, region: Region, change: impl FnOnce(&mut AuditLog)) -> Result<(), Refusal> {
    let logs = Arc::make_mut(&mut state.audit_logs);
    logs.get_mut(&region).map(change).ok_or(Refusal::UnknownLog)
}
