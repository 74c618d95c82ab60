//! Stops a process without breaking what it has begun.
//!
//! A drain has two moments. When it begins, listeners close, every connection is told to finish what is in flight
//! and to take nothing new, and readiness turns false. When the deadline passes, what is still open is cut.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

use crate::when_woken::WhenWoken;

/// One drain, shared by everything that has to stop together. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    cut: CancellationToken,
    connections: TaskTracker,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything in flight was finished.
    Finished,
    /// The deadline passed while this many connections were open; they were cut.
    Cut(usize),
}

impl Drain {
    /// A drain that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins: nothing new is taken from now on.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Whether it has begun.
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until it begins.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.begun.cancelled()
    }

    /// Begins, waits until every connection has finished, and cuts what is left after `within`.
    pub async fn finish(&self, within: Duration) -> Drained {
        self.begin();
        self.connections.close();
        if tokio::time::timeout(within, self.connections.wait()).await.is_ok() {
            return Drained::Finished;
        }
        let left = self.connections.len();
        self.cut.cancel();
        self.connections.wait().await;
        Drained::Cut(left)
    }

    /// Runs one connection, which [`Drain::finish`] waits for. It is dropped where it stands when the drain is cut.
    pub(crate) fn run(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let cut = WhenWoken::new(self.cut.clone().cancelled_owned());
        self.connections.spawn(async move {
            tokio::select! {
                biased;
                () = connection => {}
                () = cut => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_in_flight_is_finished() {
        let drain = Drain::new();
        let (done, told) = tokio::sync::oneshot::channel();
        drain.run({
            let drain = drain.clone();
            async move {
                drain.begun().await;
                let _ = done.send(());
            }
        });
        assert_eq!(drain.finish(Duration::from_secs(10)).await, Drained::Finished);
        assert_eq!(told.await, Ok(()));
    }

    #[tokio::test]
    async fn what_never_finishes_is_cut_at_the_deadline() {
        let drain = Drain::new();
        drain.run(std::future::pending());
        assert_eq!(drain.finish(Duration::from_millis(20)).await, Drained::Cut(1));
    }
}
