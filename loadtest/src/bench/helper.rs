//! Another process of this program, which ends when its input does: also when the one that started it was killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, ensure};

/// A running helper.
pub(super) struct Helper {
    child: Child,
    input: Option<ChildStdin>,
}

impl Helper {
    /// Starts it, and waits for the one line that it says when it is ready.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<(Self, String)> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("a helper")?;
        let input = child.stdin.take();
        let output = child.stdout.take();
        let helper = Self { child, input };
        let mut said = String::new();
        BufReader::new(output.context("a helper's output")?).read_line(&mut said)?;
        ensure!(said.ends_with('\n'), "a helper did not start; what it said is above");
        Ok((helper, said.trim_end().to_owned()))
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
