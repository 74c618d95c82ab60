//! The scheduling class of what is measured.
//!
//! Beside other work an ordinary task that wakes up waits for the next tick, which is longer than most of what is
//! measured here. In the real-time class it does not. What matters most is that subject, peer and client are in the
//! same one.

use std::path::Path;
use std::process::{Command, Stdio};

use super::cpu;

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
        match self {
            Self::Ordinary => Command::new(program.as_ref()),
            Self::RealTime => {
                let mut command = Command::new("chrt");
                command.args(["-r", "1"]).arg(program.as_ref());
                command
            }
        }
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
