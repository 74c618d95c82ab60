//! Too large, too long, too slow, too many.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use residency_policy::ProblemKind;
use router::config::Bounds;
use router::limits::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::client::{Body, full, get, raw, read_all, request, tls};
use crate::support::{Rig, bounds, patient, until};

fn streamed(parts: usize) -> Body {
    let frames = (0..parts).map(|_| Ok(Frame::data(Bytes::from_static(&[b'x'; 100]))));
    StreamBody::new(stream::iter(frames)).boxed()
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_by_its_length_and_by_its_bytes() {
    let rig = Rig::start().await;
    let path = format!("/v1/patients/{}", patient(1));
    for mut client in [rig.h1().await, rig.h2().await] {
        // The controls: exactly the limit passes, said or streamed.
        assert_eq!(client.send(request("PATCH", &path, full(vec![b'x'; 1_000]))).await.status, StatusCode::OK);
        assert_eq!(client.send(request("PATCH", &path, streamed(10))).await.status, StatusCode::OK);
    }
    let arrived = rig.texas.arrived();
    for mut client in [rig.h1().await, rig.h2().await] {
        let answer = client.send(request("PATCH", &path, full(vec![b'x'; 1_001]))).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (413, "content-too-large"));
    }
    assert_eq!(rig.texas.arrived(), arrived, "the length alone was enough");
    for mut client in [rig.h1().await, rig.h2().await] {
        let answer = client.send(request("PATCH", &path, streamed(11))).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (413, "content-too-large"));
    }
    until("the home saw both bodies", || rig.texas.seen().len() == arrived + 2).await;
    for seen in &rig.texas.seen()[arrived..] {
        assert!(!seen.whole, "the home must not take a cut body for a whole one");
    }
}

#[tokio::test]
async fn whoever_a_home_sheds_is_refused_here_and_others_go_on() {
    let rig = Rig::start().await;
    let path = format!("/v1/patients/{}", patient(1));
    let mut client = rig.h2().await;
    // The control: a home that refuses for another reason is asked each time.
    *rig.texas.recorded.says.lock().unwrap() = Some(ProblemKind::RegionUnavailable);
    for _ in 0..50 {
        assert_eq!(client.send(get(&path)).await.slug(), "region-unavailable");
    }
    assert_eq!(rig.texas.arrived(), 50);
    *rig.texas.recorded.says.lock().unwrap() = Some(ProblemKind::Overloaded);
    for _ in 0..200 {
        let answer = client.send(get(&path)).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (503, "overloaded"));
        assert!(!answer.headers.contains_key("domicile-shed"), "who refused is nobody's business");
    }
    let asked = rig.texas.arrived() - 50;
    assert!((1..50).contains(&asked), "of 200 requests {asked} were sent");
    // Changes of the same caller are another lane.
    let before = rig.texas.arrived();
    client.send(request("PATCH", &path, full(vec![b'x'; 10]))).await;
    assert_eq!(rig.texas.arrived(), before + 1);
}

#[tokio::test]
async fn headers_and_paths_over_the_limit_are_431_and_414() {
    let rig = Rig::start().await;
    for mut client in [rig.h1().await, rig.h2().await] {
        let mut fits = get("/healthz");
        fits.headers_mut().insert("x-long", "x".repeat(7_000).parse().unwrap());
        assert_eq!(client.send(fits).await.status, StatusCode::OK);
        let mut over = get("/healthz");
        over.headers_mut().insert("x-long", "x".repeat(9_000).parse().unwrap());
        let answer = client.send(over).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (431, "headers-too-large"));

        let answer = client.send(get(&format!("/docs/{}", "x".repeat(600)))).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (414, "uri-too-long"));
    }
    // Far over the limit the parser itself refuses, and nothing reaches a home.
    for head in [
        format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(100_000)),
        format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(10_000)),
    ] {
        let answer = raw(rig.router, &rig.authority, head.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(rig.texas.arrived(), 0);
}

#[tokio::test]
async fn headers_that_never_end_are_not_waited_for() {
    let rig = Rig::start().await;
    let mut stream = tls(rig.router, &rig.authority, &[b"http/1.1"]).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    until("the connection is gone", || rig.counters.open() == 0).await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_in_either_protocol() {
    let limits = Limits { idle: Duration::from_millis(150), ..bounds().limits };
    let rig = Rig::start_with(Bounds { limits, ..bounds() }).await;
    let quiet = [
        tls(rig.router, &rig.authority, &[b"http/1.1"]).await,
        tls(rig.router, &rig.authority, &[b"h2"]).await,
    ];
    let mut busy = rig.h2().await;
    until("the quiet ones are gone", || rig.counters.open() <= 1).await;
    drop(quiet);
    // The control: one with a request at work is left alone, however long that takes.
    let mut waiting = rig.h2().await;
    rig.texas.hold();
    let asking = tokio::spawn(async move { waiting.send(get(&format!("/v1/patients/{}", patient(1)))).await });
    until("only the one at work is open", || rig.texas.arrived() == 1 && rig.counters.open() == 1).await;
    rig.texas.gate.add_permits(1);
    assert_eq!(asking.await.unwrap().status, StatusCode::OK);
    let _ = busy.try_send(get("/healthz")).await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_408() {
    let rig = Rig::start_with(Bounds { answer: Duration::from_millis(300), ..bounds() }).await;
    let head = format!(
        "PATCH /v1/patients/{} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer dk_valid\r\ncontent-length: 100\r\n\r\nhalf",
        patient(1)
    );
    let answer = raw(rig.router, &rig.authority, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request-timeout"), "{answer}");
    until("the home saw it end", || rig.texas.seen().len() == 1).await;
    assert!(!rig.texas.seen()[0].whole);
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away_and_room_is_made_again() {
    let limits = Limits { connections: 2, ..bounds().limits };
    let rig = Rig::start_with(Bounds { limits, ..bounds() }).await;
    let (mut first, second) = (rig.h1().await, rig.h1().await);
    let mut third = TcpStream::connect(rig.router).await.unwrap();
    let mut read = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut third, &mut read).await;
    assert_eq!((read.len(), rig.counters.turned_away()), (0, 1));
    assert_eq!(first.send(get("/healthz")).await.status, StatusCode::OK, "the others are served");
    drop(second);
    until("there is room", || rig.counters.open() == 1).await;
    assert_eq!(rig.h1().await.send(get("/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn more_work_than_is_accepted_is_503() {
    let rig = Rig::start_with(Bounds { in_flight: 1, ..bounds() }).await;
    rig.texas.hold();
    let mut slow = rig.h2().await;
    let asking = tokio::spawn(async move { slow.send(get(&format!("/v1/patients/{}", patient(1)))).await });
    until("one is at work", || rig.texas.arrived() == 1).await;
    let mut client = rig.h2().await;
    let answer = client.send(get("/healthz")).await;
    assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (503, "overloaded"));
    assert_eq!(answer.header("retry-after"), "1");
    rig.texas.gate.add_permits(1);
    assert_eq!(asking.await.unwrap().status, StatusCode::OK);
    assert_eq!(client.send(get("/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn people_sign_in_while_patients_requests_fill_the_rest() {
    let (all, one_home) = (Bounds { in_flight: 8, ..bounds() }, Bounds { in_flight_per_home: 8, ..bounds() });
    for bounds in [all, one_home] {
        let rig = Rig::start_with(bounds).await;
        rig.texas.hold();
        let path = format!("/v1/patients/{}", patient(1));
        let mut at_work = tokio::task::JoinSet::new();
        for _ in 0..7 {
            let (mut client, path) = (rig.h2().await, path.clone());
            at_work.spawn(async move { client.send(get(&path)).await });
        }
        until("seven are at work", || rig.texas.arrived() == 7).await;
        let mut client = rig.h2().await;
        let refused = client.send(get(&path)).await;
        assert_eq!((refused.status.as_u16(), refused.slug().as_str()), (503, "overloaded"));
        assert_eq!(refused.header("retry-after"), "1");
        for page in ["/healthz", "/readyz"] {
            assert_eq!(client.send(get(page)).await.status, StatusCode::OK, "{page}");
        }
        let mut person = rig.h2().await;
        at_work.spawn(async move { person.send(request("POST", "/v1/auth/login", full("{}"))).await });
        until("a home hears who signs in", || rig.texas.arrived() == 8).await;
        let again = client.send(request("POST", "/v1/auth/login", full("{}"))).await;
        assert_eq!(again.status, StatusCode::SERVICE_UNAVAILABLE, "the control: what is kept has an end too");
        rig.texas.gate.add_permits(8);
        while let Some(answer) = at_work.join_next().await {
            assert_eq!(answer.unwrap().status, StatusCode::OK);
        }
        rig.texas.gate.add_permits(1);
        assert_eq!(client.send(get(&path)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let rig = Rig::start().await;
    let stream = tls(rig.router, &rig.authority, &[b"h2"]).await;
    let mut h2 = RawH2::begin(stream).await;
    // The control: a few resets are a caller's right.
    assert!(!h2.open_and_reset(10).await);
    assert_eq!(rig.h2().await.send(get("/healthz")).await.status, StatusCode::OK);
    let ended = h2.open_and_reset(20_000).await;
    assert!(ended, "a flood of resets must end the connection (CVE-2023-44487)");
    assert_eq!(rig.h2().await.send(get("/healthz")).await.status, StatusCode::OK, "others are served");
}

/// Just enough of HTTP/2 to misbehave.
struct RawH2 {
    read: tokio::io::ReadHalf<tokio_rustls::client::TlsStream<TcpStream>>,
    write: tokio::io::WriteHalf<tokio_rustls::client::TlsStream<TcpStream>>,
    next: u32,
}

impl RawH2 {
    async fn begin(stream: tokio_rustls::client::TlsStream<TcpStream>) -> Self {
        let (read, mut write) = tokio::io::split(stream);
        write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        write.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        Self { read, write, next: 1 }
    }

    /// Says whether the connection ended meanwhile.
    async fn open_and_reset(&mut self, times: u32) -> bool {
        // GET, https, /v1/regions, a.
        let mut block = vec![0x82, 0x87, 0x04, 11];
        block.extend_from_slice(b"/v1/regions");
        block.extend_from_slice(&[0x01, 1, b'a']);
        let mut bytes = Vec::new();
        for _ in 0..times {
            bytes.extend(frame(1, 0x5, self.next, &block));
            bytes.extend(frame(3, 0, self.next, &8u32.to_be_bytes()));
            self.next += 2;
        }
        let read = &mut self.read;
        let until_goaway = async {
            let mut all = Vec::new();
            let mut part = [0; 4096];
            loop {
                match tokio::io::AsyncReadExt::read(read, &mut part).await {
                    Ok(0) | Err(_) => return true,
                    Ok(n) => all.extend_from_slice(&part[..n]),
                }
            }
        };
        tokio::select! {
            ended = until_goaway => ended,
            wrote = self.write.write_all(&bytes) => wrote.is_err() || self.ends_soon(times).await,
        }
    }

    async fn ends_soon(&mut self, times: u32) -> bool {
        if times < 100 {
            return false;
        }
        let mut rest = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut self.read, &mut rest);
        tokio::time::timeout(Duration::from_secs(5), read).await.is_ok()
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
