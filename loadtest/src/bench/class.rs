//! The scheduling class of what is measured.
//!
//! Beside other work an ordinary task that wakes up waits for the next tick, which is longer than most of what is
//! measured here. In the real-time class it does not. What matters most is that subject, peer and client are in the
//! same one.

use std::path::Path;
use std::process::{Command, Stdio};

use super::cpu;

/// Where a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// Wherever the kernel likes.
    Any,
    /// On a core that what is measured has for itself.
    Measured,
    /// On the other core, with everything that is not measured.
    Rest,
}

impl Core {
    /// The number of the core, if it is a certain one. On a machine with one core it never is.
    fn number(self) -> Option<usize> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        let [measured, rest, ..] = cores(list.trim())[..] else { return None };
        match self {
            Self::Any => None,
            Self::Measured => Some(measured),
            Self::Rest => Some(rest),
        }
    }
}

/// The cores in a list such as `0-1,4`.
fn cores(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse::<usize>().ok()?..=to.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// This process, with threads that it starts meanwhile, stays off the core of what is measured as long as this lives.
#[derive(Debug)]
pub struct OutOfTheWay(Option<String>);

impl OutOfTheWay {
    /// Moves this process to the core of the rest.
    pub fn go() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let before = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let before = before.map(|list| list.trim().to_owned());
        if let Some(core) = Core::Rest.number() {
            keep_on(&core.to_string());
        }
        Self(before)
    }
}

impl Drop for OutOfTheWay {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            keep_on(before);
        }
    }
}

fn keep_on(list: &str) {
    let mut command = Command::new("taskset");
    command.args(["--all-tasks", "--cpu-list", "--pid", list, &std::process::id().to_string()]);
    // Where it is not allowed, figures are less steady and nothing else.
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// How the kernel schedules what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `chrt -r 1`: before every ordinary task. Closest to a machine of its own.
    RealTime,
    /// Like everything else on the machine.
    Ordinary,
}

impl Class {
    /// The real-time class where this user may use it.
    pub fn best() -> Self {
        let tried = Command::new("chrt")
            .args(["-r", "1", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if tried.is_ok_and(|status| status.success()) { Self::RealTime } else { Self::Ordinary }
    }

    /// A command whose process, and whatever it starts, is in this class.
    pub fn command(self, program: impl AsRef<Path>) -> Command {
        self.command_on(Core::Any, program)
    }

    /// The same on this core.
    pub fn command_on(self, core: Core, program: impl AsRef<Path>) -> Command {
        let mut words: Vec<String> = Vec::new();
        if let Some(core) = core.number() {
            words.extend(["taskset".to_owned(), "--cpu-list".to_owned(), core.to_string()]);
        }
        if self == Self::RealTime {
            words.extend(["chrt", "-r", "1"].map(str::to_owned));
        }
        let Some((first, rest)) = words.split_first() else { return Command::new(program.as_ref()) };
        let mut command = Command::new(first);
        command.args(rest).arg(program.as_ref());
        command
    }

    /// Puts running processes, what they started and all their threads into this class. What they start later
    /// inherits it.
    pub fn put(self, roots: &[u32]) {
        for pid in cpu::tree(roots) {
            let mut command = Command::new("chrt");
            match self {
                Self::RealTime => command.args(["--all-tasks", "-r", "-p", "1"]),
                Self::Ordinary => command.args(["--all-tasks", "-o", "-p", "0"]),
            };
            // A process that has just ended needs no class.
            let _ = command.arg(pid.to_string()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }

    /// What the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RealTime => "real-time (chrt -r 1)",
            Self::Ordinary => "ordinary",
        }
    }
}

/// The processes are in the class as long as this lives, and ordinary afterwards.
#[derive(Debug)]
pub struct Held {
    roots: Vec<u32>,
    class: Class,
}

impl Held {
    /// Puts these processes, and this one, into the class.
    pub fn new(class: Class, roots: &[u32]) -> Self {
        let mut roots = roots.to_vec();
        roots.push(std::process::id());
        if class == Class::RealTime {
            class.put(&roots);
        }
        Self { roots, class }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.class == Class::RealTime {
            Class::Ordinary.put(&self.roots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_is_read() {
        assert_eq!(cores("0-1,4"), [0, 1, 4]);
        assert_eq!(cores("7"), [7]);
        assert!(cores("").is_empty());
    }

    #[test]
    fn what_is_measured_and_the_rest_have_a_core_each() {
        let (measured, rest) = (Core::Measured.number(), Core::Rest.number());
        assert!(measured.is_none() || measured != rest);
        assert_eq!(Core::Any.number(), None);
        let mut command = Class::Ordinary.command_on(Core::Rest, "grep");
        let said = command.args(["Cpus_allowed_list", "/proc/self/status"]).output().expect("grep");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(rest.is_none_or(|core| said.trim_end().ends_with(&format!("\t{core}"))), "{said}");
    }
}
