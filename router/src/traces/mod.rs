//! Traces: what one request did in each process, sent as OpenTelemetry spans to a collector (OTLP over HTTP,
//! protobuf). Off unless `[traces] endpoint` is set, and then a span that nobody collects costs a comparison.
//!
//! A span holds what a log line holds: templates of routes, codes, homes, the request's id. Never a path, a header, a
//! body or a value. `tracestate` and `baggage` are free text of whoever called, so they are neither read nor passed on.

mod carry;
mod export;

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

pub use carry::{Went, ended, name, pass_on, server_span};

/// The target of every span that is meant for a trace. Logs leave it out.
pub const TARGET: &str = "trace";

/// How long the collector has for one batch.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);

/// Section `[traces]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesSection {
    /// Where spans go, such as `http://127.0.0.1:4318/v1/traces`. Without it there are no traces.
    pub endpoint: Option<String>,
    /// The authority that signed the collector's certificate, for an endpoint of `https`.
    pub ca: Option<PathBuf>,
    /// How many of a thousand requests are traced.
    pub per_mille: u16,
}

impl Default for TracesSection {
    fn default() -> Self {
        Self { endpoint: None, ca: None, per_mille: 10 }
    }
}

/// Why no traces can be sent.
#[derive(Debug, thiserror::Error)]
pub enum WrongTraces {
    /// It is no URL with a path.
    #[error("[traces] endpoint must be a URL such as http://127.0.0.1:4318/v1/traces")]
    Endpoint,
    /// Spans would go unencrypted over a network.
    #[error(
        "[traces] endpoint without TLS must be on this machine: name a loopback address, or use https and ca"
    )]
    NotHere,
    /// Nobody's certificate would be believed.
    #[error("[traces] ca must name the authority that signed the collector's certificate")]
    Authority,
    /// More than all.
    #[error("[traces] per_mille must be between 0 and 1000")]
    Ratio,
    /// The exporter could not be made.
    #[error("[traces] {0}")]
    Exporter(String),
}

/// Who decides whether a request is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decides {
    /// This process, whatever a caller says: at the edge.
    Here,
    /// Whoever sent the request, if it carries a trace: behind a router.
    Sender,
}

/// Traces that are being collected.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins to collect, if the section says where to. Needs the runtime on which batches are sent.
    pub fn begin(
        section: &TracesSection,
        name: &'static str,
        place: &'static str,
        decides: Decides,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Option<Self>, WrongTraces> {
        let Some(endpoint) = &section.endpoint else { return Ok(None) };
        let client = export::client(endpoint, section.ca.as_deref(), runtime.clone())?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_WITHIN)
            .build()
            .map_err(|e| WrongTraces::Exporter(e.to_string()))?;
        let ratio = match section.per_mille {
            part @ 0..=1000 => Sampler::TraceIdRatioBased(f64::from(part) / 1000.0),
            _ => return Err(WrongTraces::Ratio),
        };
        let sampler = match decides {
            Decides::Here => ratio,
            Decides::Sender => Sampler::ParentBased(Box::new(ratio)),
        };
        let resource = Resource::builder_empty()
            .with_service_name(name)
            .with_attribute(KeyValue::new("domicile.place", place))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        Ok(Some(Self { provider }))
    }

    /// What turns spans of ours into spans of a trace.
    pub fn layer<S: Subscriber + for<'s> LookupSpan<'s>>(&self) -> impl Layer<S> + use<S> {
        let tracer = self.provider.tracer("domicile");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }

    /// Sends what has not been sent.
    pub fn end(&self) {
        // A collector that is away is no reason to end otherwise than in order.
        let _ = self.provider.shutdown_with_timeout(EXPORT_WITHIN);
    }
}
