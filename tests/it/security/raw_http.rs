//! Bytes that no client library sends: what two readers could read differently is refused, nothing of it is taken
//! for a second request, and the listener goes on.

use std::time::Duration;

use anyhow::Result;
use tests::client::Client;
use tests::clinic;
use tests::cluster::shared;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HOME: &str = "US-NY";

/// Sends bytes over TLS and returns everything that comes back until the other side closes, or has been quiet.
async fn raw(client: &Client, bytes: &[u8], half_close: bool) -> Result<String> {
    let mut stream = client.connect(&[b"http/1.1"]).await?;
    // The other side may have seen enough before all of it was sent.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    if half_close {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut answer)).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The statuses of all answers in a stream of bytes.
fn statuses(answer: &str) -> Vec<u16> {
    answer.split("HTTP/1.1 ").skip(1).filter_map(|a| a.get(..3)?.parse().ok()).collect()
}

/// (what it is, the head after `Host` and `Authorization`, the body)
fn smuggled() -> Vec<(&'static str, String, String)> {
    let inner = "GET /v1/regions HTTP/1.1\r\nhost: localhost\r\n\r\n";
    vec![
        (
            "a length and chunks",
            "content-length: 5\r\ntransfer-encoding: chunked\r\n".into(),
            format!("0\r\n\r\n{inner}"),
        ),
        ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n".into(), format!("hello{inner}")),
        ("two lengths in one", "content-length: 5, 6\r\n".into(), format!("hello{inner}")),
        ("a length that is none", "content-length: +5\r\n".into(), format!("hello{inner}")),
        ("an unknown coding", "transfer-encoding: xchunked\r\n".into(), format!("0\r\n\r\n{inner}")),
        (
            "a coding twice",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n".into(),
            format!("0\r\n\r\n{inner}"),
        ),
        (
            "a coding that is not last",
            "transfer-encoding: chunked, identity\r\n".into(),
            format!("0\r\n\r\n{inner}"),
        ),
        ("a chunk that is none", "transfer-encoding: chunked\r\n".into(), format!("zz\r\n{inner}")),
        (
            "a chunk beyond all sizes",
            "transfer-encoding: chunked\r\n".into(),
            "fffffffffffffffff\r\nx\r\n0\r\n\r\n".into(),
        ),
        ("a folded header", "x-folded: a\r\n b\r\ncontent-length: 0\r\n".into(), inner.into()),
        ("a space before the colon", "content-length : 5\r\n".into(), format!("hello{inner}")),
        ("a bare carriage return", "x: a\rcontent-length: 5\r\n".into(), format!("hello{inner}")),
        ("a NUL in a header", "x: a\0b\r\n".into(), inner.into()),
        ("two hosts", "host: ny.example\r\ncontent-length: 0\r\n".into(), String::new()),
        ("two credentials", "authorization: Bearer x\r\ncontent-length: 0\r\n".into(), String::new()),
    ]
}

fn doors() -> [Client; 2] {
    [shared().client("provider", HOME), shared().client_at("ny", "provider", HOME)]
}

#[tokio::test]
async fn what_two_readers_could_read_differently_is_refused_once() {
    let key = &shared().credential("provider", HOME).api_key;
    for door in doors() {
        for (what, head, body) in smuggled() {
            let request = format!(
                "POST /v1/patients?home={HOME} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
                 purpose-of-use: TREAT\r\nidempotency-key: {}\r\ncontent-type: application/json\r\n{head}\r\n{body}",
                clinic::fresh()
            );
            let answer = raw(&door, request.as_bytes(), false).await.expect("a connection");
            let found = statuses(&answer);
            assert!(found.len() <= 1, "{what} at {}: a second request was read: {answer}", door.url());
            assert!(found.iter().all(|s| (400..500).contains(s)), "{what} at {}: {answer}", door.url());
        }
    }
}

#[tokio::test]
async fn what_is_cut_short_or_no_http_changes_nothing_and_the_door_stays_open() {
    let key = &shared().credential("provider", HOME).api_key;
    let head = format!(
        "POST /v1/patients?home={HOME} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         purpose-of-use: TREAT\r\nidempotency-key: {}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n",
        clinic::fresh()
    );
    let many: String = (0..2_000).map(|n| format!("x-{n}: y\r\n")).collect::<Vec<_>>().concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("half a head", head.as_bytes()[..60].to_vec()),
        ("half a body", format!("{head}{{\"given_name\":\"A").into_bytes()),
        ("no HTTP", b"\x00\x01\x02\x03 and so on\r\n\r\n".to_vec()),
        ("an unknown version", b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n".to_vec()),
        ("no version", b"GET /healthz\r\n\r\n".to_vec()),
        ("a target that is none", b"GET healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()),
        ("a tunnel", b"CONNECT tx.example:443 HTTP/1.1\r\nhost: tx.example:443\r\n\r\n".to_vec()),
        (
            "two thousand headers",
            format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{many}\r\n").into_bytes(),
        ),
    ];
    for door in doors() {
        for (what, bytes) in &cases {
            let answer = raw(&door, bytes, true).await.expect("a connection");
            let found = statuses(&answer);
            assert!(
                found.iter().all(|s| (400..=505).contains(s) && !(500..=504).contains(s)),
                "{what}: {answer}"
            );
        }
        door.get("/healthz").await.expect("an answer").expect(200).expect("it still serves");
    }
}

/// A caller who sends a byte now and then is let go.
#[tokio::test]
async fn a_slow_caller_is_let_go() {
    for door in doors() {
        let answer = raw(&door, b"GET /healthz HTTP/1.1\r\nhost: loc", false).await.expect("a connection");
        let found = statuses(&answer);
        assert!(found.is_empty() || found == [408], "{}: {answer}", door.url());
        assert!(!answer.contains("200 OK"));
    }
}
