//! Processor time of whole process trees, from `/proc/PID/task/TID/schedstat`, in nanoseconds.
//!
//! It is the steadiest figure there is on a busy machine: how much work a request was, whoever else was running.
//! A Postgres backend lives as long as its connection and takes its figures with it when it goes, so a [`Meter`]
//! looks while it runs and keeps the last figure of every thread it has seen.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a meter looks. What a thread did after the last look before its end is not counted.
const LOOK: Duration = Duration::from_millis(40);

/// A process, when it was started, and one of its threads: together they are never used again.
type Thread = (u32, u64, u32);
type Times = HashMap<Thread, u64>;

/// These processes and everything that descends from them.
pub fn tree(roots: &[u32]) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return roots.to_vec() };
    let parents: Vec<(u32, u32)> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.0)))
        .collect();
    let mut found: Vec<u32> = roots.to_vec();
    let mut known: HashSet<u32> = roots.iter().copied().collect();
    let mut at = 0;
    while at < found.len() {
        let of = found[at];
        found.extend(
            parents.iter().filter(|(pid, parent)| *parent == of && known.insert(*pid)).map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found
}

/// The parent of a process and when it was started. The name before them may hold anything, brackets included.
fn stat(pid: u32) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = text.rsplit_once(')')?.1.split_whitespace();
    let parent = rest.nth(1)?.parse().ok()?;
    Some((parent, rest.nth(17)?.parse().ok()?))
}

fn look(roots: &[u32], times: &mut Times) {
    for pid in tree(roots) {
        let Some((_, started)) = stat(pid) else { continue };
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            let on_cpu = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat"))
                .ok()
                .and_then(|text| text.split_whitespace().next()?.parse().ok());
            if let Some(nanoseconds) = on_cpu {
                times.insert((pid, started, thread), nanoseconds);
            }
        }
    }
}

/// Counts from when it is started until it is read.
#[derive(Debug)]
pub struct Meter {
    before: Times,
    stop: Arc<AtomicBool>,
    looking: JoinHandle<Times>,
}

impl Meter {
    /// Starts to count what these processes and their descendants use.
    pub fn start(roots: &[u32]) -> Self {
        let roots = roots.to_vec();
        let mut before = Times::new();
        look(&roots, &mut before);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut seen) = (stop.clone(), before.clone());
        let looking = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::park_timeout(LOOK);
                look(&roots, &mut seen);
            }
            seen
        });
        Self { before, stop, looking }
    }

    /// What was used since.
    pub fn read(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.looking.thread().unpark();
        let after = self.looking.join().unwrap_or_default();
        let used = after.iter().map(|(thread, now)| now.saturating_sub(*self.before.get(thread).unwrap_or(&0)));
        Duration::from_nanos(used.sum())
    }
}

/// How memory that several processes share is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Each has its part of it: the proportional set size.
    Proportional,
    /// Each has the whole of it: the resident set size.
    Resident,
}

/// The memory of these processes and their descendants, in bytes.
pub fn memory(roots: &[u32], counted: Memory) -> u64 {
    let key = match counted {
        Memory::Proportional => "Pss:",
        Memory::Resident => "Rss:",
    };
    let of = |pid: &u32| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    tree(roots).iter().filter_map(of).sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_child_of_a_child_uses_is_counted_also_when_it_has_gone() {
        let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; read line";
        let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("a shell");
        let meter = Meter::start(&[child.id()]);
        // It reads the line when the loop is over.
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), b"\n").expect("writes");
        child.wait().expect("ends");
        let used = meter.read();
        assert!(used > Duration::from_millis(20), "{used:?}");
    }

    #[test]
    fn this_process_has_memory_and_a_parent() {
        let own = std::process::id();
        let (part, whole) = (memory(&[own], Memory::Proportional), memory(&[own], Memory::Resident));
        assert!(100_000 < part && part <= whole, "{part} of {whole}");
        let parent = stat(own).expect("a process").0;
        assert!(tree(&[parent]).contains(&own));
        assert!(!tree(&[own]).contains(&parent));
    }
}
