//! A caller: HTTP/1.1 or HTTP/2 over TLS, or just bytes over TLS.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::KEY;
use super::certificates::Authority;

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

pub(crate) enum Http {
    One,
    Two,
}

enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

pub(crate) struct Client {
    sender: Sender,
    pub(crate) leaf: CertificateDer<'static>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn slug(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().replace("/problems/", "")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

pub(crate) fn empty() -> Body {
    full(Bytes::new())
}

pub(crate) fn get(path: &str) -> Request<Body> {
    request("GET", path, empty())
}

pub(crate) fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {KEY}"))
        .body(body)
        .unwrap()
}

pub(crate) async fn tls(at: SocketAddr, authority: &Authority, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let config = authority.client_config(alpn, rustls::DEFAULT_VERSIONS);
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, TcpStream::connect(at).await.unwrap()).await.unwrap()
}

impl Client {
    pub(crate) async fn connect(at: SocketAddr, authority: &Authority, http: Http) -> Self {
        let alpn: &[u8] = if matches!(http, Http::One) { b"http/1.1" } else { b"h2" };
        let stream = tls(at, authority, &[alpn]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn));
        let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
        let sender = match http {
            Http::One => {
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Sender::One(sender)
            }
            Http::Two => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Sender::Two(sender)
            }
        };
        Self { sender, leaf }
    }

    pub(crate) async fn try_send(&mut self, mut request: Request<Body>) -> hyper::Result<Answer> {
        let response = match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Two(sender) => {
                request.headers_mut().remove("host");
                let path = request.uri().to_string();
                *request.uri_mut() = format!("https://localhost{path}").parse().unwrap();
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (parts, body) = Response::into_parts(response);
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> Answer {
        tokio::time::timeout(Duration::from_secs(10), self.try_send(request)).await.unwrap().unwrap()
    }
}

/// Sends bytes and reads until the other end closes. What was read, also when the close was not orderly.
pub(crate) async fn raw(at: SocketAddr, authority: &Authority, bytes: &[u8]) -> String {
    let mut stream = tls(at, authority, &[b"http/1.1"]).await;
    stream.write_all(bytes).await.unwrap();
    read_all(&mut stream).await
}

pub(crate) async fn read_all(stream: &mut TlsStream<TcpStream>) -> String {
    let mut read = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut read)).await.unwrap();
    String::from_utf8_lossy(&read).into_owned()
}
