//! Reports of browsers that kept to our content security policies.

use serde_json::json;

use crate::support::{Answer, World};

async fn send(world: &World, kind: &str, body: Vec<u8>) -> Answer {
    let ask = world.ask("", "POST", "/v1/csp-reports").without("authorization").without("purpose-of-use");
    ask.without("idempotency-key").raw(body).header("content-type", kind).send().await
}

#[tokio::test]
async fn a_violation_is_counted_by_directive_and_nothing_else_of_it_is_kept() {
    let world = World::new().await;
    let counted = |directive: &str| {
        let line = format!("domicile_csp_violations_total{{directive=\"{directive}\"}} ");
        let page = world.here.metrics.exposition();
        page.lines().find_map(|one| one.strip_prefix(&line).map(str::to_owned)).unwrap_or_default()
    };
    let patient = "https://clinic.example/v1/patients/0f0e0d0c-0b0a-4908-8706-050403020100";
    let report = json!([{ "type": "csp-violation", "body": {
        "effectiveDirective": "script-src-elem", "documentURL": patient, "blockedURL": "https://zzevil7q.example/?q"
    }}]);
    let older = json!({ "csp-report": {
        "violated-directive": "zzdirective7q 'self'", "document-uri": patient, "blocked-uri": "inline"
    }});
    assert_eq!(counted("script-src-elem"), "", "the control");
    for _ in 0..2 {
        let answer = send(&world, "application/reports+json", report.to_string().into_bytes()).await.is(204);
        assert!(answer.bytes.is_empty() && answer.header("set-cookie").is_empty());
    }
    send(&world, "application/csp-report", older.to_string().into_bytes()).await.is(204);
    send(&world, "application/json", b"{}".to_vec()).await.is(204);
    assert_eq!((counted("script-src-elem").as_str(), counted("other").as_str()), ("2", "1"));
    let page = world.here.metrics.exposition();
    assert!(!page.contains("zz") && !page.contains("0f0e0d0c"), "{page}");
}

#[tokio::test]
async fn what_is_no_report_or_too_long_is_refused() {
    let world = World::new().await;
    let long = |bytes: usize| {
        let mut body = b"[]".to_vec();
        body.resize(bytes, b' ');
        body
    };
    send(&world, "application/reports+json", long(8 << 10)).await.is(204);
    let refused = send(&world, "application/reports+json", long((8 << 10) + 1)).await;
    refused.is(413).problem("content-too-large");
    send(&world, "text/plain", b"[]".to_vec()).await.is(415).problem("unsupported-media-type");
    send(&world, "application/csp-report", b"{".to_vec()).await.is(400).problem("malformed");
}

/// Every page says where its violations are told.
#[tokio::test]
async fn every_page_names_the_endpoint() {
    let world = World::new().await;
    for path in ["/docs/", "/problems", "/problems/not-found"] {
        let page = world.ask("", "GET", path).without("authorization").send().await.is(200);
        let policy = page.header("content-security-policy");
        assert!(policy.ends_with("; report-uri /v1/csp-reports; report-to csp"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("reporting-endpoints"), "csp=\"/v1/csp-reports\"", "{path}");
    }
}
