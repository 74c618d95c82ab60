//! How `dev` and the doctor call a node or a router: over HTTPS, as any caller does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An HTTPS client that trusts one authority.
#[derive(Clone)]
pub struct Visitor {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Visitor {
    /// Trusts the certificates that this authority signed, and no others.
    pub fn trusting(ca_cert: &Path) -> Result<Self> {
        let pem = fs::read(ca_cert).with_context(|| format!("cannot read {}", ca_cert.display()))?;
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&pem).context("the authority's certificate cannot be read")?)?;
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_all_versions()
            .build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(&self, request: Request<Full<Bytes>>, within: Duration) -> Result<Answer> {
        let exchange = async {
            let (head, body) = self.client.request(request).await?.into_parts();
            Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
        };
        tokio::time::timeout(within, exchange).await.context("no answer in time")?
    }

    /// Fetches a page.
    pub async fn get(&self, url: &str, within: Duration) -> Result<Answer> {
        let uri: Uri = url.parse()?;
        self.send(Request::get(uri).body(Full::default())?, within).await
    }
}

/// The folders of `PATH` that hold this program.
pub fn search_path(program: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.into_iter().filter(move |folder| folder.join(program).is_file())
}
