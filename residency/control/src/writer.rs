//! Proposals of changes.

use std::sync::Arc;

use crate::server::Core;
use crate::{Command, Proposed};

/// Proposes changes. Cheap to clone; on a member that does not lead it forwards to the one that does.
#[derive(Clone)]
pub struct Writer {
    core: Arc<Core>,
}

/// Why a proposal has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was proposed: no leader with a quorum was found in time.
    #[error("the control plane has no quorum; nothing was changed")]
    NoQuorum,
    /// It was proposed, and no answer came in time.
    #[error("the control plane did not answer in time; the change may or may not take effect")]
    Timeout,
    /// The command is larger than a log entry may be.
    #[error("the command is too large")]
    TooLarge,
    /// Routers read and do not propose, and a node speaks for no region but its own.
    #[error("this member may not propose that")]
    NotAllowed,
    /// This node is stopping.
    #[error("this node is stopping")]
    ShuttingDown,
}

impl Writer {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Proposes one change and waits until it is applied, on this member too: what it changed can then be read here.
    /// Only where this member is so far behind its leader that its time for a proposal runs out first, that it was
    /// done is told before it can be read here; whoever must see it waits for [`Writer::barrier`]. Changes proposed at the same moment share one log entry, one round trip and one fsync.
    pub async fn propose(&self, command: Command) -> Result<Proposed, ProposeError> {
        self.core.propose(command).await
    }

    /// A linearizable read point: when it returns, this member's view holds every change that was acknowledged to
    /// anybody before the call.
    pub async fn barrier(&self) -> Result<u64, ProposeError> {
        self.core.barrier().await
    }
}
