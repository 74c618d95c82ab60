//! Linearizable read points, shared by everybody who waits.
//!
//! A read point is a round to a quorum. Whoever asks while one is under way cannot use it, for it may have begun before
//! a change that they must see; they all share the next one. So a thousand reads a millisecond cost the quorum no more
//! than one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::error::{CheckIsLeaderError, RaftError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::propose::LOOK_AGAIN;
use super::{Core, Leads, company};
use crate::raft::wire::{self, Led};
use crate::writer::ProposeError;

/// How many may wait for a round to begin.
pub(super) const QUEUE: usize = 16_384;
/// The next round begins after this also when the last one is still under way: where peers are far away, nobody waits
/// for somebody else's whole round trip.
const NEXT_AFTER: Duration = Duration::from_millis(10);

/// Somebody who wants a read point.
pub(super) struct Wish {
    /// Another member asks. Sent on once is enough.
    forwarded: bool,
    reply: oneshot::Sender<Led>,
}

/// Makes rounds until the member stops.
pub(super) async fn run(core: Arc<Core>, mut queue: mpsc::Receiver<Wish>) {
    let mut stopping = core.stopping.subscribe();
    loop {
        let first = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            first = queue.recv() => first,
        };
        let Some(first) = first else { return };
        let mut wishes = vec![first];
        company::join(&mut wishes, &mut queue, |_| true).await;
        wishes.retain(|wish| !wish.reply.is_closed());
        if !wishes.is_empty() {
            let core = core.clone();
            let round = tokio::spawn(async move { core.round(wishes).await });
            // It goes on all the same.
            let _ = timeout(NEXT_AFTER, round).await;
        }
    }
}

impl Core {
    /// Waits until this member's view holds everything that was acknowledged before the call. It changes nothing,
    /// so it is simply tried again until it succeeds or its time is over.
    pub(crate) async fn barrier(&self) -> Result<u64, ProposeError> {
        let until = Instant::now() + self.timings.propose();
        while Instant::now() < until {
            match self.read_point(false).await {
                Led::Done { index, .. } if self.applied(index, until).await => return Ok(index),
                Led::Stopping => return Err(ProposeError::ShuttingDown),
                _ => tokio::time::sleep_until(until.min(Instant::now() + LOOK_AGAIN)).await,
            }
        }
        Err(ProposeError::NoQuorum)
    }

    /// A read point from the next round, which begins soon and takes as long as is configured at most.
    pub(super) async fn read_point(&self, forwarded: bool) -> Led {
        let (reply, answer) = oneshot::channel();
        match self.wishes.send(Wish { forwarded, reply }).await {
            Ok(()) => answer.await.unwrap_or(Led::Stopping),
            Err(_) => Led::Stopping,
        }
    }

    async fn round(&self, mut wishes: Vec<Wish>) {
        let until = Instant::now() + self.timings.propose();
        self.counters.rounds.fetch_add(1, Ordering::Relaxed);
        let led = match self.leads() {
            Leads::Stopped => Led::Stopping,
            Leads::Nobody => Led::NoQuorum,
            Leads::Here => self.ask_quorum(until).await,
            Leads::There(leader, member) => {
                // Two members that each take the other for the leader must not play ball.
                for wish in wishes.extract_if(.., |wish| wish.forwarded) {
                    let _ = wish.reply.send(Led::NotLeader);
                }
                if wishes.is_empty() {
                    return;
                }
                let call = self.calls.call::<_, Led>(leader, &member, wire::BARRIER, &());
                tokio::select! {
                    answered = timeout_at(until, call) => match answered {
                        Ok(Ok(led @ Led::Done { .. })) => led,
                        // Whatever it was, it is worth another look.
                        Ok(Ok(_) | Err(_)) | Err(_) => Led::NoQuorum,
                    },
                    // One that hangs is not waited for once another leads.
                    () = self.no_longer_led_by(leader) => Led::NoQuorum,
                }
            }
        };
        for wish in wishes {
            // Whoever asked may have gone.
            let _ = wish.reply.send(led.clone());
        }
    }

    async fn no_longer_led_by(&self, leader: u64) {
        let mut metrics = self.raft.metrics();
        // When there are no more metrics, this member has stopped, and the round ends by itself.
        if metrics.wait_for(|metrics| metrics.current_leader != Some(leader)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// As leader: one round to a quorum, no log entry.
    async fn ask_quorum(&self, until: Instant) -> Led {
        match timeout_at(until, self.raft.ensure_linearizable()).await {
            Ok(Ok(id)) => Led::Done { index: id.map_or(0, |id| id.index), outcomes: Vec::new() },
            Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_)))) => Led::NotLeader,
            Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)))) | Err(_) => Led::NoQuorum,
            Ok(Err(RaftError::Fatal(_))) => Led::Stopping,
        }
    }
}
