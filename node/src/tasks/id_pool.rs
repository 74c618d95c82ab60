//! Claims patient ids ahead of need, so that a registration needs no consensus.
//!
//! A batch is claimed in the directory first and put into the region's pool after that. A crash in between loses
//! the batch, which costs some bytes in the directory and nothing else; the other order could hand out an id that
//! the directory does not know.

use std::sync::Arc;
use std::time::Duration;

use residency_control::{Command, IdBatch, Outcome, Reader, Refusal, Writer};
use residency_policy::{Entropy, Region};
use storage::{RegionPool, ids};

use crate::wiring::Node;

/// How often the pool is looked at: a fast intake empties a batch in a few of these.
const EVERY: Duration = Duration::from_millis(500);
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(15);

struct Filler {
    region: Region,
    low: u64,
    pool: RegionPool,
    reader: Reader,
    writer: Writer,
    entropy: Arc<dyn Entropy>,
    /// A batch whose claim was not answered. The same one is claimed again, so that no answer is worth two.
    pending: Option<IdBatch>,
}

/// Why the pool was not filled this time.
#[derive(Debug, thiserror::Error)]
enum NotFilled {
    #[error("the region's database: {0}")]
    Storage(#[from] storage::Error),
    #[error("{0}")]
    Propose(#[from] residency_control::ProposeError),
    #[error("the control plane refused: {0}")]
    Refused(Refusal),
}

/// Keeps the region's pool filled for ever.
pub fn keep_filled(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let mut filler = Filler {
        region: node.config.region.region(),
        low: node.config.limits.ids_low,
        pool: node.pool.clone(),
        reader: node.control.reader(),
        writer: node.control.writer(),
        entropy: Arc::clone(&node.entropy),
        pending: None,
    };
    async move {
        let mut pause = EVERY;
        loop {
            match filler.fill().await {
                Ok(()) => pause = EVERY,
                Err(error) => {
                    pause = (pause * 2).min(PAUSE_MAX);
                    // The pool lasts for a while; it is empty only when registrations say so.
                    tracing::info!(%error, "no patient ids could be claimed now; it is tried again");
                }
            }
            tokio::time::sleep(pause).await;
        }
    }
}

impl Filler {
    async fn fill(&mut self) -> Result<(), NotFilled> {
        // Ids can be claimed only for a region that the directory knows.
        if self.reader.region(self.region).is_none() {
            return Ok(());
        }
        while self.pool.ids_left().await? < self.low {
            let batch = match self.pending.take() {
                Some(batch) => batch,
                None => IdBatch::random(IdBatch::LEN_MAX, &*self.entropy)
                    .map_err(|_| NotFilled::Refused(Refusal::Full))?,
            };
            self.claim(&batch).await?;
            let added = ids::refill(&self.pool, batch.as_slice()).await?;
            tracing::info!(added, "patient ids were claimed ahead");
        }
        Ok(())
    }

    async fn claim(&mut self, batch: &IdBatch) -> Result<(), NotFilled> {
        let command = Command::ClaimIds { region: self.region, ids: batch.clone() };
        match self.writer.propose(command).await {
            Ok(proposed) => match proposed.outcome {
                Outcome::Done => Ok(()),
                // Random ids do not meet by chance: an earlier claim of this very batch has come through.
                Outcome::Refused(Refusal::AlreadyKnown) if self.is_ours(batch) => Ok(()),
                Outcome::Refused(refusal) => Err(NotFilled::Refused(refusal)),
            },
            Err(error) => {
                self.pending = Some(batch.clone());
                Err(error.into())
            }
        }
    }

    fn is_ours(&self, batch: &IdBatch) -> bool {
        batch.as_slice().iter().all(|id| self.reader.placement(*id).is_some_and(|p| p.home.0 == self.region))
    }
}
