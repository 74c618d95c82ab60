//! Lines on their way to where the log is written: one thread writes what many requests have said, with one call.
//!
//! A line waits for others for [`GATHER`] at most, unless it is a warning or worse. What waits when the program ends in
//! good order is written; a program that is killed takes the last moment's lines with it. A request never waits for a
//! slow disk or pipe: when too much waits, lines are dropped and counted.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most bytes that wait to be written: a stuck pipe must not take the memory that requests need.
const WAITING_MAX: usize = 8 << 20;
/// How long a line waits at most for others that are then written with it.
const GATHER: Duration = Duration::from_millis(20);
/// So many bytes wait for no more.
const ENOUGH: usize = 64 << 10;

/// Lines that wait to be written. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to do for the writing thread.
    come: Condvar,
    /// It has written what it had.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    dropped: u64,
    writing: bool,
    /// One of the lines is not to be held back.
    urgent: bool,
    /// Nothing is held back any more.
    ending: bool,
}

impl Waiting {
    fn may_gather(&self) -> bool {
        !self.urgent && !self.ending && self.text.len() < ENOUGH
    }
}

/// Waits, when dropped, until every line is written.
#[derive(Debug)]
#[must_use = "lines that still wait when it is gone are lost"]
pub struct Flush(Lines);

impl Drop for Flush {
    fn drop(&mut self) {
        let shared = &*self.0.0;
        let mut waiting = shared.waiting();
        waiting.ending = true;
        shared.come.notify_one();
        while !waiting.text.is_empty() || waiting.writing {
            waiting = shared.written.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Lines {
    /// Has a thread of its own write them. What is given back writes what still waits when it is dropped.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn write_to(&self, out: impl Write + Send + 'static) -> std::io::Result<Flush> {
        let shared = Arc::clone(&self.0);
        std::thread::Builder::new().name("log".into()).spawn(move || shared.write_all_to(out))?;
        Ok(Flush(self.clone()))
    }

    /// Adds one, with its line end. An urgent one is not held back.
    pub fn push(&self, urgent: bool, line: &[u8]) {
        let mut waiting = self.0.waiting();
        if waiting.text.len() + line.len() > WAITING_MAX {
            waiting.dropped += 1;
            return;
        }
        let (was_empty, might_gather) = (waiting.text.is_empty(), waiting.may_gather());
        waiting.text.extend_from_slice(line);
        waiting.urgent |= urgent;
        let wake = was_empty || (might_gather && !waiting.may_gather());
        drop(waiting);
        if wake {
            self.0.come.notify_one();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all_to(&self, mut out: impl Write) {
        let mut text = Vec::new();
        loop {
            let mut waiting = self.waiting();
            waiting.writing = false;
            if waiting.text.is_empty() {
                self.written.notify_all();
            }
            while waiting.text.is_empty() {
                waiting = self.come.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let gathered = self.come.wait_timeout_while(waiting, GATHER, |waiting| waiting.may_gather());
            (waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            text.clear();
            std::mem::swap(&mut text, &mut waiting.text);
            let dropped = std::mem::take(&mut waiting.dropped);
            (waiting.writing, waiting.urgent) = (true, false);
            drop(waiting);
            if dropped > 0 {
                let _ = writeln!(
                    text,
                    "{{\"level\":\"WARN\",\"message\":\"log lines were dropped\",\"lines\":{dropped}}}"
                );
            }
            // A log that cannot be written is no reason to stop serving, and there is nowhere left to say so.
            let _ = out.write_all(&text).and_then(|()| out.flush());
            // A burst leaves no room behind that is held for good.
            if text.capacity() > 2 * ENOUGH {
                text = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hands each write to the test, and waits until the test lets it go on.
    struct Stuck(mpsc::Sender<Vec<u8>>, mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            self.1.recv().map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_said_while_a_write_was_under_way_is_written_with_one_and_none_is_lost_at_the_end() {
        let (written, writes) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let lines = Lines::default();
        let flush = lines.write_to(Stuck(written, wait)).expect("a thread");
        lines.push(true, b"first\n");
        assert_eq!(writes.recv().expect("a write"), b"first\n", "an urgent one waits for none");
        for _ in 0..1_000 {
            lines.push(false, b"more\n");
        }
        let ending = std::thread::spawn(move || drop(flush));
        go_on.send(()).expect("it waits");
        assert_eq!(writes.recv().expect("a write"), b"more\n".repeat(1_000));
        assert!(!ending.is_finished(), "the control: it is not written yet");
        go_on.send(()).expect("it waits");
        ending.join().expect("ends when all is written");
    }

    #[test]
    fn a_pipe_that_is_stuck_costs_lines_and_says_how_many() {
        let (written, writes) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let lines = Lines::default();
        let flush = lines.write_to(Stuck(written, wait)).expect("a thread");
        lines.push(true, b"first\n");
        writes.recv().expect("a write");
        let half = vec![b'x'; WAITING_MAX / 2];
        for _ in 0..5 {
            lines.push(false, &half);
        }
        go_on.send(()).expect("it waits");
        let text = writes.recv().expect("a write");
        assert!(text.len() < WAITING_MAX + 200);
        assert!(text.ends_with(b"\"lines\":3}\n"));
        go_on.send(()).expect("it waits");
        drop(flush);
    }

    #[test]
    fn only_what_is_neither_urgent_nor_much_nor_the_last_is_held_back() {
        let lines = Lines::default();
        lines.push(false, b"line\n");
        assert!(lines.0.waiting().may_gather());
        lines.push(true, b"a warning\n");
        assert!(!lines.0.waiting().may_gather());

        let lines = Lines::default();
        lines.push(false, &vec![b'x'; ENOUGH]);
        assert!(!lines.0.waiting().may_gather());
        assert!(!Waiting { ending: true, ..Waiting::default() }.may_gather());
    }
}
