//! The log: one JSON object a line, on standard output, with what the span of a request knows.
//!
//! The types keep PHI out of the log; [`scrub`] is the last line of defence, for a text that came from elsewhere,
//! such as an error of a library. It looks at every string.

pub mod scrub;

use std::cell::Cell;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;

use residency_policy::Clock;
use router::lines::Lines;
use router::traces::{self, Traces};
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry};

pub use router::lines::Flush;

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum CannotLog {
    /// The level is not one that is understood.
    #[error(
        "the log level `{0}` is not understood: expected one such as `info` or `info,residency_control=debug`"
    )]
    NotALevel(String),
    /// There is no thread that could write.
    #[error("no thread can be started that writes the log: {0}")]
    NoThread(#[from] std::io::Error),
}

/// Sends events to standard output from now on, and spans to a collector if there is one. A second call changes
/// nothing. What is given back writes what still waits when it is dropped.
pub fn begin(level: &str, clock: Arc<dyn Clock>, traces: Option<&Traces>) -> Result<Flush, CannotLog> {
    let filter = filter(level)?.and(ceiling());
    let lines = Lines::default();
    let flush = lines.write_to(std::io::stdout())?;
    let out = move |level: &Level, line: &[u8]| lines.push(*level <= Level::WARN, line);
    let logging = Registry::default().with(Events { clock, out }.with_filter(filter));
    // A layer that is there and does nothing would have every span made that only it could want. And only a test that
    // begins twice comes to the error.
    let _ = match traces {
        Some(traces) => tracing::subscriber::set_global_default(logging.with(traces.layer())),
        None => tracing::subscriber::set_global_default(logging),
    };
    Ok(flush)
}

fn filter(level: &str) -> Result<EnvFilter, CannotLog> {
    format!("{QUIET},{level}").parse().map_err(|_| CannotLog::NotALevel(level.into()))
}

/// openraft narrates its own life, warns of every passing election, and calls each message that a peer which is down
/// does not get an error, several times a second. The member's state tells the same, and its end is told by the
/// control plane itself. A directive of the configuration goes before these.
const QUIET: &str = "openraft=error,openraft::replication=off,openraft::core::raft_core=off";

/// What no configuration can raise: these quote what goes over the wire, or the statements with their values.
fn ceiling() -> Targets {
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_target(traces::TARGET, LevelFilter::OFF)
        .with_target("hyper", LevelFilter::OFF)
        .with_target("h2", LevelFilter::OFF)
        .with_target("webauthn_rs_core", LevelFilter::OFF)
        .with_target("tower", LevelFilter::WARN)
        .with_target("rustls", LevelFilter::ERROR)
        .with_target("tokio_rustls", LevelFilter::ERROR)
        .with_target("tokio_postgres", LevelFilter::OFF)
        .with_target("postgres", LevelFilter::OFF)
        .with_target("refinery", LevelFilter::WARN)
        .with_target("aws", LevelFilter::WARN)
}

/// Writes events as lines of JSON.
struct Events<W> {
    clock: Arc<dyn Clock>,
    out: W,
}

thread_local! {
    /// The room that a line is written in: as every request ends with one, it is kept.
    static ROOM: Cell<Fields> = Cell::default();
}

/// The fields of one span or event, in their order, scrubbed when they were recorded.
#[derive(Default)]
struct Fields {
    names: Vec<(&'static str, Range<usize>)>,
    /// The values, as JSON.
    json: Vec<u8>,
    /// Where a value is printed before it is looked at.
    printed: String,
}

impl<S, W> Layer<S> for Events<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: Fn(&Level, &[u8]) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Whoever says something while a value is printed finds the room empty, and makes one.
        let mut line = ROOM.try_with(Cell::take).unwrap_or_default();
        line.clear();
        let metadata = event.metadata();
        // They come first in the line, and their values last of all.
        for name in ["ts", "level", "target"] {
            line.put(name, |_| ());
        }
        for span in
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(fields) = span.extensions().get::<Fields>() {
                fields.names.iter().for_each(|(name, at)| {
                    line.put(name, |json| json.extend_from_slice(&fields.json[at.clone()]));
                });
            }
        }
        event.record(&mut line);
        // Last, since a field may have such a name: openraft calls the peer that it writes to `target`.
        let now = self.clock.now();
        // Writing to a Vec cannot fail.
        line.put("ts", |json| drop(write!(json, "\"{now:.6}\"")));
        line.put("level", |json| drop(write!(json, "\"{}\"", metadata.level())));
        line.put_json("target", metadata.target());
        let from = line.json.len();
        line.end();
        (self.out)(metadata.level(), &line.json[from..]);
        let _ = ROOM.try_with(|room| room.set(line));
    }
}

impl Fields {
    fn clear(&mut self) {
        self.names.clear();
        self.json.clear();
    }

    /// What is said last of a name holds: an event knows better than its span.
    fn put(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.json.len();
        write(&mut self.json);
        let at = from..self.json.len();
        match self.names.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = at,
            None => self.names.push((name, at)),
        }
    }

    /// Texts and numbers are always JSON; a number that is none, such as an infinity, becomes `null`.
    fn put_json(&mut self, name: &'static str, value: impl Serialize) {
        self.put(name, |json| drop(serde_json::to_writer(json, &value)));
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        self.put_json(field.name(), scrub::scrub(text));
    }

    fn put_printed(&mut self, field: &Field, value: std::fmt::Arguments<'_>) {
        let mut printed = std::mem::take(&mut self.printed);
        printed.clear();
        // Writing to a String cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut printed, value);
        self.put_text(field, &printed);
        self.printed = printed;
    }

    /// Appends the whole line.
    fn end(&mut self) {
        let mut opening = b'{';
        for (name, at) in &self.names {
            self.json.push(opening);
            opening = b',';
            let _ = serde_json::to_writer(&mut self.json, name);
            self.json.push(b':');
            self.json.extend_from_within(at.clone());
        }
        self.json.extend_from_slice(b"}\n");
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put_json(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_json(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_json(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put_json(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put_text(field, &crate::exit::chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put_printed(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use serde_json::Value;

    use super::*;

    struct Still;
    impl Clock for Still {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    fn lines_of(act: impl FnOnce()) -> Vec<Value> {
        lines_at("info", act)
    }

    fn lines_at(level: &str, act: impl FnOnce()) -> Vec<Value> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let out = move |_: &Level, line: &[u8]| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
        };
        let filter = filter(level).expect("a level").and(ceiling());
        let subscriber = Registry::default().with(Events { clock: Arc::new(Still), out }.with_filter(filter));
        tracing::subscriber::with_default(subscriber, act);
        let bytes = written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(bytes).expect("is text");
        text.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
    }

    #[test]
    fn an_event_carries_what_its_span_knows() {
        let lines = lines_of(|| {
            let span = tracing::info_span!("request", request_id = "r-1", route = tracing::field::Empty);
            span.record("route", "/v1/patients/{id}");
            span.in_scope(|| tracing::info!(status = 200_u64, org_id = "o-1", "answered"));
        });
        let line = &lines[0];
        assert_eq!(line["ts"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "answered");
        assert_eq!(line["request_id"], "r-1");
        assert_eq!(line["route"], "/v1/patients/{id}");
        assert_eq!(line["status"], 200);
        assert_eq!(line["org_id"], "o-1");
    }

    #[test]
    fn what_quotes_the_wire_stays_quiet_whatever_is_configured() {
        for level in [
            "info",
            "trace",
            "trace,hyper=trace,hyper_util::client=trace,tokio_postgres=trace,aws_smithy_runtime=trace",
        ] {
            let lines = lines_at(level, || {
                tracing::error!(target: "hyper::proto::h1", "a header");
                tracing::error!(target: "hyper_util::client", "a header");
                tracing::error!(target: "h2::codec", "a frame");
                tracing::error!(target: "webauthn_rs_core::core", "a passkey");
                tracing::warn!(target: "rustls::conn", "a handshake");
                tracing::error!(target: "tokio_postgres::prepare", "a statement");
                tracing::info!(target: "aws_smithy_runtime::client", "a request to the KMS");
                tracing::info!(target: "residency_control", "the control");
            });
            let said: Vec<_> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
            assert_eq!(said, ["the control"], "{level}");
        }
    }

    #[test]
    fn a_peer_that_is_down_is_no_error_and_a_field_never_takes_the_place_of_the_target() {
        let speak = || {
            tracing::error!(target: "openraft::replication", "RPCError");
            let two = 2_u64;
            tracing::error!(target: "openraft::core::raft_core", { target = %two }, "timeout");
            tracing::error!(target: "openraft::storage", { target = %two, level = "x" }, "the disk is full");
        };
        let lines = lines_of(speak);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!((&lines[0]["target"], &lines[0]["level"]), (&"openraft::storage".into(), &"ERROR".into()));
        assert_eq!(
            lines_at("info,openraft=debug,openraft::core=debug", speak).len(),
            1,
            "only by its own name"
        );
        let asked = lines_at("info,openraft::replication=debug,openraft::core::raft_core=debug", speak);
        assert_eq!(asked.len(), 3, "the control: who asks for it gets it");
    }

    #[test]
    fn every_kind_of_text_is_scrubbed_wherever_it_stands() {
        let phone = "+12145550123";
        let lines = lines_of(|| {
            let span = tracing::info_span!("request", who = phone);
            span.in_scope(|| {
                let error = std::io::Error::other(format!("call {phone}"));
                tracing::error!(a = phone, b = %phone, c = ?phone, d = &error as &dyn std::error::Error, "at {phone}");
            });
        });
        assert!(!lines[0].to_string().contains("2145550123"), "{}", lines[0]);
        assert!(lines[0].to_string().contains("[phone]"), "the check can see something");
    }
}
