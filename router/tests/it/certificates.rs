//! TLS: which versions, whose certificates, and their replacement.

use http::StatusCode;
use residency_control::Endpoint;
use residency_control::peer::{PeerExpect, PeerPool, peer_of};
use residency_control::system::{SystemClock, SystemEntropy};
use residency_policy::{Clock as _, Region};
use router::certificates::Certificates;
use router::listen::{Listener, PublicTls, TlsError};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::client::get;
use crate::support::{Rig, until};

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_old_ones_live_on() {
    let rig = Rig::start().await;
    let mut old = rig.h2().await;
    assert_eq!(old.send(get("/healthz")).await.status, StatusCode::OK);
    // The control: without a new file, a new connection sees the same leaf.
    rig.tls.reload(SystemClock.now()).unwrap();
    assert_eq!(rig.h2().await.leaf, old.leaf);

    rig.authority.public("router");
    rig.tls.reload(SystemClock.now()).unwrap();
    let mut new = rig.h2().await;
    assert_ne!(new.leaf, old.leaf);
    assert_eq!(new.send(get("/healthz")).await.status, StatusCode::OK);
    assert_eq!(old.send(get("/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_changed_file_is_noticed_and_one_that_is_not_usable_changes_nothing() {
    let rig = Rig::start().await;
    let every = std::time::Duration::from_millis(5);
    let peer = rig.authority.peer("spiffe://domicile/router/us-ca/node/10", "watched");
    let watched = Certificates::new(std::sync::Arc::clone(&rig.tls), peer, std::sync::Arc::new(SystemClock));
    tokio::spawn(std::sync::Arc::new(watched).watch(every, rig.drain.clone()));
    let first = rig.tls.config();

    let (cert, key) = rig.authority.public_paths("router");
    let good_key = std::fs::read(&key).unwrap();
    std::fs::write(&key, "not a key").unwrap();
    let error = rig.tls.reload(SystemClock.now()).unwrap_err();
    assert!(matches!(&error, TlsError::Key { path, .. } if *path == key), "{error}");
    assert!(std::sync::Arc::ptr_eq(&first, &rig.tls.config()));
    assert_eq!(rig.h1().await.send(get("/healthz")).await.status, StatusCode::OK);

    std::fs::write(&key, good_key).unwrap();
    rig.authority.public("router");
    until("the new pair is in use", || !std::sync::Arc::ptr_eq(&first, &rig.tls.config())).await;
    assert!(cert.exists());
}

#[test]
fn a_certificate_that_is_not_valid_now_is_refused_in_words() {
    let authority = crate::support::certificates::Authority::new();
    authority.public("router");
    let (cert, key) = authority.public_paths("router");
    assert!(PublicTls::load(&cert, &key, SystemClock.now()).is_ok(), "the control");
    let error = PublicTls::load(&cert, &key, "5000-01-01T00:00:00Z".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("install a new one"), "{error}");
    let other = authority.public_paths("nowhere").1;
    let error = PublicTls::load(&cert, &other, SystemClock.now()).unwrap_err();
    assert!(error.to_string().contains("nowhere.key"), "{error}");
    authority.public("other");
    let error = PublicTls::load(&cert, &authority.public_paths("other").1, SystemClock.now()).unwrap_err();
    assert!(matches!(error, TlsError::Pair { .. }), "{error}");
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_1_1_is_refused() {
    let rig = Rig::start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = rig.authority.client_config(&[b"http/1.1"], &[version]);
        let tcp = TcpStream::connect(rig.router).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(config).connect(name, tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
    }
    // A ClientHello whose highest version is 1.1 is answered with the alert protocol_version (RFC 8446 section 6.2).
    // The control is the same hello with 1.2, which is answered with a ServerHello or with another alert.
    let alert = |version| {
        let router = rig.router;
        async move {
            let mut tcp = TcpStream::connect(router).await.unwrap();
            tcp.write_all(&client_hello(version)).await.unwrap();
            let mut record = [0; 7];
            tcp.read_exact(&mut record).await.unwrap();
            (record[0], record[6])
        }
    };
    assert_eq!(alert(0x02).await, (21, 70));
    assert_ne!(alert(0x03).await, (21, 70));
}

/// A ClientHello of the old kind: version 3.`minor`, and four suites of TLS 1.0 to 1.2.
fn client_hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend_from_slice(&[7; 32]);
    body.push(0);
    body.extend_from_slice(&[0, 8, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x13, 0x00, 0x2f]);
    body.extend_from_slice(&[1, 0]);
    // supported_groups, ec_point_formats, signature_algorithms
    let extensions: &[u8] = &[0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4, 1];
    body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend_from_slice(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    handshake.extend_from_slice(&body);
    let mut record = vec![22, 3, 1];
    record.extend_from_slice(&u16::try_from(handshake.len()).unwrap().to_be_bytes());
    record.extend_from_slice(&handshake);
    record
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_closed_in_order() {
    let rig = Rig::start().await;
    let mut tcp = TcpStream::connect(rig.router).await.unwrap();
    tcp.write_all(format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(4_000)).as_bytes())
        .await
        .unwrap();
    let mut read = Vec::new();
    // A reset would be an error here.
    tcp.read_to_end(&mut read).await.unwrap();
    assert!(!read.starts_with(b"HTTP/"));
    until("it was counted", || rig.counters.handshakes_failed() == 1).await;
    assert_eq!(rig.h1().await.send(get("/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_not_waited_for() {
    let limits = router::limits::Limits {
        handshake: std::time::Duration::from_millis(100),
        ..crate::support::bounds().limits
    };
    let rig = Rig::start_with(router::config::Bounds { limits, ..crate::support::bounds() }).await;
    let mut tcp = TcpStream::connect(rig.router).await.unwrap();
    tcp.write_all(&[22, 3]).await.unwrap();
    let mut read = Vec::new();
    let _ = tcp.read_to_end(&mut read).await;
    until("the connection is gone", || rig.counters.open() == 0 && rig.counters.handshakes_failed() == 1).await;
}

/// A listener for peers, and who has called it.
async fn peers(rig: &Rig, name: &str, follows: bool) -> (residency_control::peer::PeerTls, Endpoint) {
    let tls = rig.authority.peer("spiffe://domicile/region/us-nv/node/4", name);
    let limits = router::limits::Limits { idle: std::time::Duration::from_millis(100), ..Default::default() };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits).await.unwrap();
    let listener = if follows { listener.follow_renewals() } else { listener };
    let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let service = hyper::service::service_fn(async |request: http::Request<hyper::body::Incoming>| {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    let (source, entropy) = (tls.clone(), std::sync::Arc::new(SystemEntropy::new()));
    let source = std::sync::Arc::new(move || source.server_config());
    tokio::spawn(listener.serve(source, peer_of, service, entropy, rig.drain.clone()));
    (tls, endpoint)
}

#[tokio::test]
async fn a_peer_whose_authority_was_replaced_is_let_in_no_more_however_long_it_was_connected() {
    let rig = Rig::start().await;
    let caller = rig.authority.peer("spiffe://domicile/region/us-tx/node/3", "caller");
    for follows in [true, false] {
        let name = if follows { "follows" } else { "stays" };
        let (tls, endpoint) = peers(&rig, name, follows).await;
        let pool = PeerPool::new(caller.clone());
        let expect = PeerExpect::Region(Region(crate::support::at("US-NV")));
        let ask = async |path: &'static str| {
            let request = http::Request::get(path).body(http_body_util::Empty::new()).unwrap();
            pool.send(&endpoint, expect, request).await
        };
        // Both connections of the pool.
        for _ in 0..2 {
            ask("/").await.unwrap();
        }

        // The listener believes another authority from here on.
        let other = crate::support::certificates::Authority::new();
        let file = |end: &str| rig.authority.dir.path().join(format!("{name}-peer.{end}"));
        let ca = rig.authority.dir.path().join("ca.pem");
        let before = std::fs::read(&ca).unwrap();
        std::fs::copy(other.dir.path().join("ca.pem"), &ca).unwrap();
        assert!(file("pem").exists());
        tls.reload(SystemClock.now()).unwrap();
        std::fs::write(&ca, before).unwrap();
        let patience = std::time::Duration::from_millis(if follows { 10_000 } else { 1_000 });
        // One request stays open on each connection, so that neither is ended for being idle.
        let refused = async {
            tokio::select! {
                _ = async { tokio::join!(ask("/never"), ask("/never")) } => {}
                () = async { while ask("/").await.is_ok() {} } => {}
            }
        };
        let refused = tokio::time::timeout(patience, Box::pin(refused)).await;
        assert_eq!(refused.is_ok(), follows, "{name}");
    }
}
