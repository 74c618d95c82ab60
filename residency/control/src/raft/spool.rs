//! A snapshot on its way: a file that is read to be sent, or written as it comes.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

use crate::snapshot_file::Draft;

/// The bytes of a snapshot's file, which are on disk and not in memory.
#[derive(Debug)]
pub struct Spool {
    file: File,
    /// While it comes in. The present snapshot has none.
    draft: Option<Draft>,
}

impl Spool {
    /// A snapshot that is there.
    pub(super) fn of_present(file: std::fs::File) -> Self {
        Self { file: File::from_std(file), draft: None }
    }

    /// One that comes in.
    pub(super) fn of_draft((draft, file): (Draft, std::fs::File)) -> Self {
        Self { file: File::from_std(file), draft: Some(draft) }
    }

    /// The file and what it may become, once everything in it is written.
    pub(super) async fn into_parts(self) -> (std::fs::File, Option<Draft>) {
        (self.file.into_std().await, self.draft)
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
        Pin::new(&mut self.file).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
