//! Histories in files: one JSON object a line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{Act, Operation, Outcome};

/// Takes down operations as they end, and gives them one clock.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    operations: Vec<Operation>,
    file: Option<BufWriter<File>>,
    failed: Option<std::io::Error>,
}

impl Recorder {
    /// Takes down in memory, and in this file when one is named.
    pub fn new(path: Option<&Path>) -> Result<Self> {
        let file =
            path.map(|path| File::create(path).with_context(|| path.display().to_string())).transpose()?;
        let taken = Taken { operations: Vec::new(), file: file.map(BufWriter::new), failed: None };
        Ok(Self { start: Instant::now(), taken: Mutex::new(taken) })
    }

    /// Nanoseconds since the recording began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// An operation that begins now.
    pub fn begin(&self, process: u32, key: impl Into<String>, act: Act) -> Operation {
        let call = self.now();
        Operation { process, key: key.into(), act, call, back: None, outcome: Outcome::Unknown, index: None }
    }

    /// Takes down an operation that ends now.
    pub fn end(&self, mut operation: Operation, outcome: Outcome, index: Option<u64>) {
        operation.back = Some(self.now());
        operation.outcome = outcome;
        operation.index = index;
        self.take(operation);
    }

    /// Takes down something of which nobody will ever know whether it happened, or when.
    pub fn lost(&self, operation: Operation) {
        self.take(Operation { back: None, outcome: Outcome::Unknown, index: None, ..operation });
    }

    fn take(&self, operation: Operation) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut taken.file {
            let line = serde_json::to_vec(&operation).map_err(std::io::Error::other);
            let written = line.and_then(|line| file.write_all(&line).and_then(|()| file.write_all(b"\n")));
            // The judges have the operations in memory; that the file is not whole is said at the end.
            if let Err(error) = written {
                taken.failed.get_or_insert(error);
            }
        }
        taken.operations.push(operation);
    }

    /// Everything that was taken down.
    pub fn finish(self) -> Result<Vec<Operation>> {
        let taken = self.taken.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = taken.failed {
            return Err(error).context("the history could not be written");
        }
        if let Some(mut file) = taken.file {
            file.flush().context("the history could not be written")?;
        }
        Ok(taken.operations)
    }
}

/// Reads a history.
pub fn read(path: &Path) -> Result<Vec<Operation>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut operations = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| path.display().to_string())?;
        if line.trim().is_empty() {
            continue;
        }
        let operation = serde_json::from_str(&line);
        operations.push(operation.with_context(|| format!("{}:{}", path.display(), number + 1))?);
    }
    Ok(operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_down_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history.jsonl");
        let recorder = Recorder::new(Some(&path)).expect("a recorder");
        let first = recorder.begin(1, "a", Act::Put(1));
        let second = recorder.begin(2, "a", Act::Read);
        recorder.end(first, Outcome::Done, Some(4));
        recorder.end(second, Outcome::Unknown, None);
        let taken = recorder.finish().expect("finishes");
        assert_eq!(taken.len(), 2);
        assert!(taken.iter().all(|operation| operation.back.is_some_and(|back| back >= operation.call)));
        assert_eq!(read(&path).expect("reads"), taken);
        std::fs::write(&path, "{}\n").expect("writes");
        assert!(format!("{:#}", read(&path).expect_err("no operation")).contains("history.jsonl:1"));
    }
}
