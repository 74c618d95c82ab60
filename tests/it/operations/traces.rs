//! One request is one trace through router, node and database, and nothing in it says who it was about.

use std::collections::BTreeSet;

use http::Method;
use opentelemetry_proto::tonic::trace::v1::Span;
use tests::clinic::{register, somebody};
use tests::cluster::{Cluster, Wish};
use tests::collector::{Collector, attributes};
use tests::faults::wait_until;

#[tokio::test]
async fn a_request_is_one_trace_and_says_nothing_of_the_patient() {
    let _turn = tests::cluster::turn().await;
    let spans = Collector::start().await;
    let url = spans.url.clone();
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
        let all = spans.kept();
        let ours = |span: &Span| data_encoding::HEXLOWER.encode(&span.trace_id) == trace;
        all.into_iter().filter(|(_, span)| ours(span)).collect::<Vec<_>>()
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

    let everything = format!("{:?}", spans.kept());
    assert!(everything.contains("/v1/patients/{id}"), "the control: the search sees what is there");
    for secret in [id.as_str(), "Ana", "dk_"] {
        assert!(!everything.contains(secret), "{secret} is in a span");
    }
}
