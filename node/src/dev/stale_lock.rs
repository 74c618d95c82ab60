//! Clears the lock files that a killed Postgres leaves behind.
//!
//! Postgres refuses to start while the process id in its lock files is anybody's: that of a corpse which nobody has
//! buried yet, or of a stranger who was given the number later, as happens in containers, where the same few numbers
//! come round. Without the files it would not notice a server's children that are still at work either, so the files
//! go only when no process stands in the data folder, which is where each of a server's processes stands.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use super::postgres::Server;

/// How long the children of a killed server may take to notice.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Takes the files away if they are a dead server's. A live one's stay, and Postgres says so itself.
pub async fn clear(server: &Server) -> Result<()> {
    let socket = format!(".s.PGSQL.{}.lock", server.port);
    let files = [server.data_dir.join("postmaster.pid"), server.socket_dir.join(socket)];
    let until = Instant::now() + PATIENCE;
    while files.iter().any(|file| file.exists()) {
        if !somebody_stands_in(&server.data_dir) {
            return files.iter().filter(|file| file.exists()).try_for_each(|file| {
                fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))
            });
        }
        if Instant::now() > until {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Whether any living process has this folder as its own. A corpse has none.
fn somebody_stands_in(folder: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else { return false };
    let Ok(processes) = fs::read_dir("/proc") else { return true };
    processes.flatten().any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn the_lock_goes_when_nobody_is_at_work_and_not_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let server = Server { data_dir: dir.path().into(), socket_dir: dir.path().into(), port: 7 };
        let files = ["postmaster.pid", ".s.PGSQL.7.lock"].map(|name| dir.path().join(name));
        for file in &files {
            fs::write(file, format!("{}\n", std::process::id())).expect("writes");
        }
        let mut child = Command::new("sleep").arg("600").current_dir(dir.path()).spawn().expect("starts");
        assert!(somebody_stands_in(dir.path()));
        let clearing = clear(&server);
        tokio::pin!(clearing);
        assert!(futures::poll!(&mut clearing).is_pending(), "somebody is at work");
        assert!(files.iter().all(|file| file.exists()));
        child.kill().expect("dies");
        child.wait().expect("is buried");
        clearing.await.expect("clears");
        assert!(!files.iter().any(|file| file.exists()));
        clear(&server).await.expect("nothing to clear is no error");
    }
}
