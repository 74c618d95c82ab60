//! The log: one JSON object a line, on standard output, with what the span of a request knows.
//!
//! The types keep PHI out of the log; [`scrub`] is the last line of defence, for a text that came from elsewhere,
//! such as an error of a library. It looks at every string, and so costs a look at every byte: a log is not hot.

pub mod scrub;

use std::io::Write as _;
use std::sync::Arc;

use residency_policy::Clock;
use router::traces::{self, Traces};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The level is not one that is understood.
#[derive(Debug, thiserror::Error)]
#[error("the log level `{0}` is not understood: expected one such as `info` or `info,residency_control=debug`")]
pub struct NotALevel(String);

/// Sends events to standard output from now on, and spans to a collector if there is one. A second call changes
/// nothing.
pub fn begin(level: &str, clock: Arc<dyn Clock>, traces: Option<&Traces>) -> Result<(), NotALevel> {
    let filter = filter(level)?.and(ceiling());
    let lines = Lines { clock, out: to_stdout };
    let logging = Registry::default().with(lines.with_filter(filter));
    // A layer that is there and does nothing would have every span made that only it could want. And only a test that
    // begins twice comes to the error.
    let _ = match traces {
        Some(traces) => tracing::subscriber::set_global_default(logging.with(traces.layer())),
        None => tracing::subscriber::set_global_default(logging),
    };
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, NotALevel> {
    format!("{QUIET},{level}").parse().map_err(|_| NotALevel(level.into()))
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
        .with_target("tower", LevelFilter::WARN)
        .with_target("rustls", LevelFilter::ERROR)
        .with_target("tokio_rustls", LevelFilter::ERROR)
        .with_target("tokio_postgres", LevelFilter::OFF)
        .with_target("postgres", LevelFilter::OFF)
        .with_target("refinery", LevelFilter::WARN)
        .with_target("aws", LevelFilter::WARN)
}

/// A log that cannot be written is no reason to stop serving.
fn to_stdout(line: &[u8]) {
    let _ = std::io::stdout().lock().write_all(line);
}

/// Writes events as lines of JSON.
struct Lines<W> {
    clock: Arc<dyn Clock>,
    out: W,
}

/// The fields of one span or event, in their order, scrubbed when they were recorded.
#[derive(Clone, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: Fn(&[u8]) + 'static,
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
        let mut line = Fields::default();
        let metadata = event.metadata();
        // They come first in the line, and their values last of all.
        let ts = Value::from(format!("{:.6}", self.clock.now()));
        for name in ["ts", "level", "target"] {
            line.put(name, Value::Null);
        }
        for span in
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(fields) = span.extensions().get::<Fields>() {
                fields.0.iter().for_each(|(name, value)| line.put(name, value.clone()));
            }
        }
        event.record(&mut line);
        // Last, since a field may have such a name: openraft calls the peer that it writes to `target`.
        line.put("ts", ts);
        line.put("level", metadata.level().as_str().into());
        line.put("target", metadata.target().into());
        // Names and JSON values always serialize.
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        (self.out)(&bytes);
    }
}

impl Fields {
    /// What is said last of a name holds: an event knows better than its span.
    fn put(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((name, value)),
        }
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        self.put(field.name(), scrub::scrub(text).into_owned().into());
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put_text(field, &crate::exit::chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put_text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

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
        let out = move |line: &[u8]| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
        };
        let filter = filter(level).expect("a level").and(ceiling());
        let subscriber = Registry::default().with(Lines { clock: Arc::new(Still), out }.with_filter(filter));
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
