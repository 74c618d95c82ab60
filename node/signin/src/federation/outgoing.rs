//! How identity providers are asked: over TLS, at public addresses, briefly, and not too many at once.
//!
//! Whoever may name a provider names a server that this one then calls. So the address is looked at after the name was
//! resolved, at the moment of connecting: a name that resolves to something else the second time gains nothing.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::USER_AGENT;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioExecutor;
use openidconnect::AsyncHttpClient;
use rustls::RootCertStore;
use tokio::sync::Semaphore;
use tower::Service;

use super::address::is_public;

/// How long one question may take, with its answer.
const WITHIN: Duration = Duration::from_secs(5);
/// The most of an answer that is read, in bytes. Sets of keys and lists of addresses are far smaller.
const ANSWER_MAX: usize = 256 << 10;
/// How many questions are asked at once.
const AT_ONCE: usize = 32;
/// And how many of one server: one that is dead takes no other's place.
const AT_ONCE_EACH: usize = 6;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// It is not asked: no TLS, or an address inside a private network.
    #[error("the address is not one that is asked")]
    NotAsked,
    /// It did not answer in time.
    #[error("there was no answer in time")]
    Late,
    /// There was no connection, or no whole answer within bounds.
    #[error("there was no answer")]
    Failed,
    /// It says that it cannot answer now.
    #[error("it is out of order")]
    OutOfOrder,
    /// Too many questions are being asked.
    #[error("too many questions are being asked")]
    Busy,
}

/// Asks identity providers.
pub struct Outgoing {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    private: Arc<[String]>,
    places: Semaphore,
    /// How many questions each server is being asked. One that is asked none is not in it.
    asked: Asked,
}

type Asked = Arc<Mutex<HashMap<Authority, usize>>>;

/// A question that a server is being asked.
struct Question {
    asked: Asked,
    of: Authority,
}

impl Question {
    /// One more, unless the server is asked as many as it may be.
    fn of(asked: &Asked, of: &Authority) -> Option<Self> {
        let mut all = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = all.entry(of.clone()).or_default();
        if *now >= AT_ONCE_EACH {
            return None;
        }
        *now += 1;
        Some(Self { asked: Arc::clone(asked), of: of.clone() })
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = all.get_mut(&self.of) {
            *now -= 1;
            if *now == 0 {
                all.remove(&self.of);
            }
        }
    }
}

impl Outgoing {
    /// Trusts these authorities. `private` are hosts that may be inside a private network.
    pub fn new(roots: RootCertStore, private: Vec<String>) -> Self {
        let private: Arc<[String]> = private.into();
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                // TLS 1.2 and 1.3 are what rustls has, and this provider speaks both.
                .unwrap_or_else(|_| rustls::ClientConfig::builder())
                .with_root_certificates(roots)
                .with_no_client_auth();
        let resolver = Resolver { resolver: GaiResolver::new(), private: Arc::clone(&private) };
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(WITHIN));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, private, places: Semaphore::new(AT_ONCE), asked: Asked::default() }
    }

    /// Whether this address may be asked, or a browser sent to it, as far as its text tells.
    pub fn may(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else { return false };
        let private = self.private.iter().any(|one| one == host);
        let here = matches!(host, "localhost" | "127.0.0.1");
        // An address is not resolved, so nothing else would look at it.
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        match uri.scheme_str() {
            Some("https") => private || literal.map_or(true, is_public),
            Some("http") => private && here,
            _ => false,
        }
    }

    /// Asks, and waits for the whole answer. It follows no redirect.
    pub async fn send(&self, mut request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Unreached> {
        if !self.may(request.uri()) {
            return Err(Unreached::NotAsked);
        }
        let of = request.uri().authority().ok_or(Unreached::NotAsked)?;
        let _question = Question::of(&self.asked, of).ok_or(Unreached::Busy)?;
        let _place = self.places.try_acquire().map_err(|_| Unreached::Busy)?;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("domicile"));
        let asked = async {
            let request = request.map(|body| Full::new(Bytes::from(body)));
            let answer = self.client.request(request).await.map_err(|_| Unreached::Failed)?;
            let (head, body) = answer.into_parts();
            if head.status.is_server_error() {
                return Err(Unreached::OutOfOrder);
            }
            let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|_| Unreached::Failed)?;
            Ok(Response::from_parts(head, body.to_bytes().to_vec()))
        };
        tokio::time::timeout(WITHIN, asked).await.unwrap_or(Err(Unreached::Late))
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("private", &self.private).finish_non_exhaustive()
    }
}

impl<'c> AsyncHttpClient<'c> for Outgoing {
    type Error = Unreached;
    type Future = BoxFuture<'c, Result<Response<Vec<u8>>, Unreached>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// The system's resolver, of whose answers only public addresses are taken.
#[derive(Clone)]
struct Resolver {
    resolver: GaiResolver,
    private: Arc<[String]>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.resolver.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let private = self.private.iter().any(|one| one == name.as_str());
        let found = self.resolver.call(name);
        Box::pin(async move {
            let taken: Vec<SocketAddr> = found.await?.filter(|at| private || is_public(at.ip())).collect();
            if taken.is_empty() {
                return Err(std::io::Error::other("no address that is asked"));
            }
            Ok(taken.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(private: &[&str]) -> Outgoing {
        Outgoing::new(RootCertStore::empty(), private.iter().map(|&host| host.to_owned()).collect())
    }

    #[test]
    fn only_public_addresses_over_tls_are_asked_unless_they_are_listed() {
        let may = |private: &[&str], uri: &str| outgoing(private).may(&uri.parse().expect("a URI"));
        assert!(may(&[], "https://idp.example/a"));
        assert!(may(&["127.0.0.1"], "http://127.0.0.1:4000/a") && may(&["127.0.0.1"], "https://127.0.0.1/a"));
        for uri in [
            "http://idp.example/a",
            "http://127.0.0.1:4000/a",
            "https://127.0.0.1/a",
            "https://10.0.0.1/a",
            "https://169.254.169.254/latest",
            "https://[::1]/a",
            "https://[::ffff:10.0.0.1]/a",
            "ftp://idp.example/a",
            "/a",
        ] {
            assert!(!may(&[], uri), "{uri}");
        }
        assert!(!may(&["idp.internal"], "http://idp.internal/a"), "a private host needs TLS too");
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_asked_unless_it_is_listed() {
        let ask = |uri: String| Request::get(uri).body(Vec::new()).expect("a request");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let mut resolver = Resolver { resolver: GaiResolver::new(), private: Arc::new([]) };
        let name: Name = "localhost".parse().expect("a name");
        assert!(resolver.call(name.clone()).await.is_err(), "it is in the private network");
        resolver.private = Arc::new(["localhost".to_owned()]);
        assert!(resolver.call(name).await.is_ok_and(|found| found.count() > 0));
        // And nothing connects.
        let refused = outgoing(&[]).send(ask(format!("https://localhost:{port}/"))).await;
        assert_eq!(refused.err(), Some(Unreached::Failed));
        let connected = futures::FutureExt::now_or_never(listener.accept());
        assert!(connected.is_none(), "somebody connected");
    }
    #[tokio::test]
    async fn a_dead_server_takes_no_others_place() {
        let out = outgoing(&["127.0.0.1"]);
        // It takes connections and never answers.
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let alive = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = |of: &tokio::net::TcpListener| format!("http://{}/", of.local_addr().expect("an address"));
        let ask = |uri: String| out.send(Request::get(uri).body(Vec::new()).expect("a request"));
        let mut asking: Vec<_> = (0..AT_ONCE_EACH).map(|_| Box::pin(ask(at(&dead)))).collect();
        for one in &mut asking {
            assert!(futures::poll!(one).is_pending());
        }
        assert_eq!(ask(at(&dead)).await.err(), Some(Unreached::Busy), "as many as it may be asked");
        // Another one is asked all the same: it is gone, and that is found out.
        let gone = at(&alive);
        drop(alive);
        assert_eq!(ask(gone).await.err(), Some(Unreached::Failed));
        drop(asking);
        assert!(out.asked.lock().expect("a lock").is_empty(), "nobody is counted who is asked nothing");
        let mut again = Box::pin(ask(at(&dead)));
        assert!(futures::poll!(&mut again).is_pending(), "there is a place again");
    }
}
