//! One request is one trace through router, node and database, and nothing in it says who it was about.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tests::clinic::{register, somebody};
use tests::cluster::{Cluster, Wish};
use tests::faults::wait_until;
use tokio::net::TcpListener;

type Spans = Arc<Mutex<Vec<(String, Span)>>>;

/// A collector: it takes what an OpenTelemetry collector takes (OTLP/HTTP, protobuf) and keeps it.
async fn collector() -> (String, Spans) {
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
    (url, spans)
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

fn attributes(all: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Option<&Value>| match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    all.iter().map(|a| (a.key.clone(), text(a.value.as_ref().and_then(|v| v.value.as_ref())))).collect()
}

#[tokio::test]
async fn a_request_is_one_trace_and_says_nothing_of_the_patient() {
    let _turn = tests::cluster::turn().await;
    let (url, spans) = collector().await;
    let cluster = Cluster::start(&Wish { name: "traces", people: 3, more: vec!["--traces".into(), url] })
        .expect("a cluster");
    let staff = cluster.client("provider_staff", "US-TX");
    let person = somebody("US-TX", 77);
    let id = register(&staff, "US-TX", &person).await.expect("is registered").id;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    cluster
        .client("provider", "US-TX")
        .ask(Method::GET, &format!("/v1/patients/{id}"))
        .header("purpose-of-use", "TREAT")
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-00"))
        .header("tracestate", "name=Ana")
        .header("baggage", "name=Ana")
        .send()
        .await
        .expect("an answer")
        .expect(200)
        .expect("is read");

    let of_trace = || {
        let all = spans.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = |span: &Span| data_encoding::HEXLOWER.encode(&span.trace_id) == trace;
        all.iter().filter(|(_, span)| ours(span)).cloned().collect::<Vec<_>>()
    };
    let found = wait_until("the spans of the router, the node and the database", || async {
        let found = of_trace();
        let names: BTreeSet<_> =
            found.iter().map(|(service, span)| format!("{service} {}", span.name)).collect();
        let wanted = ["domicile-router GET /v1/patients/{patient}", "domicile-node GET /v1/patients/{id}"];
        let all = wanted.iter().all(|name| names.contains(*name));
        (all && names.iter().any(|name| name.starts_with("domicile-node database"))).then_some(found)
    })
    .await
    .expect("they come");

    let of = |service: &str, start: &str| {
        found.iter().find(|(s, span)| s == service && span.name.starts_with(start)).expect("is there").1.clone()
    };
    let (edge, node, database) =
        (of("domicile-router", "GET"), of("domicile-node", "GET"), of("domicile-node", "database"));
    assert_eq!(data_encoding::HEXLOWER.encode(&edge.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(node.parent_span_id, edge.span_id);
    assert_eq!(database.parent_span_id, node.span_id);
    let said = attributes(&edge.attributes);
    assert_eq!(said["http.response.status_code"], "200");
    assert_eq!(said["domicile.home"], "US-TX");

    let all = spans.lock().unwrap_or_else(PoisonError::into_inner);
    let everything = format!("{:?}", *all);
    assert!(everything.contains("/v1/patients/{id}"), "the control: the search sees what is there");
    for secret in [id.as_str(), "Ana", "dk_"] {
        assert!(!everything.contains(secret), "{secret} is in a span");
    }
}
