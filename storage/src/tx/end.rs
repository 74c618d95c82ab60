//! How a transaction ends: by its commit, or undone.

use super::{Line, RegionTx};
use crate::connections::Lease;
use crate::error::Unavailable;
use crate::wire::{Shape, Text};
use crate::{Access, Error, Seen, access_log, outbox};

const COMMIT: &str = "COMMIT";

impl RegionTx {
    /// Writes the access records and commits. The only way to end a transaction that succeeded.
    pub async fn commit(self, accesses: &[Access]) -> Result<Seen, Error> {
        if accesses.is_empty() {
            return Err(Error::NoAccessRecorded);
        }
        let sent = self.in_time(async {
            let mut line = self.line.lock().await;
            if !line.begun {
                // COMMIT must not travel with the question whether it may be.
                self.send(&mut line).await?;
            }
            self.put_records(&mut line, accesses)?;
            self.put_in(&mut line, Text(COMMIT), &Shape::nothing(), &[])?;
            self.send_commit(&mut line).await
        });
        sent.await.unwrap_or(Err(Error::CommitUncertain))
    }

    fn put_records(&self, line: &mut Line, accesses: &[Access]) -> Result<(), Error> {
        let with = self.with_commit(std::mem::take);
        if !with.events.is_empty() {
            outbox::put(self, &with.events, |sql, params| self.put_known(line, sql, params))?;
        }
        if let Some(answer) = &with.answer {
            answer.put(self, |sql, params| self.put_known(line, sql, params))?;
        }
        access_log::put(self, accesses, |sql, params| self.put_known(line, sql, params))
    }

    /// COMMIT is the last of what is sent, and is skipped by the server when anything before it fails. It is believed
    /// when the server is ready again.
    async fn send_commit(&self, line: &mut Line) -> Result<Seen, Error> {
        let statements = line.ahead;
        let exchanged = self.exchange(line).await.map_err(|_| Error::CommitUncertain)?;
        let (answers, failed) = (exchanged.answers, exchanged.failed);
        match failed.map(|fault| self.said(&fault)) {
            None if answers.len() == statements => Ok(Seen::recorded()),
            None => Err(Error::CommitUncertain),
            Some(Error::Unavailable(Unavailable::Lost | Unavailable::NotServing))
                if answers.len() + 1 >= statements =>
            {
                Err(Error::CommitUncertain)
            }
            Some(other) => Err(other),
        }
    }

    /// Undoes everything. Dropping does the same without waiting for it.
    pub async fn rollback(mut self) {
        if let Some(lease) = self.line.get_mut().lease.take() {
            roll_back(lease, self.pool.0.config.timeouts.wait).await;
        }
    }
}

impl Drop for RegionTx {
    fn drop(&mut self) {
        let Some(mut lease) = self.line.get_mut().lease.take() else { return };
        if lease.wire().is_as_new() {
            return;
        }
        // Without a runtime the connection is closed, which rolls back too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(roll_back(lease, self.pool.0.config.timeouts.wait)));
        }
    }
}

/// Rolls back and gives the connection to the next one. One that does not answer is closed: it is not as it was.
async fn roll_back(mut lease: Lease, limit: std::time::Duration) {
    drop(tokio::time::timeout(limit, lease.wire().roll_back()).await);
}
