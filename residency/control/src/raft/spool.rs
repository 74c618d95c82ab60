//! A snapshot on its way: a file that is read to be sent, or written and synced as it comes.

use std::future::Future as _;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

use crate::snapshot_file::{Draft, SYNC_EVERY};

/// The bytes of a snapshot's file, which are on disk and not in memory.
#[derive(Debug)]
pub struct Spool {
    file: File,
    /// While it comes in. The present snapshot is all there.
    incoming: Option<Incoming>,
}

/// A file to which bytes come. It is synced each time so many came, as one that is built here: whoever sends waits for
/// it, and not the clients of the log, which lies on the same disk.
#[derive(Debug)]
struct Incoming {
    draft: Draft,
    /// The same file, to be synced on another thread.
    file: Arc<std::fs::File>,
    sync: fn(&std::fs::File) -> io::Result<()>,
    unsynced: usize,
    syncing: Option<JoinHandle<io::Result<()>>>,
    /// A sync failed. A later one could succeed over what was lost.
    failed: bool,
}

impl Spool {
    /// A snapshot that is there.
    pub(super) fn of_present(file: std::fs::File) -> Self {
        Self { file: File::from_std(file), incoming: None }
    }

    /// One that comes in.
    pub(super) fn of_draft((draft, file): (Draft, std::fs::File)) -> io::Result<Self> {
        let (same, sync) = (Arc::new(file.try_clone()?), std::fs::File::sync_data);
        let incoming = Incoming { draft, file: same, sync, unsynced: 0, syncing: None, failed: false };
        Ok(Self { file: File::from_std(file), incoming: Some(incoming) })
    }

    /// The file and what it may become, once everything in it is written.
    pub(super) async fn into_parts(self) -> (std::fs::File, Option<Draft>) {
        (self.file.into_std().await, self.incoming.map(|incoming| incoming.draft))
    }

    /// Waits until so much is synced that more may come.
    fn poll_synced(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(Ok(())) };
        if incoming.failed {
            return Poll::Ready(Err(io::Error::other("a part of the snapshot could not be synced")));
        }
        if incoming.unsynced >= SYNC_EVERY && incoming.syncing.is_none() {
            ready!(Pin::new(&mut self.file).poll_flush(cx))?;
            let (file, sync) = (incoming.file.clone(), incoming.sync);
            incoming.unsynced = 0;
            incoming.syncing = Some(tokio::task::spawn_blocking(move || sync(&file)));
        }
        if let Some(syncing) = &mut incoming.syncing {
            let synced = ready!(Pin::new(syncing).poll(cx));
            incoming.syncing = None;
            let synced = synced.map_err(io::Error::other).flatten();
            incoming.failed = synced.is_err();
            synced?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Spool {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_read(cx, buf)
    }
}

impl AsyncWrite for Spool {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_synced(cx))?;
        let written = ready!(Pin::new(&mut self.file).poll_write(cx, bytes))?;
        if let Some(incoming) = &mut self.incoming {
            incoming.unsynced += written;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_synced(cx))?;
        Pin::new(&mut self.file).poll_shutdown(cx)
    }
}

impl AsyncSeek for Spool {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(to)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.file).poll_complete(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// How long the file was each time it was synced.
    static SYNCED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

    fn noted(file: &std::fs::File) -> io::Result<()> {
        SYNCED.lock().expect("no panic in it").push(file.metadata()?.len());
        Ok(())
    }

    fn spool(dir: &tempfile::TempDir, sync: fn(&std::fs::File) -> io::Result<()>) -> Spool {
        let mut spool = Spool::of_draft(Draft::begin(dir.path()).expect("begins")).expect("a spool");
        spool.incoming.as_mut().expect("comes in").sync = sync;
        spool
    }

    #[tokio::test]
    async fn what_comes_in_is_synced_as_it_comes() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spool = spool(&dir, noted);
        let part = vec![7; 64 << 10];
        for _ in 0..=3 * SYNC_EVERY / part.len() {
            spool.write_all(&part).await.expect("writes");
        }
        let synced = SYNCED.lock().expect("no panic in it").clone();
        assert_eq!(synced, [1, 2, 3].map(|times| times * SYNC_EVERY as u64), "all of it, each time");
        let (file, draft) = spool.into_parts().await;
        assert_eq!(file.metadata().expect("is there").len(), (3 * SYNC_EVERY + part.len()) as u64);
        assert!(draft.is_some());
    }

    #[tokio::test]
    async fn a_sync_that_fails_ends_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spool = spool(&dir, |_| Err(io::Error::other("injected")));
        spool.write_all(&vec![7; SYNC_EVERY]).await.expect("the control: there is nothing to sync yet");
        let error = spool.write_all(b"more").await.expect_err("what came may be lost");
        assert!(error.to_string().contains("injected"), "{error}");
        assert!(spool.write_all(b"more").await.is_err() && spool.shutdown().await.is_err(), "for good");
    }
}
