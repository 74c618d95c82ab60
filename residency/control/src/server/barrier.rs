//! Linearizable read points.

use openraft::error::RaftError;
use tokio::time::Instant;

use super::propose::LOOK_AGAIN;
use super::{Core, Leads};
use crate::raft::wire::{self, Led};
use crate::writer::ProposeError;

impl Core {
    /// Waits until this member's view holds everything that was acknowledged before the call. It changes nothing,
    /// so it is simply tried again until it succeeds or its time is over.
    pub(crate) async fn barrier(&self) -> Result<u64, ProposeError> {
        let until = Instant::now() + self.timings.propose();
        while Instant::now() < until {
            let led = match self.leads() {
                Leads::Stopped => return Err(ProposeError::ShuttingDown),
                Leads::Nobody => Led::NoQuorum,
                Leads::Here => self.barrier_here(until).await,
                Leads::There(leader, member) => {
                    let call = self.calls.call::<_, Led>(leader, &member, wire::BARRIER, &());
                    match tokio::time::timeout_at(until, call).await {
                        Ok(Ok(led)) => led,
                        Ok(Err(_)) | Err(_) => Led::Unknown,
                    }
                }
            };
            if let Led::Done { index, .. } = led
                && self.applied(index, until).await
            {
                return Ok(index);
            }
            tokio::time::sleep_until(until.min(Instant::now() + LOOK_AGAIN)).await;
        }
        Err(ProposeError::NoQuorum)
    }

    /// A read point of this member as leader: one round to a quorum, no log entry.
    pub(super) async fn barrier_here(&self, until: Instant) -> Led {
        match tokio::time::timeout_at(until, self.raft.ensure_linearizable()).await {
            Ok(Ok(id)) => Led::Done { index: id.map_or(0, |id| id.index), outcomes: Vec::new() },
            Ok(Err(RaftError::APIError(openraft::error::CheckIsLeaderError::ForwardToLeader(_)))) => {
                Led::NotLeader
            }
            Ok(Err(RaftError::APIError(openraft::error::CheckIsLeaderError::QuorumNotEnough(_)))) | Err(_) => {
                Led::NoQuorum
            }
            Ok(Err(RaftError::Fatal(_))) => Led::Stopping,
        }
    }
}
