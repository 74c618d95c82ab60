//! A stranger who speaks HTTPS: one connection for every request, so that no state of an earlier one helps.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clinic;

/// Longer than any answer may take on a busy machine with two cores.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody with (or without) an API key, at one address.
#[derive(Clone)]
pub struct Client {
    trust: Arc<RootCertStore>,
    url: String,
    key: Option<String>,
    purpose: Option<String>,
    http2: bool,
    identity: Option<Arc<Identity>>,
}

/// A certificate to show, with its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// The parts of a URL that a connection needs.
fn authority(url: &str) -> Result<(String, u16)> {
    let rest = url.strip_prefix("https://").with_context(|| format!("{url} is not https"))?;
    let authority = rest.split('/').next().unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').with_context(|| format!("{url} names no port"))?;
    Ok((host.to_owned(), port.parse()?))
}

impl Client {
    /// Nobody, at this address, who trusts this authority.
    pub fn new(ca_cert: &std::path::Path, url: &str) -> Result<Self> {
        let mut trust = RootCertStore::empty();
        for cert in CertificateDer::pem_file_iter(ca_cert).map_err(|e| anyhow::anyhow!("{e}"))? {
            trust.add(cert.map_err(|e| anyhow::anyhow!("{e}"))?)?;
        }
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { trust: Arc::new(trust), url, key: None, purpose: None, http2: false, identity: None })
    }

    /// The same at another address.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    /// The same with this key, for treatment unless said otherwise.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let purpose = self.purpose.clone().or_else(|| Some("TREAT".to_owned()));
        Self { key: Some(key.to_owned()), purpose, ..self.clone() }
    }

    /// The same for another purpose.
    #[must_use]
    pub fn purpose(&self, purpose: &str) -> Self {
        Self { purpose: Some(purpose.to_owned()), ..self.clone() }
    }

    /// The same over HTTP/2.
    #[must_use]
    pub fn http2(&self) -> Self {
        Self { http2: true, ..self.clone() }
    }

    /// The same, who shows this certificate.
    pub fn identity(&self, certificate: &std::path::Path, key: &std::path::Path) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain = chain.map_err(|e| anyhow::anyhow!("{}: {e}", certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|e| anyhow::anyhow!("{}: {e}", key.display()))?;
        Ok(Self { identity: Some(Arc::new(Identity { chain, key })), ..self.clone() })
    }

    /// The same without a key and without a purpose.
    #[must_use]
    pub fn nobody(&self) -> Self {
        Self { key: None, purpose: None, ..self.clone() }
    }

    /// Where this speaks to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Begins a request.
    pub fn ask(&self, method: Method, path: &str) -> Asking<'_> {
        let mut headers = Vec::new();
        if let Some(key) = &self.key {
            headers.push(("authorization".to_owned(), format!("Bearer {key}")));
        }
        if let Some(purpose) = &self.purpose {
            headers.push(("purpose-of-use".to_owned(), purpose.clone()));
        }
        if method == Method::POST && self.key.is_some() {
            headers.push(("idempotency-key".to_owned(), clinic::fresh().to_string()));
        }
        Asking { client: self, method, path: path.to_owned(), headers, body: Bytes::new() }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.ask(Method::GET, path).send().await
    }

    /// Posts JSON with a fresh idempotency key.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.ask(Method::POST, path).json(body).send().await
    }

    /// Changes what was read with this ETag.
    pub async fn patch(&self, path: &str, etag: &str, body: &impl Serialize) -> Result<Answer> {
        self.ask(Method::PATCH, path).header("if-match", etag).json(body).send().await
    }

    /// Deletes what was read with this ETag.
    pub async fn delete(&self, path: &str, etag: &str) -> Result<Answer> {
        self.ask(Method::DELETE, path).header("if-match", etag).send().await
    }

    /// A TLS connection with nothing said on it yet.
    pub async fn connect(&self, alpn: &[&[u8]]) -> Result<TlsStream<TcpStream>> {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.trust));
        let mut config = match &self.identity {
            Some(identity) => config.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?,
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        self.connect_with(config).await
    }

    /// A TLS connection with a configuration of one's own.
    pub async fn connect_with(&self, config: ClientConfig) -> Result<TlsStream<TcpStream>> {
        let (host, port) = authority(&self.url)?;
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(host)?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    }

    /// The authorities that this client trusts.
    pub fn trust(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.trust)
    }
}

/// A request that is being written.
pub struct Asking<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Asking<'_> {
    /// Sets a header, in place of an earlier one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header beside an earlier one of the same name.
    #[must_use]
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    /// Sends JSON.
    #[must_use]
    pub fn json(self, body: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(body).unwrap_or_default();
        self.header("content-type", "application/json").bytes(bytes)
    }

    /// Sends bytes.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and waits for the whole answer.
    pub async fn send(self) -> Result<Answer> {
        let said = format!("{} {}{}", self.method, self.client.url, self.path);
        match tokio::time::timeout(PATIENCE, self.exchange()).await {
            Ok(answer) => answer.with_context(|| said),
            Err(_) => bail!("{said}: no answer in {PATIENCE:?}"),
        }
    }

    async fn exchange(self) -> Result<Answer> {
        let (host, port) = authority(&self.client.url)?;
        let mut request = Request::builder().method(self.method.clone());
        let http2 = self.client.http2;
        if http2 {
            request = request.uri(format!("https://{host}:{port}{}", self.path));
        } else {
            request = request.uri(self.path.clone()).header("host", format!("{host}:{port}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let request = request.body(Full::new(self.body.clone()))?;

        let alpn: &[&[u8]] = if http2 { &[b"h2"] } else { &[b"http/1.1"] };
        let stream = TokioIo::new(self.client.connect(alpn).await?);
        let response = if http2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            sender.send_request(request).await?
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            tokio::spawn(connection);
            sender.send_request(request).await?
        };
        let (head, body) = response.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
    }
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The answer itself, when it has this status.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status.as_u16() == status, "expected {status}, got {}: {}", self.status, self.text());
        Ok(self)
    }

    /// The slug of the problem, when this is a problem document that keeps to RFC 9457 with this status.
    pub fn problem(&self, status: u16) -> Result<String> {
        ensure!(self.status.as_u16() == status, "expected {status}, got {}: {}", self.status, self.text());
        ensure!(self.header("content-type") == "application/problem+json", "{:?}", self.headers);
        let document = self.json();
        ensure!(document["status"] == status, "{document}");
        ensure!(document["title"].as_str().is_some_and(|t| !t.is_empty()), "{document}");
        ensure!(
            document["request_id"].as_str() == Some(self.header("x-request-id")),
            "{:?} {document}",
            self.headers
        );
        let slug = document["type"].as_str().and_then(|t| t.strip_prefix("/problems/"));
        Ok(slug.with_context(|| format!("no type in {document}"))?.to_owned())
    }

    /// The answer with what differs between two requests taken out: its id, and the time.
    pub fn without_its_own(&self) -> (StatusCode, Vec<(String, String)>, String) {
        let id = self.header("x-request-id").to_owned();
        // In their order: that too could tell two answers apart.
        let headers: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(name, _)| *name != "date")
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).replace(&id, "ID"))
            })
            .collect();
        (self.status, headers, self.text().replace(&id, "ID"))
    }
}
