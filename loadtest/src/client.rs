//! An HTTPS client with its own pool: HTTP/1.1, one request at a time on a connection, as many connections as
//! there are requests in flight.
//!
//! It says of every failure whether the request can have had an effect, because a history is judged by that.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One open connection.
pub type Connection = SendRequest<Full<Bytes>>;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request was not sent: it had no effect.
    #[error("not sent: {0}")]
    NotSent(#[source] anyhow::Error),
    /// The request was sent, or may have been, and nobody knows what it did.
    #[error("no answer: {0}")]
    Unknown(#[source] anyhow::Error),
}

impl Answer {
    /// A header as text, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The position in the control plane's log that this answer rests on.
    pub fn log_index(&self) -> Option<u64> {
        self.header("x-log-index")?.parse().ok()
    }

    /// The last part of a problem's type, empty when this is no problem.
    pub fn problem(&self) -> String {
        let document = self.json();
        let slug = document["type"].as_str().and_then(|kind| kind.rsplit('/').next());
        slug.unwrap_or_default().to_owned()
    }
}

/// Where somebody is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name, which the certificate must hold.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// The host and port of an `https` URL.
    pub fn of_url(url: &str) -> anyhow::Result<Self> {
        let rest = url.strip_prefix("https://").with_context(|| format!("{url} is not https"))?;
        let authority = rest.split('/').next().unwrap_or(rest);
        let (host, port) = authority.rsplit_once(':').with_context(|| format!("{url} names no port"))?;
        Ok(Self { host: host.to_owned(), port: port.parse().with_context(|| format!("the port of {url}"))? })
    }
}

/// A TLS configuration that trusts the authorities in this file and speaks HTTP/1.1.
pub fn trust(ca_cert: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca_cert);
    for certificate in certificates.with_context(|| ca_cert.display().to_string())? {
        roots.add(certificate.with_context(|| ca_cert.display().to_string())?)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Opens a connection.
pub async fn connect(at: &Address, tls: &Arc<ClientConfig>) -> anyhow::Result<Connection> {
    let tcp = TcpStream::connect((at.host.as_str(), at.port)).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(at.host.clone())?;
    let stream = TlsConnector::from(tls.clone()).connect(name, tcp).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Somebody with (or without) an API key, at one address. Clones share the connections.
#[derive(Clone)]
pub struct Client {
    at: Address,
    tls: Arc<ClientConfig>,
    bearer: Option<String>,
    idle: Arc<Mutex<Vec<Connection>>>,
    patience: Duration,
}

impl Client {
    /// Nobody, at this address.
    pub fn new(at: Address, tls: Arc<ClientConfig>, patience: Duration) -> Self {
        Self { at, tls, bearer: None, idle: Arc::default(), patience }
    }

    /// The same with an API key. The connections are shared.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { bearer: Some(format!("Bearer {key}")), ..self.clone() }
    }

    /// The same with another client's key.
    #[must_use]
    pub fn with_key_of(&self, other: &Self) -> Self {
        Self { bearer: other.bearer.clone(), ..self.clone() }
    }

    /// A request of this client's.
    pub fn request(&self, method: Method, path: &str) -> Asked {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        let asked = Asked { request, wrong: None }.path(path);
        let host = format!("{}:{}", self.at.host, self.at.port);
        let asked = asked.header("host", &host);
        match &self.bearer {
            Some(bearer) => asked.header("authorization", bearer).header("purpose-of-use", "TREAT"),
            None => asked,
        }
    }

    /// Sends it and waits for the whole answer, for as long as this client waits.
    pub async fn send(&self, asked: Asked) -> Result<Answer, Failure> {
        if let Some(wrong) = asked.wrong {
            return Err(Failure::NotSent(wrong));
        }
        let late = || Failure::Unknown(anyhow::anyhow!("no answer in {:?}", self.patience));
        tokio::time::timeout(self.patience, self.exchange(asked.request)).await.map_err(|_| late())?
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        // A connection that lay idle may have been closed meanwhile: then the request comes back unsent.
        loop {
            let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
            let Some(mut connection) = idle else { break };
            match connection.try_send_request(request).await {
                Ok(response) => return self.finish(connection, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failure::Unknown(error.into_error().into())),
                },
            }
        }
        let mut connection = connect(&self.at, &self.tls).await.map_err(Failure::NotSent)?;
        match connection.try_send_request(request).await {
            Ok(response) => self.finish(connection, response).await,
            Err(mut error) => match error.take_message() {
                Some(_) => Err(Failure::NotSent(error.into_error().into())),
                None => Err(Failure::Unknown(error.into_error().into())),
            },
        }
    }

    async fn finish(
        &self,
        mut connection: Connection,
        response: http::Response<hyper::body::Incoming>,
    ) -> Result<Answer, Failure> {
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Failure::Unknown(error.into()))?.to_bytes();
        if connection.ready().await.is_ok()
            && let Ok(mut idle) = self.idle.lock()
        {
            idle.push(connection);
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// A request that is being written.
#[derive(Debug)]
pub struct Asked {
    request: Request<Full<Bytes>>,
    wrong: Option<anyhow::Error>,
}

impl Asked {
    fn path(mut self, path: &str) -> Self {
        match path.parse() {
            Ok(uri) => *self.request.uri_mut() = uri,
            Err(error) => self.wrong = Some(anyhow::Error::new(error).context("the path of a request")),
        }
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        match value.parse() {
            Ok(value) => {
                self.request.headers_mut().insert(name, value);
            }
            Err(_) => self.wrong = Some(anyhow::anyhow!("the header {name} cannot be sent")),
        }
        self
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without(mut self, name: &'static str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    /// Sends JSON.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => *self.request.body_mut() = Full::from(bytes),
            Err(error) => self.wrong = Some(error.into()),
        }
        self.header("content-type", "application/json")
    }

    /// Says which attempt this is a repetition of.
    #[must_use]
    pub fn idempotent(self, key: uuid::Uuid) -> Self {
        self.header("idempotency-key", &key.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_a_url() {
        let at = Address::of_url("https://localhost:8443/v1").expect("an address");
        assert_eq!((at.host.as_str(), at.port), ("localhost", 8443));
        assert!(Address::of_url("http://localhost:80").is_err());
        assert!(Address::of_url("https://localhost").is_err());
    }

    #[test]
    fn what_cannot_be_sent_is_said_when_it_is_sent() {
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let at = Address { host: "localhost".to_owned(), port: 1 };
        let client = Client::new(at, Arc::new(tls), Duration::from_secs(1));
        assert!(client.request(Method::GET, "/v1/regions").wrong.is_none());
        assert!(client.request(Method::GET, "/a b").wrong.is_some());
        assert!(client.request(Method::GET, "/").header("x", "a\nb").wrong.is_some());
    }
}
