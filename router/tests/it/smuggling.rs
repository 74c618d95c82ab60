//! Requests whose end is in doubt are refused, and what follows them is never read as a request.

use crate::support::client::raw;
use crate::support::{Rig, patient};

/// A request that would reach Texas if anyone took it for one.
fn hidden() -> String {
    format!("GET /v1/patients/{} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer dk_valid\r\n\r\n", patient(1))
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/patients?home=US-TX HTTP/1.1\r\nhost: a\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_400_and_the_connection_ends() {
    let rig = Rig::start().await;
    let hidden = hidden();
    let chunked = format!("0\r\n\r\n{hidden}");
    for (what, bytes) in [
        ("length, then chunked", post("content-length: 6\r\ntransfer-encoding: chunked\r\n", &chunked)),
        ("chunked, then length", post("transfer-encoding: chunked\r\ncontent-length: 6\r\n", &chunked)),
        ("two equal lengths", post("content-length: 2\r\ncontent-length: 2\r\n", &format!("{{}}{hidden}"))),
        ("two lengths", post("content-length: 2\r\ncontent-length: 300\r\n", &format!("{{}}{hidden}"))),
        ("a list of lengths", post("content-length: 2, 2\r\n", &format!("{{}}{hidden}"))),
        ("a signed length", post("content-length: +2\r\n", &format!("{{}}{hidden}"))),
        ("another coding", post("transfer-encoding: xchunked\r\n", &chunked)),
        ("chunked is not last", post("transfer-encoding: chunked, identity\r\n", &chunked)),
        ("a space before the colon", post("transfer-encoding : chunked\r\n", &chunked)),
        ("a line that goes on", post("x: a\r\n b\r\ncontent-length: 2\r\n", &format!("{{}}{hidden}"))),
        ("a bare line feed", post("x: a\ncontent-length: 2\r\n", &format!("{{}}{hidden}"))),
        ("a chunk's extension", post("transfer-encoding: chunked\r\n", &format!("2;a=b\r\n{{}}\r\n{chunked}"))),
        ("no host", format!("GET /v1/regions HTTP/1.1\r\n\r\n{hidden}")),
        ("two hosts", format!("GET /v1/regions HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n{hidden}")),
        ("a null in a header", post("x: a\0b\r\ncontent-length: 2\r\n", &format!("{{}}{hidden}"))),
    ] {
        let answer = raw(rig.router, &rig.authority, bytes.as_bytes()).await;
        let answers = answer.matches("HTTP/1.1 ").count();
        if what.ends_with("host") || what.ends_with("hosts") {
            // The end of these is clear, so what follows may be a request of its own; these themselves are refused.
            assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 400 ") && answers == 1, "{what}: {answer}");
        }
    }
    let hidden_ones = rig.texas.seen().iter().filter(|seen| seen.line.starts_with("GET")).count();
    assert_eq!(hidden_ones, 2, "only what followed the two requests with a clear end");
}

#[tokio::test]
async fn pipelined_requests_with_clear_ends_are_all_answered() {
    // The control of the test above: the same bytes, framed without doubt.
    let rig = Rig::start().await;
    let hidden = hidden();
    for bytes in [
        post("content-length: 2\r\n", &format!("{{}}{hidden}")),
        post("transfer-encoding: chunked\r\n", &format!("2\r\n{{}}\r\n0\r\n\r\n{hidden}")),
    ] {
        let bytes = format!("{bytes}GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = raw(rig.router, &rig.authority, bytes.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    }
    let seen = rig.texas.seen();
    assert_eq!(seen.iter().filter(|seen| seen.body == "{}" && seen.whole).count(), 2);
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn a_length_reaches_the_home_as_the_caller_said_it() {
    // HTTP/1.1 in, HTTP/2 out: a header that names the length as the connection's own must not remove it.
    let rig = Rig::start().await;
    let bytes = post("content-length: 2\r\nconnection: close, content-length, host\r\n", "{}");
    let answer = raw(rig.router, &rig.authority, bytes.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let seen = &rig.texas.seen()[0];
    assert_eq!((seen.headers["content-length"].to_str().unwrap(), &*seen.body), ("2", &b"{}"[..]));
}
