//! How batches of spans reach the collector.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::runtime::Handle;

use super::WrongTraces;

/// How long one batch may take.
const WITHIN: Duration = Duration::from_secs(5);
/// The most of the collector's answer that is read.
const ANSWER_MAX: usize = 64 << 10;

/// Sends from our own runtime: the batches are made on a thread of the exporter's that has none.
#[derive(Debug, Clone)]
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

/// A client for this endpoint.
pub(super) fn client(endpoint: &str, ca: Option<&Path>, runtime: Handle) -> Result<Collector, WrongTraces> {
    let uri: Uri = endpoint.parse().map_err(|_| WrongTraces::Endpoint)?;
    let host = uri.host().ok_or(WrongTraces::Endpoint)?;
    let mut roots = RootCertStore::empty();
    match (uri.scheme_str(), ca) {
        (Some("http"), None) if is_here(host) => {}
        (Some("http"), _) => return Err(WrongTraces::NotHere),
        (Some("https"), Some(ca)) => {
            let certificates = CertificateDer::pem_file_iter(ca).map_err(|_| WrongTraces::Authority)?;
            for certificate in certificates {
                let certificate = certificate.map_err(|_| WrongTraces::Authority)?;
                roots.add(certificate).map_err(|_| WrongTraces::Authority)?;
            }
            if roots.is_empty() {
                return Err(WrongTraces::Authority);
            }
        }
        (Some("https"), None) => return Err(WrongTraces::Authority),
        _ => return Err(WrongTraces::Endpoint),
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| WrongTraces::Exporter(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    Ok(Collector { client: Client::builder(TokioExecutor::new()).build(connector), runtime })
}

fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        // The clock too is the runtime's: on the exporter's thread a timer cannot even be made.
        let sent = async move { tokio::time::timeout(WITHIN, sent).await };
        match self.runtime.spawn(sent).await? {
            Ok(answer) => answer,
            Err(_) => Err("the collector did not answer in time".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the exporter does: it asks from a thread that belongs to no runtime.
    fn from_a_thread_of_its_own(collector: Collector, endpoint: String) -> Result<u16, String> {
        let asks = std::thread::spawn(move || {
            let request = Request::post(endpoint).body(Bytes::from_static(b"spans")).expect("a request");
            let answer = futures::executor::block_on(collector.send_bytes(request));
            answer.map(|answer| answer.status().as_u16()).map_err(|e| e.to_string())
        });
        asks.join().expect("the thread lives on")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_batch_is_sent_from_a_thread_that_has_no_runtime() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}/v1/traces", socket.local_addr().expect("an address"));
        let collector = client(&endpoint, None, Handle::current()).expect("a client");
        let asked = tokio::task::spawn_blocking(move || from_a_thread_of_its_own(collector, endpoint));
        let (mut caller, _) = socket.accept().await.expect("a connection");
        let mut begun = [0; 15];
        caller.read_exact(&mut begun).await.expect("a request");
        assert_eq!(&begun, b"POST /v1/traces");
        caller.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.expect("is sent");
        assert_eq!(asked.await.expect("ends"), Ok(202));
    }

    #[tokio::test]
    async fn spans_never_leave_the_machine_unencrypted_or_to_whoever_answers() {
        let said =
            |endpoint: &str| client(endpoint, None, Handle::current()).map(|_| ()).map_err(|e| e.to_string());
        for right in
            ["http://127.0.0.1:4318/v1/traces", "http://[::1]:4318/v1/traces", "http://localhost/v1/traces"]
        {
            assert_eq!(said(right), Ok(()), "{right}");
        }
        for (wrong, hint) in [
            ("http://collector.example:4318/v1/traces", "loopback"),
            ("https://collector.example/v1/traces", "ca"),
            ("collector", "URL"),
            ("ftp://127.0.0.1/x", "URL"),
        ] {
            assert!(said(wrong).expect_err(wrong).contains(hint), "{wrong}");
        }
    }
}
