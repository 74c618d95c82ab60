//! Every listener speaks TLS 1.2 or later and nothing else; peers must show a certificate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};
use tests::client::Client;
use tests::cluster::shared;
use tests::operate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A hello of TLS 1.1 (RFC 4346), as a client that knows nothing newer sends it: two cipher suites, no extensions.
const HELLO_1_1: &[u8] = &[
    22, 3, 1, 0, 47, // a handshake record
    1, 0, 0, 43, 3, 2, // client hello, version 3.2
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
    30, 31, 32, // random
    0,  // no session
    0, 4, 0xc0, 0x14, 0x00, 0x35, // cipher suites
    1, 0, // no compression
];

fn addresses() -> Vec<String> {
    let cluster = shared().described();
    let regions = cluster.regions.iter().map(|r| r.url.clone());
    regions.chain([cluster.router.url.clone()]).collect()
}

fn host(url: &str) -> &str {
    url.trim_start_matches("https://").trim_end_matches('/')
}

/// Sends bytes as they are and returns what comes back until the other side closes.
async fn raw(address: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A reset is a refusal too; a connection that stays open is none.
    let _ = tokio::time::timeout(Duration::from_mins(1), read).await?;
    Ok(answer)
}

fn with_versions(client: &Client, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("the versions are known")
        .with_root_certificates(client.trust())
        .with_no_client_auth()
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_1_1_is_refused() {
    for url in addresses() {
        let client = shared().nobody().at(&url);
        for version in [&TLS12, &TLS13] {
            let stream = client.connect_with(with_versions(&client, &[version])).await.expect("a handshake");
            assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version), "{url}");
        }
        let answer = raw(host(&url), HELLO_1_1).await.expect("an end");
        // A fatal alert: protocol_version or handshake_failure (RFC 8446 section 6.2).
        assert!(
            matches!(answer.as_slice(), [21, 3, _, 0, 2, 2, 70 | 40]),
            "{url} answered TLS 1.1 with {answer:?}"
        );
    }
}

#[tokio::test]
async fn plain_http_gets_no_answer() {
    for url in addresses() {
        let answer =
            raw(host(&url), b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("an end");
        assert!(!answer.windows(8).any(|w| w == b"HTTP/1.1"), "{url} speaks HTTP without TLS");
    }
}

#[tokio::test]
async fn the_certificate_is_checked_and_every_answer_asks_for_tls_from_then_on() {
    for url in addresses() {
        let client = shared().nobody().at(&url);
        let answer = client.get("/healthz").await.expect("an answer").expect(200).expect("it is healthy");
        assert!(answer.header("strict-transport-security").contains("max-age="), "{url}: {:?}", answer.headers);
        let empty = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the versions are known")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        assert!(client.connect(&[b"http/1.1"]).await.is_ok());
        assert!(client.connect_with(empty).await.is_err(), "{url}: the authority is private");
    }
}

#[tokio::test]
async fn http_2_and_http_1_1_are_both_spoken() {
    for url in addresses() {
        let client = shared().nobody().at(&url);
        client.http2().get("/healthz").await.expect("an answer").expect(200).expect("over HTTP/2");
        client.get("/healthz").await.expect("an answer").expect(200).expect("over HTTP/1.1");
    }
}

/// Where each region's peers reach it, from the plan of the development cluster.
fn peer_ports() -> Vec<u16> {
    let text = std::fs::read_to_string(shared().home().join("plan.json")).expect("the plan");
    let plan: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let ports = plan["regions"].as_array().into_iter().flatten().filter_map(|r| r["peer"].as_u64());
    ports.filter_map(|port| u16::try_from(port).ok()).collect()
}

/// A self-made authority and a leaf of it that claims to be a region's node.
fn impostor(spiffe: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    leaf.subject_alt_names.push(rcgen::SanType::URI(spiffe.try_into().expect("a name")));
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = leaf.signed_by(&key, &issuer).expect("a certificate");
    (certificate, key)
}

/// A request on a peer listener as whoever this configuration is; an error when nothing came back.
async fn ask_peer(client: &Client, mut config: ClientConfig) -> Result<Vec<u8>> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    first_frame(client.connect_with(config).await?).await
}

async fn first_frame(mut stream: TlsStream<TcpStream>) -> Result<Vec<u8>> {
    // The preface and empty settings of HTTP/2: a server that lets us in answers with its own settings.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    stream.flush().await?;
    let mut answer = vec![0; 9];
    tokio::time::timeout(Duration::from_mins(1), stream.read_exact(&mut answer)).await??;
    Ok(answer)
}

#[tokio::test]
async fn a_peer_without_our_certificate_is_not_let_in() {
    let ports = peer_ports();
    assert_eq!(ports.len(), shared().described().regions.len());
    for port in ports {
        let client = shared().nobody().at(&format!("https://localhost:{port}"));
        let none = with_versions(&client, &[&TLS13]);
        assert!(ask_peer(&client, none).await.is_err(), "no certificate was enough on {port}");

        let (certificate, key) = impostor("spiffe://domicile/region/us-tx/node/1");
        let own = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the versions are known")
            .with_root_certificates(client.trust())
            .with_client_auth_cert(
                vec![certificate.der().clone()],
                rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("they fit");
        assert!(
            ask_peer(&client, own).await.is_err(),
            "a certificate of another authority was enough on {port}"
        );
    }
}

/// The control: with a region's own certificate the same request is answered.
#[tokio::test]
async fn a_peer_with_our_certificate_is_let_in() {
    for region in &shared().described().regions {
        let door = operate::door(shared(), &region.name, "tx").expect("a certificate");
        let ours = door.connect(&[b"h2"]).await.expect("a handshake");
        let answer = first_frame(ours).await.expect("the listener answers");
        assert_eq!(answer[3], 4, "settings: {answer:?}");
    }
}

/// A certificate of ours is not enough: it must be the one that may.
#[tokio::test]
async fn a_peer_may_do_only_what_its_name_allows() {
    let own = operate::status(shared(), "tx").await.expect("its own key may ask");
    assert!(own["applied"].as_u64() > Some(0));
    for holder in ["ca", "router"] {
        let door = operate::door(shared(), "tx", holder).expect("a certificate");
        let answer = door.get(operate::STATUS).await.expect("an answer");
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{holder}: {}", answer.status);
    }
    // Another region's node may not pose as a router and bring a caller's request along.
    let key = &shared().credential("provider", "US-TX").api_key;
    let door = operate::door(shared(), "tx", "ca").expect("a certificate").key(key);
    let answer = door.get("/v1/patients?home=US-TX").await.expect("an answer");
    assert!(matches!(answer.status.as_u16(), 403 | 404), "{}", answer.status);
}
