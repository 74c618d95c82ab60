//! Gives committed access records their places in the region's audit log, and signs its heads.
//!
//! One node of the region does so at a time. Before it begins it compares what the database has with what was published:
//! a database that was put back from an older backup, or that took over before it had everything, must not go on under
//! places that others were given already. Then it stops and says so; records are written as before.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use residency_control::{Reader, Writer};
use residency_policy::{Clock, NodeId, Region};
use residency_tlog::Hash;
use storage::RegionPool;
use storage::audit_tree::{Extended, Held, Known, TreeError};
use tokio::time::{Instant, sleep};

use crate::wiring::Node;
use crate::wiring::audit_log::{AuditLog, Stopped};

/// How long a node that says nothing keeps the lease.
const LASTS: Duration = Duration::from_secs(3);
/// How long a record that is alone waits at most before it is looked for.
const PAUSE: Duration = Duration::from_millis(250);
/// How many records become leaves in one transaction.
const TOGETHER: u32 = 8_192;
/// Where there is always more to do, a head is signed this often.
const SIGNED_EVERY: Duration = Duration::from_millis(500);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// Sequences for ever, or until the log is stopped.
pub fn sequence(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let sequencer = Sequencer {
        pool: node.pool.clone(),
        reader: node.control.reader(),
        writer: node.control.writer(),
        log: Arc::clone(&node.audit_log),
        clock: Arc::clone(&node.clock),
        node: node.config.region.node,
        region: node.config.region.region(),
    };
    async move {
        loop {
            let held = sequencer.take().await;
            match sequencer.lead(held).await {
                Ended::Fenced => {
                    sequencer.log.note(|standing| standing.holds = false);
                    tracing::info!("another node sequences the audit log now");
                }
                Ended::Unavailable => sleep(AGAIN).await,
                Ended::Stopped(why) => {
                    sequencer.log.stop(why);
                    sequencer.log.note(|standing| standing.holds = false);
                    loop {
                        sequencer.measure().await;
                        sleep(AGAIN).await;
                    }
                }
            }
        }
    }
}

struct Sequencer {
    pool: RegionPool,
    reader: Reader,
    writer: Writer,
    log: Arc<AuditLog>,
    clock: Arc<dyn Clock>,
    node: NodeId,
    region: Region,
}

/// Why a node no longer sequences.
enum Ended {
    /// Another node took the lease.
    Fenced,
    /// Something cannot be asked now.
    Unavailable,
    /// It must not go on.
    Stopped(Stopped),
}

impl From<TreeError> for Ended {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Fenced => Self::Fenced,
            TreeError::Behind => Self::Stopped(Stopped::Behind),
            TreeError::Forked => Self::Stopped(Stopped::Forked),
            TreeError::Damaged(what) => {
                tracing::error!(what, "the stored audit log is not whole");
                Self::Stopped(Stopped::Damaged)
            }
            other => {
                tracing::warn!(error = %other, "the audit log cannot be extended now; it is tried again");
                Self::Unavailable
            }
        }
    }
}

impl Sequencer {
    /// Waits until the lease is this process's.
    async fn take(&self) -> Held {
        loop {
            match self.pool.take_audit_lease(self.node, LASTS).await {
                Ok(Some(held)) => return held,
                Ok(None) => self.log.note(|standing| standing.holds = false),
                Err(error) => tracing::warn!(%error, "the lease of the audit log cannot be asked for"),
            }
            self.measure().await;
            sleep(AGAIN).await;
        }
    }

    async fn lead(&self, held: Held) -> Ended {
        let Err(ended) = self.lead_until(held).await;
        ended
    }

    async fn lead_until(&self, held: Held) -> Result<std::convert::Infallible, Ended> {
        let (mut floor, mut signed) = self.prove_published().await?;
        let mut signed_at = Instant::now();
        self.log.note(|standing| standing.holds = true);
        tracing::info!(size = floor.map_or(0, |(size, _)| size), "this node sequences the audit log");
        loop {
            // The server that answers may be another one than a moment ago, so what is known travels along.
            let step = match self.pool.extend_audit_tree(held, floor, TOGETHER, &|_| false).await {
                Ok(step) => step,
                Err(error) => {
                    let ended = Ended::from(error);
                    let Ended::Unavailable = ended else { return Err(ended) };
                    sleep(AGAIN).await;
                    continue;
                }
            };
            floor = Some((step.size, step.root)).filter(|(size, _)| *size > 0);
            self.noted(&step);
            let full = step.added >= TOGETHER as usize;
            if floor.is_some() && floor != signed && (!full || signed_at.elapsed() >= SIGNED_EVERY) {
                self.sign(held, (step.size, step.root)).await?;
                (signed, signed_at) = (floor, Instant::now());
            }
            if !full {
                sleep(PAUSE).await;
            }
        }
    }

    /// Compares the database with what the control plane, the database itself and this process know to have been signed.
    /// Gives back the largest of them, and what the database has.
    async fn prove_published(&self) -> Result<(Option<Known>, Option<Known>), Ended> {
        // Everything that was acknowledged to anybody is in the view afterwards.
        if self.writer.barrier().await.is_err() {
            self.measure().await;
            return Err(Ended::Unavailable);
        }
        let log = self.reader.audit_log(self.region);
        if log.as_ref().is_some_and(|log| log.keys() != self.log.keys()) {
            return Err(Ended::Stopped(Stopped::OtherKeys));
        }
        let published = log.and_then(|log| log.head().map(|head| (head.size, Hash(head.root))));
        let stored = self.pool.audit_checkpoint().await?.map(|signed| (signed.size, signed.root));
        let own = self.log.standing().head.map(|head| (head.size, Hash(head.root)));
        for known in [published, stored, own] {
            self.prove(known).await?;
        }
        if let Some((size, root)) = stored {
            self.signed(size, root);
        }
        Ok((published.max(stored).max(own), stored))
    }

    async fn prove(&self, known: Option<Known>) -> Result<(), Ended> {
        let Some((size, root)) = known else { return Ok(()) };
        match self.pool.audit_root(size).await? {
            None => Err(Ended::Stopped(Stopped::Behind)),
            Some(found) if found != root => Err(Ended::Stopped(Stopped::Forked)),
            Some(_) => Ok(()),
        }
    }

    /// Signs what is committed. Whoever is killed before it is kept leaves it to the next.
    async fn sign(&self, held: Held, (size, root): Known) -> Result<(), Ended> {
        let note = match self.log.sign(size, root) {
            Ok((note, _)) => note,
            Err(error) => {
                tracing::error!(%error, "the audit log's head cannot be signed");
                return Err(Ended::Stopped(Stopped::Damaged));
            }
        };
        self.pool.keep_audit_checkpoint(held, (size, root), &note.to_string()).await?;
        self.signed(size, root);
        Ok(())
    }

    /// Ed25519 gives the same signature again, so that a head need not be kept beside its note.
    fn signed(&self, size: u64, root: Hash) {
        let (head, now) = (self.log.sign(size, root).ok().map(|(_, head)| head), self.clock.now());
        self.log.note(|standing| (standing.head, standing.signed_at) = (head, Some(now)));
    }

    fn noted(&self, step: &Extended) {
        self.log.note(|standing| {
            standing.size = step.size;
            (standing.waiting, standing.waiting_since) = (step.waiting, step.waiting_since);
        });
    }

    /// How much waits is known also while nothing is done about it.
    async fn measure(&self) {
        let waits: Result<(u64, Option<Timestamp>), TreeError> = self.pool.audit_waiting().await;
        if let Ok(waits) = waits {
            self.log.note(|standing| (standing.waiting, standing.waiting_since) = waits);
        }
    }
}
