//! The peer: Debian's etcd, came over gRPC.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::Method;
use rustls::ClientConfig;

use super::super::authority::Authority;
use super::super::cpu::Meter;
use super::super::drive::Driver;
use super::super::series::Sample;
use super::super::streams::{Caller, Grpc, Question, Streams};
use super::super::{Options, peers};
use super::{PATIENCE, each};
use crate::client::{self, Address, Client};

const KEYS: u64 = 100_000;
const VALUE: [u8; 128] = [0x5a; 128];

/// Three members.
pub(super) struct Etcd {
    cluster: peers::Etcd,
    tls: Option<Arc<ClientConfig>>,
}

impl Etcd {
    pub(super) fn start(options: &Options, folder: &str, with_tls: bool) -> anyhow::Result<Self> {
        let folder = options.folder(folder)?;
        if !with_tls {
            return Ok(Self { cluster: peers::Etcd::start(options, &folder, None)?, tls: None });
        }
        let pem = Authority::new()?.issue(&folder, None)?;
        let cluster = peers::Etcd::start(options, &folder, Some(&pem))?;
        Ok(Self { cluster, tls: Some(client::trust(&pem.ca)?) })
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.cluster.pids()
    }

    /// Connections to the member that leads.
    pub(super) fn streams(&self, driver: &Driver, connections: usize) -> anyhow::Result<Streams> {
        let begun = Instant::now();
        loop {
            for port in &self.cluster.ports {
                if self.leads(driver, *port)? {
                    return Streams::open(driver, self.caller(*port)?, connections);
                }
            }
            ensure!(begun.elapsed() < PATIENCE, "no member of etcd leads");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn caller(&self, port: u16) -> anyhow::Result<Caller> {
        let (tls, grpc) = match &self.tls {
            Some(tls) => (tls.clone(), Grpc::Tls),
            None => (nobody()?, Grpc::Plain),
        };
        let at = Address { host: "localhost".to_owned(), port };
        Ok(Caller { at, tls, api_key: String::new(), posts: true, grpc: Some(grpc) })
    }

    /// Whether this member says that it leads.
    fn leads(&self, driver: &Driver, port: u16) -> anyhow::Result<bool> {
        let mut said = Vec::new();
        if let Some(tls) = &self.tls {
            let at = Address { host: "localhost".to_owned(), port };
            let client = Client::new(at, tls.clone(), PATIENCE);
            let asked = client.send(client.request(Method::GET, "/metrics"));
            said.extend(driver.runtime().block_on(asked)?.body);
        } else {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            stream.read_to_end(&mut said)?;
        }
        Ok(String::from_utf8_lossy(&said).lines().any(|line| line == "etcd_server_is_leader 1"))
    }

    pub(super) fn puts(
        &self,
        driver: &Driver,
        streams: &mut Streams,
        load: usize,
        turn: Duration,
    ) -> anyhow::Result<Sample> {
        self.turn(driver, streams, load, turn, |key| call("Put", &[(1, &key), (2, &VALUE)]))
    }

    pub(super) fn gets(
        &self,
        driver: &Driver,
        streams: &mut Streams,
        load: usize,
        turn: Duration,
    ) -> anyhow::Result<Sample> {
        self.turn(driver, streams, load, turn, |key| call("Range", &[(1, &key)]))
    }

    fn turn(
        &self,
        driver: &Driver,
        streams: &mut Streams,
        load: usize,
        turn: Duration,
        question: fn([u8; 8]) -> Question,
    ) -> anyhow::Result<Sample> {
        let meter = Meter::start(&self.pids());
        let came = streams
            .turn(driver, turn, each(load), move |connection, sent| question(key(connection as u64, sent)));
        came?.sample(Some(meter.read()))
    }
}

/// Trusts nobody, for where there is no TLS.
fn nobody() -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let roots = rustls::RootCertStore::empty();
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// A key by chance, the same for everybody who asks the same.
fn key(connection: u64, sent: u64) -> [u8; 8] {
    let mixed = (sent + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ connection.wrapping_mul(0xd1b5_4a32_d192_ed03);
    ((mixed >> 20) % KEYS).to_be_bytes()
}

/// A call of etcd's key-value service whose fields are bytes, shorter than 128 bytes each but for one byte more.
fn call(name: &str, fields: &[(u8, &[u8])]) -> Question {
    let mut message = BytesMut::new();
    for (number, value) in fields {
        message.put_u8(number << 3 | 2);
        let length = u8::try_from(value.len()).unwrap_or(0);
        if length < 128 {
            message.put_u8(length);
        } else {
            message.put_slice(&[length, 1]);
        }
        message.put_slice(value);
    }
    let mut body = BytesMut::with_capacity(5 + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).unwrap_or(0));
    body.put_slice(&message);
    Question { path: format!("/etcdserverpb.KV/{name}"), key: None, body: Bytes::from(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_message_after_its_length() {
        let put = call("Put", &[(1, b"k"), (2, &VALUE)]);
        assert_eq!(put.path, "/etcdserverpb.KV/Put");
        // No compression, 134 bytes; field 1 of one byte; field 2 of 128 bytes, which takes two bytes to say.
        assert_eq!(put.body[..11], [0, 0, 0, 0, 134, 0x0a, 1, b'k', 0x12, 0x80, 1]);
        assert_eq!(put.body.len(), 5 + 134);
    }
}
