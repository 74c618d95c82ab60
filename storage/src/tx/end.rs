//! How a transaction ends: by its commit, or undone.

use super::line::{Line, Stage};
use super::{COMMIT, RegionTx, leave};
use crate::error::Unavailable;
use crate::lend::Lease;
use crate::{Access, Error, Seen};

impl RegionTx {
    /// Writes the access records and commits. The only way to end a transaction that succeeded.
    pub async fn commit(self, accesses: &[Access]) -> Result<Seen, Error> {
        if accesses.is_empty() {
            return Err(Error::NoAccessRecorded);
        }
        let sent = self.in_time(async {
            let mut line = self.line.lock().await;
            if line.stage() == Stage::New {
                // COMMIT must not travel with the question whether it may be.
                self.send(&mut line, Vec::new()).await?;
            }
            leave::put(&self, &mut line, accesses).await?;
            line.put(self.act, COMMIT, &[]).await?;
            self.send_commit(&mut line).await
        });
        sent.await.unwrap_or(Err(Error::CommitUncertain))
    }

    /// COMMIT is the last of what is sent. When anything before it fails it undoes, and answers like one that did not:
    /// so it is believed only when all before it is answered.
    async fn send_commit(&self, line: &mut Line) -> Result<Seen, Error> {
        let statements = line.ahead();
        let (answers, failed) = line.exchange(self.act, Vec::new()).await?;
        let Some(error) = failed else {
            if let Some(lease) = line.take() {
                lease.give_back();
            }
            return Ok(Seen::recorded());
        };
        if error.as_db_error().is_none() {
            // All was sent: the server may have done it before the connection was lost.
            return Err(Error::CommitUncertain);
        }
        match Error::from_driver(&error, self.act) {
            Error::Unavailable(Unavailable::Lost | Unavailable::NotServing)
                if answers.len() + 1 == statements =>
            {
                Err(Error::CommitUncertain)
            }
            other => Err(other),
        }
    }

    /// Undoes everything. Dropping does the same without waiting for it.
    pub async fn rollback(mut self) {
        if let Some(lease) = self.line.get_mut().take() {
            roll_back(lease, self.pool.0.config.timeouts.wait).await;
        }
    }
}

impl Drop for RegionTx {
    fn drop(&mut self) {
        let line = self.line.get_mut();
        let Some(lease) = line.take() else { return };
        if line.stage() == Stage::New {
            lease.give_back();
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(roll_back(lease, self.pool.0.config.timeouts.wait)));
        }
        // Without a runtime the connection is closed, which rolls back too.
    }
}

/// Rolls back and gives the connection to the next one. One that does not answer is closed.
async fn roll_back(lease: Lease, limit: std::time::Duration) {
    if let Ok(Ok(())) = tokio::time::timeout(limit, lease.client().batch_execute("ROLLBACK")).await {
        lease.give_back();
    }
}
