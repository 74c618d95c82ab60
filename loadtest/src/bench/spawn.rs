//! Another process of this program, which ends when its input does: also when the one that started it was killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, ensure};

/// A running one.
pub(super) struct Spawned {
    child: Child,
    input: Option<ChildStdin>,
}

impl Spawned {
    /// Starts it, and waits for the one line that it says when it is ready.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<(Self, String)> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("another process of this program")?;
        let input = child.stdin.take();
        let output = child.stdout.take();
        let spawned = Self { child, input };
        let mut said = String::new();
        BufReader::new(output.context("the output of another process")?).read_line(&mut said)?;
        ensure!(said.ends_with('\n'), "another process of this program did not start; what it said is above");
        Ok((spawned, said.trim_end().to_owned()))
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
