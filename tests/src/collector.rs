//! A collector of spans, for what must be in them and what must not.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;

/// The service that told it, and the span.
pub type Told = (String, Span);

type Spans = Arc<Mutex<Vec<Told>>>;

/// It takes what an OpenTelemetry collector takes (OTLP/HTTP, protobuf) and keeps it.
pub struct Collector {
    /// Where spans are sent to.
    pub url: String,
    spans: Spans,
}

impl Collector {
    /// One on a free port, until the test ends.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let url = format!("http://{}/v1/traces", listener.local_addr().expect("an address"));
        let spans = Spans::default();
        let kept = Arc::clone(&spans);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let service = service_fn(|request| keep(Arc::clone(&kept), request));
                    // A client that goes away is its own matter.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, spans }
    }

    /// What was sent so far.
    pub fn kept(&self) -> Vec<Told> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn keep(kept: Spans, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/traces");
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let batch = ExportTraceServiceRequest::decode(body).expect("is what the protocol says");
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in batch.resource_spans {
        let name = resource.resource.map(|r| attributes(&r.attributes)).unwrap_or_default();
        let name = name.get("service.name").cloned().unwrap_or_default();
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        kept.extend(spans.map(|span| (name.clone(), span)));
    }
    Ok(Response::new(Full::default()))
}

/// The attributes of a span or of a resource.
pub fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Option<&Value>| match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    all.iter().map(|a| (a.key.clone(), text(a.value.as_ref().and_then(|v| v.value.as_ref())))).collect()
}
