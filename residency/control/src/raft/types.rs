//! What Raft replicates, answers and addresses here.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::spool::Spool;
use crate::command::{Command, Outcome};
use crate::host::{Endpoint, Host};
use crate::peer::PeerKind;

openraft::declare_raft_types!(
    /// The types that openraft is used with.
    pub TypeConfig:
        D = Batch,
        R = Vec<Outcome>,
        NodeId = u64,
        Node = Member,
        SnapshotData = Spool,
);

/// A running Raft member.
pub type Raft = openraft::Raft<TypeConfig>;
/// A log entry.
pub type Entry = openraft::Entry<TypeConfig>;
/// A log entry's id.
pub type LogId = openraft::LogId<u64>;
/// A vote.
pub type Vote = openraft::Vote<u64>;
/// A failure of log, vote, state or snapshot.
pub type StorageError = openraft::StorageError<u64>;
/// A membership and where in the log it stands.
pub type StoredMembership = openraft::StoredMembership<u64, Member>;
/// What describes a snapshot.
pub type SnapshotMeta = openraft::SnapshotMeta<u64, Member>;

/// The commands of one log entry: they share its fsync and its round trip. Clones share them.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch(pub Arc<[Command]>);

impl Batch {
    /// These commands.
    pub fn new(commands: Vec<Command>) -> Self {
        Self(commands.into())
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0[..].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({})", self.0.len())
    }
}

/// One member of the control plane: who it is and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What its certificate must say that it is.
    pub kind: PeerKind,
    /// The machine.
    pub host: Host,
    /// The port of its peer listener.
    pub port: u16,
}

impl Member {
    /// A member that is reached at this endpoint.
    pub fn new(kind: PeerKind, at: Endpoint) -> Self {
        Self { kind, host: at.host, port: at.port }
    }

    /// Where it is reached.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.host.clone(), self.port)
    }
}

/// openraft asks for a default where it knows no more than an id; nothing can be reached at port 0.
impl Default for Member {
    fn default() -> Self {
        let nowhere = residency_policy::Jurisdiction::all().next();
        Self {
            // The table of jurisdictions is a constant that is not empty.
            kind: PeerKind::Region(residency_policy::Region(nowhere.unwrap_or_else(|| unreachable!()))),
            host: "0.0.0.0".parse().unwrap_or_else(|_| unreachable!()),
            port: 0,
        }
    }
}
