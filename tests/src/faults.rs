//! What goes wrong with processes, and how to wait until something is so.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

/// How long anything may take on a busy machine with two cores before it counts as broken.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// What is sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It is gone at once and cannot clean up.
    Kill,
    /// It stands still, as on a machine that hangs.
    Stop,
    /// It goes on.
    Continue,
    /// It is asked to stop in good order.
    Terminate,
    /// It is asked to read its certificates again.
    HangUp,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
            Self::Terminate => "TERM",
            Self::HangUp => "HUP",
        }
    }
}

/// Sends a signal to one process.
pub fn send(signal: Signal, pid: u32) -> Result<()> {
    ensure!(pid > 1, "{pid} is no process to send {signal:?} to");
    // The shell's own kill: the program of that name is not on every machine.
    let status = Command::new("sh").arg("-c").arg(format!("kill -s {} {pid}", signal.name())).status()?;
    ensure!(status.success(), "kill -s {} {pid}: {status}", signal.name());
    Ok(())
}

/// Whether the process is there and not a corpse.
pub fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| !rest.trim_start().starts_with('Z')))
        .unwrap_or(false)
}

/// The processes whose command line names this text, with their command lines.
pub fn processes_naming(text: &str) -> Vec<(u32, String)> {
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own && lives(*pid))
        .filter_map(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(text).then_some((pid, line))
        })
        .collect()
}

/// The resident memory of a process that is not shared, in KiB.
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("RssAnon:")?.split_whitespace().next()?.parse().ok())
}

/// Waits until `look` finds something, looking every 50 ms, and says what was waited for when it never comes.
pub async fn wait_until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    wait_for(what, DEADLINE, look).await
}

/// [`wait_until`] with a deadline of one's own.
pub async fn wait_for<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if start.elapsed() > within {
            bail!("{what}: not so within {within:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// [`wait_for`] where there is no runtime.
pub fn wait_blocking<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if start.elapsed() > within {
            bail!("{what}: not so within {within:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_until_it_is_killed_and_reaped_or_not() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("a process");
        let pid = child.id();
        assert!(lives(pid));
        send(Signal::Kill, pid).expect("a signal");
        wait_blocking("the process to die", DEADLINE, || (!lives(pid)).then_some(())).expect("it dies");
        child.wait().expect("it is reaped");
        assert!(!lives(pid));
    }

    #[test]
    fn what_never_comes_is_named() {
        let never = wait_blocking("the impossible", Duration::from_millis(1), || None::<()>);
        assert!(never.expect_err("it does not come").to_string().contains("the impossible"));
    }
}
