//! Reads files again when they change or when the process is told to (SIGHUP).

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};

use crate::drain::Drain;

/// What is compared to see that a file is another one. The inode shows a replacement by rename within one tick of
/// the file system's clock, which is how Kubernetes and certbot do it.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Calls `again` whenever one of the files has changed, and on every SIGHUP, until the drain begins.
///
/// Files are polled: a watch on an inode does not see a symbolic link that moves. `again` keeps what it had when
/// the new content is not usable; a pair of files that is replaced one after the other is then read once more.
pub async fn on_change(files: Vec<PathBuf>, every: Duration, drain: Drain, again: impl Fn() + Send) {
    // Without the signal the files are still polled; only a sandbox that forbids signals comes here.
    let mut hang_up = signal(SignalKind::hangup()).ok();
    let mut tick = tokio::time::interval(every);
    let mut known = stamps(&files);
    loop {
        tokio::select! {
            () = drain.begun() => return,
            () = told(&mut hang_up) => {
                known = stamps(&files);
                again();
            }
            _ = tick.tick() => {
                let now = stamps(&files);
                if now != known {
                    known = now;
                    again();
                }
            }
        }
    }
}

async fn told(hang_up: &mut Option<tokio::signal::unix::Signal>) {
    if let Some(signal) = hang_up
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}
