//! A KMS of our own that enforces what `moto` does not: the state of a key, its pace, and its account's quota.
//!
//! It speaks AWS's JSON 1.1 over HTTP for the three calls that are made, checks each as the service would (target,
//! signature's region, key, encryption context), and remembers what it wrapped under random names, so that a
//! ciphertext tells nothing and opens nowhere else. It checks no signature: that it is there and for which region.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the key is like at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    Disabled,
    PendingDeletion,
    /// The account's quota is used up.
    Throttled,
    /// The service takes requests and answers none.
    Silent,
    /// Connections are closed without an answer.
    Away,
    /// The service answers, so late.
    Late(Duration),
}

/// One key in one AWS region.
pub(crate) struct Stub {
    pub(crate) endpoint: String,
    inner: Arc<Inner>,
    _stop: watch::Sender<()>,
}

struct Inner {
    key_id: String,
    aws_region: String,
    entries: Mutex<Entries>,
}

struct Entries {
    state: State,
    asked: u64,
    made: u64,
    wrapped: HashMap<String, (Value, Vec<u8>)>,
}

impl Stub {
    /// Starts on a free port.
    pub(crate) async fn start(key_id: &str, aws_region: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let entries = Entries { state: State::Enabled, asked: 0, made: 0, wrapped: HashMap::new() };
        let inner = Arc::new(Inner {
            key_id: key_id.into(),
            aws_region: aws_region.into(),
            entries: Mutex::new(entries),
        });
        let (stop, stopped) = watch::channel(());
        tokio::spawn(accept(listener, Arc::clone(&inner), stopped));
        Self { endpoint, inner, _stop: stop }
    }

    /// Changes the key's state.
    pub(crate) fn set(&self, state: State) {
        self.inner.entries().state = state;
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> u64 {
        self.inner.entries().asked
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>, mut stopped: watch::Receiver<()>) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.expect("a connection").0,
            _ = stopped.changed() => return,
        };
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(Arc::clone(&inner), request));
            // The client's going away is its own matter.
            let _ =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// A connection that is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("away")]
struct Gone;

async fn answer(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Gone> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Gone)?.to_bytes();
    let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let state = {
        let mut entries = inner.entries();
        entries.asked += 1;
        entries.state
    };
    match state {
        State::Away => return Err(Gone),
        State::Silent => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        State::Late(by) => tokio::time::sleep(by).await,
        _ => {}
    }
    let act = header("x-amz-target");
    let scope = format!("/{}/kms/aws4_request", inner.aws_region);
    let (status, said) = match act.strip_prefix("TrentService.") {
        _ if !header("authorization").contains(&scope) => refusal("InvalidSignatureException"),
        Some(_) if state == State::Throttled => refusal("ThrottlingException"),
        Some(act @ ("GenerateDataKey" | "Decrypt" | "ReEncrypt")) => {
            inner.act(act, state, &asked).map_or_else(refusal, |said| (StatusCode::OK, said))
        }
        _ => refusal("UnknownOperationException"),
    };
    let mut response = Response::new(Full::new(Bytes::from(said.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", "application/x-amz-json-1.1".parse().expect("a value"));
    Ok(response)
}

fn refusal(code: &'static str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({"__type": code, "message": "said by the stub"}))
}

impl Inner {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, act: &str, state: State, asked: &Value) -> Result<Value, &'static str> {
        let named = asked["KeyId"].as_str().or_else(|| asked["DestinationKeyId"].as_str());
        if named != Some(&self.key_id) {
            return Err("NotFoundException");
        }
        match state {
            State::Disabled => return Err("DisabledException"),
            State::PendingDeletion => return Err("KMSInvalidStateException"),
            _ => {}
        }
        let mut entries = self.entries();
        match act {
            "GenerateDataKey" => {
                entries.made += 1;
                let mut plain = vec![0; 32];
                plain[..8].copy_from_slice(&entries.made.to_be_bytes());
                let blob = entries.keep(asked["EncryptionContext"].clone(), plain.clone());
                Ok(json!({"KeyId": self.key_id, "Plaintext": BASE64.encode(&plain), "CiphertextBlob": blob}))
            }
            "Decrypt" => {
                let plain = entries.open(&asked["CiphertextBlob"], &asked["EncryptionContext"])?;
                Ok(json!({"KeyId": self.key_id, "Plaintext": BASE64.encode(&plain)}))
            }
            _ => {
                let plain = entries.open(&asked["CiphertextBlob"], &asked["SourceEncryptionContext"])?;
                let blob = entries.keep(asked["DestinationEncryptionContext"].clone(), plain);
                Ok(json!({"KeyId": self.key_id, "CiphertextBlob": blob}))
            }
        }
    }
}

impl Entries {
    fn keep(&mut self, context: Value, plain: Vec<u8>) -> String {
        let blob = BASE64.encode(format!("blob {} of this stub", self.wrapped.len()).as_bytes());
        self.wrapped.insert(blob.clone(), (context, plain));
        blob
    }

    fn open(&self, blob: &Value, context: &Value) -> Result<Vec<u8>, &'static str> {
        let (bound, plain) =
            blob.as_str().and_then(|blob| self.wrapped.get(blob)).ok_or("InvalidCiphertextException")?;
        if bound == context { Ok(plain.clone()) } else { Err("InvalidCiphertextException") }
    }
}
