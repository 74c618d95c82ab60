//! Logs as JSON, one line for each event. Lines are handed to one writing thread, so that a request never waits
//! for a slow disk or pipe. That thread writes many lines at once: it rests for a moment after the first of them, or a
//! process that serves would pay for a wake-up and a write with every request. A warning is not held back.
//!
//! Only our own crates and the control plane's may speak below WARN. An HTTP or TLS library that explains itself at
//! DEBUG prints headers, and a header holds a caller's key.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use residency_policy::Clock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::traces::{self, Traces};

/// The most bytes that wait to be written. Past that, lines are dropped and counted: a stuck pipe must not take the
/// memory that requests need.
const WAITING_MAX: usize = 8 << 20;
/// How long a line waits at most for others that are then written with it.
const GATHER: Duration = Duration::from_millis(20);
/// So many bytes wait for no more.
const ENOUGH: usize = 64 << 10;

/// Starts logging to `out`, and collecting traces if there are any. What is given back writes the rest when it is dropped.
pub fn start(
    level: LevelFilter,
    clock: Arc<dyn Clock>,
    traces: Option<&Traces>,
    out: impl Write + Send + 'static,
) -> Result<Flush, TryInitError> {
    let lines = Arc::new(Lines::default());
    let flush = Flush(Arc::clone(&lines));
    let quiet = level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(quiet)
        .with_target(traces::TARGET, LevelFilter::OFF)
        .with_targets([("router", level), ("domicile_router", level), ("residency_control", level)])
        .with_targets([("request", level), ("openraft", level.min(LevelFilter::INFO))])
        .with_targets([("hyper", LevelFilter::OFF), ("h2", LevelFilter::OFF), ("rustls", LevelFilter::ERROR)]);
    let logging = tracing_subscriber::registry()
        .with(JsonLines { clock, lines: Arc::clone(&lines) }.with_filter(targets));
    // A layer that is there and does nothing would have every span made that only it could want.
    match traces {
        Some(traces) => logging.with(traces.layer()).try_init()?,
        None => logging.try_init()?,
    }
    std::thread::spawn(move || lines.write_to(out));
    Ok(flush)
}

/// Waits, when dropped, until every line is written.
#[derive(Debug)]
pub struct Flush(Arc<Lines>);

impl Drop for Flush {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.ending = true;
        self.0.come.notify_one();
        while !waiting.text.is_empty() || waiting.writing {
            waiting = self.0.written.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[derive(Debug, Default)]
struct Lines {
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

impl Lines {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &str, urgent: bool) {
        let mut waiting = self.waiting();
        if waiting.text.len() + line.len() > WAITING_MAX {
            waiting.dropped += 1;
            return;
        }
        let (was_empty, might_gather) = (waiting.text.is_empty(), waiting.may_gather());
        waiting.text.extend_from_slice(line.as_bytes());
        waiting.urgent |= urgent;
        let wake = was_empty || (might_gather && !waiting.may_gather());
        drop(waiting);
        if wake {
            self.come.notify_one();
        }
    }

    fn write_to(&self, mut out: impl Write) {
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
            // There is nowhere left to say that the log cannot be written.
            let _ = out.write_all(&text).and_then(|()| out.flush());
            // A burst leaves no room behind that is held for good.
            if text.capacity() > 2 * ENOUGH {
                text = Vec::new();
            }
        }
    }
}

struct JsonLines {
    clock: Arc<dyn Clock>,
    lines: Arc<Lines>,
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::with_capacity(256));
        line.begin(&self.clock.now(), event.metadata());
        event.record(&mut line);
        line.0.push_str("}\n");
        self.lines.push(&line.0, *event.metadata().level() <= Level::WARN);
    }
}

struct Line(String);

impl Line {
    fn begin(&mut self, now: &jiff::Timestamp, metadata: &Metadata<'_>) {
        let level = match *metadata.level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            Level::INFO => "INFO",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        // Writing to a String does not fail, here and below.
        let _ =
            write!(self.0, "{{\"ts\":\"{now:.6}\",\"level\":\"{level}\",\"target\":\"{}\"", metadata.target());
    }

    fn name(&mut self, field: &Field) {
        // The names of fields are words of this program: none needs escaping.
        for part in [",\"", field.name(), "\":"] {
            self.0.push_str(part);
        }
    }

    fn text(&mut self, text: &str) {
        self.0.push('"');
        let _ = Escaped(&mut self.0).write_str(text);
        self.0.push('"');
    }

    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.text(value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.record_str(field, &value.to_string());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push('"');
        let _ = write!(Escaped(&mut self.0), "{value:?}");
        self.0.push('"');
    }
}

/// Escapes what JSON does not take in a string (RFC 8259 section 7): a value can never begin a line or a field.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                c if c.is_control() => write!(self.0, "\\u{:04x}", u32::from(c))?,
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Still;
    impl Clock for Still {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    #[test]
    fn a_line_is_json_whatever_is_in_it() {
        let lines = Arc::new(Lines::default());
        let layer = JsonLines { clock: Arc::new(Still), lines: Arc::clone(&lines) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(target: "request", status = 200u16, share = 0.5, said = "a \"b\"\n\\ \u{1}", "done");
        });
        let text = String::from_utf8(lines.waiting().text.clone()).expect("utf-8");
        assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("json");
        assert_eq!(line["ts"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["status"], 200);
        assert_eq!(line["said"], "a \"b\"\n\\ \u{1}");
        assert_eq!(line["message"], "done");
    }

    /// Every write, as it came.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What the writing thread writes of these lines until an orderly end.
    fn written(lines: &Arc<Lines>) -> Vec<String> {
        let (flush, writes) = (Flush(Arc::clone(lines)), Writes::default());
        let (lines, out) = (Arc::clone(lines), writes.clone());
        std::thread::spawn(move || lines.write_to(out));
        drop(flush);
        let writes = writes.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.iter().map(|bytes| String::from_utf8(bytes.clone()).expect("utf-8")).collect()
    }

    #[test]
    fn lines_that_wait_are_one_write_and_an_orderly_end_loses_none() {
        let lines = Arc::new(Lines::default());
        let all: Vec<String> = (0..1_000).map(|number| format!("{number}\n")).collect();
        for line in &all {
            lines.push(line, false);
        }
        assert_eq!(written(&lines), [all.concat()]);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_the_log_says_how_much() {
        let lines = Arc::new(Lines::default());
        let line = "x".repeat(WAITING_MAX / 4);
        for _ in 0..7 {
            lines.push(&line, false);
        }
        let written = written(&lines).concat();
        let said = written.strip_prefix(&line.repeat(4)).expect("the first four fit");
        let said: serde_json::Value = serde_json::from_str(said).expect("a line of JSON");
        assert_eq!(said["lines"], 3);
    }

    #[test]
    fn only_what_is_neither_urgent_nor_much_nor_the_last_is_held_back() {
        let lines = Lines::default();
        lines.push("line\n", false);
        assert!(lines.waiting().may_gather());
        lines.push("a warning\n", true);
        assert!(!lines.waiting().may_gather());

        let lines = Lines::default();
        lines.push(&"x".repeat(ENOUGH), false);
        assert!(!lines.waiting().may_gather());
        assert!(!Waiting { ending: true, ..Waiting::default() }.may_gather());
    }
}
