//! Logs as JSON, one line for each event, written by a thread of its own ([`crate::lines`]).
//!
//! Only our own crates and the control plane's may speak below WARN. An HTTP or TLS library that explains itself at
//! DEBUG prints headers, and a header holds a caller's key.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::Arc;

use residency_policy::Clock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::lines::{Flush, Lines};
use crate::traces::{self, Traces};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum CannotLog {
    /// Somebody logs already.
    #[error("the log was begun before: {0}")]
    Again(#[from] TryInitError),
    /// There is no thread that could write.
    #[error("no thread can be started that writes the log: {0}")]
    NoThread(#[from] std::io::Error),
}

/// Starts logging to `out`, and collecting traces if there are any. What is given back writes the rest when it is dropped.
pub fn start(
    level: LevelFilter,
    clock: Arc<dyn Clock>,
    traces: Option<&Traces>,
    out: impl Write + Send + 'static,
) -> Result<Flush, CannotLog> {
    let lines = Lines::default();
    let quiet = level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(quiet)
        .with_target(traces::TARGET, LevelFilter::OFF)
        .with_targets([("router", level), ("domicile_router", level), ("residency_control", level)])
        .with_targets([("request", level), ("openraft", level.min(LevelFilter::INFO))])
        .with_targets([("hyper", LevelFilter::OFF), ("h2", LevelFilter::OFF), ("rustls", LevelFilter::ERROR)]);
    let logging =
        tracing_subscriber::registry().with(JsonLines { clock, lines: lines.clone() }.with_filter(targets));
    // A layer that is there and does nothing would have every span made that only it could want.
    match traces {
        Some(traces) => logging.with(traces.layer()).try_init()?,
        None => logging.try_init()?,
    }
    Ok(lines.write_to(out)?)
}

struct JsonLines {
    clock: Arc<dyn Clock>,
    lines: Lines,
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::with_capacity(256));
        line.begin(&self.clock.now(), event.metadata());
        event.record(&mut line);
        line.0.push_str("}\n");
        self.lines.push(*event.metadata().level() <= Level::WARN, line.0.as_bytes());
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

    struct Sink(std::sync::mpsc::Sender<Vec<u8>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_json_whatever_is_in_it() {
        let lines = Lines::default();
        let layer = JsonLines { clock: Arc::new(Still), lines: lines.clone() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(target: "request", status = 200u16, share = 0.5, said = "a \"b\"\n\\ \u{1}", "done");
        });
        let (written, text) = std::sync::mpsc::channel();
        drop(lines.write_to(Sink(written)).expect("a thread"));
        let text = String::from_utf8(text.recv().expect("one write")).expect("utf-8");
        assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("json");
        assert_eq!(line["ts"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["status"], 200);
        assert_eq!(line["said"], "a \"b\"\n\\ \u{1}");
        assert_eq!(line["message"], "done");
    }
}
