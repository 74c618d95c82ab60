//! The router's one TOML file. Unknown keys are refused, there are no secrets in it, and every error says which
//! key is wrong and how to mend it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rates::Quotas;
use residency_control::peer::{PeerKind, PeerPaths};
use residency_control::{Endpoint, Member, Timings};
use residency_policy::{Ingress, Jurisdiction, NodeId, Region};
use serde::Deserialize;

use crate::limits::Limits;
use crate::traces::TracesSection;

/// The file as it is written. [`Config::read`] gives the checked form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: SocketAddr,
    ingress: Jurisdiction,
    tls: PublicFiles,
    peer: Peer,
    control: ControlSection,
    rules: Rules,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    rates: Quotas,
    #[serde(default)]
    timeouts: Timeouts,
    #[serde(default)]
    metrics: MetricsSection,
    #[serde(default)]
    traces: TracesSection,
    #[serde(default)]
    log: LogSection,
}

/// The certificate that callers see.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicFiles {
    /// The chain, PEM, leaf first.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    listen: SocketAddr,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlSection {
    id: u64,
    dir: PathBuf,
    #[serde(default = "view_age_max_ms")]
    view_age_max_ms: u64,
    #[serde(default)]
    peers: Vec<Voter>,
    #[serde(default)]
    timings: Timings,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Voter {
    id: u64,
    region: Jurisdiction,
    at: String,
}

/// The rules of law and contract, and whose signature puts them in force.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The rules' file.
    pub file: PathBuf,
    /// A file of Ed25519 public keys, 64 hexadecimal digits a line ([`residency_policy::verify_keys`]).
    pub verify_key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    connections: usize,
    header_bytes: usize,
    uri_bytes: usize,
    body_bytes: u64,
    streams: u32,
    in_flight: usize,
    in_flight_per_home: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let Limits { connections, header_bytes, uri_bytes, body_bytes, streams, .. } = Limits::default();
        Self {
            connections,
            header_bytes,
            uri_bytes,
            body_bytes,
            streams,
            in_flight: 4_096,
            in_flight_per_home: 2_048,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_field_names,
    reason = "these are the file's keys, and a time without its unit is a trap"
)]
struct Timeouts {
    handshake_ms: u64,
    headers_ms: u64,
    idle_ms: u64,
    answer_ms: u64,
    hold_ms: u64,
    drain_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake_ms: 5_000,
            headers_ms: 10_000,
            idle_ms: 60_000,
            answer_ms: 30_000,
            hold_ms: 10_000,
            drain_ms: 30_000,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsSection {
    listen: Option<SocketAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogSection {
    level: Level,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: Level::Info }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// What has failed.
    Error,
    /// And what someone should look at.
    Warn,
    /// And one line for each request.
    Info,
    /// And what helps to find a fault.
    Debug,
}

fn view_age_max_ms() -> u64 {
    10_000
}

/// How the stages of a request are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The limits of the public listener and of each request.
    pub limits: Limits,
    /// The most requests at work at once.
    pub in_flight: usize,
    /// The most of them for one home.
    pub in_flight_per_home: usize,
    /// How long a home has to begin its answer, and then for each next part of it.
    pub answer: Duration,
    /// How long a home may be away until its requests are answered 503 and no longer held for it.
    pub hold: Duration,
    /// The oldest view on which a statement that something does not exist may rest.
    pub view_age_max: Duration,
}

/// What the router is told, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// Where the bytes enter.
    pub ingress: Ingress,
    /// The certificate that callers see.
    pub tls: PublicFiles,
    /// Where members of the control plane connect.
    pub peer_listen: SocketAddr,
    /// The certificates between members.
    pub peer: PeerPaths,
    /// This member's id.
    pub id: NodeId,
    /// Where the control plane's log lies.
    pub dir: PathBuf,
    /// The members that configuration names.
    pub peers: BTreeMap<NodeId, Member>,
    /// How often and how long, in the control plane.
    pub timings: Timings,
    /// The rules.
    pub rules: Rules,
    /// How requests are bounded.
    pub bounds: Bounds,
    /// How much a caller and an address may ask for.
    pub rates: Quotas,
    /// How long requests in flight have when the process is told to end.
    pub drain: Duration,
    /// Where metrics are served, when not on the public listener.
    pub metrics_listen: Option<SocketAddr>,
    /// Where traces go.
    pub traces: TracesSection,
    /// How much is logged.
    pub level: Level,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not there, or may not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// It is not TOML of the expected shape.
    #[error("{path}: {source}")]
    Shape {
        /// Which file.
        path: PathBuf,
        /// Which key, and what was expected.
        source: Box<toml::de::Error>,
    },
    /// A value is not one that works.
    #[error("{path}: {key} {wrong}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What is wrong, and what would be right.
        wrong: &'static str,
    },
}

impl Config {
    /// Reads and checks the file. Relative paths are taken from its folder.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)
            .map_err(|source| ConfigError::Shape { path: path.into(), source: Box::new(source) })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        checked(file, folder).map_err(|(key, wrong)| ConfigError::Value { path: path.into(), key, wrong })
    }
}

type Wrong = (&'static str, &'static str);

fn checked(file: File, folder: &Path) -> Result<Config, Wrong> {
    let File { listen, ingress, tls, peer, control, rules, limits, rates, timeouts, metrics, mut traces, log } =
        file;
    rates.check()?;
    let at = |path: PathBuf| folder.join(path);
    let ms = |key, value: u64| match value {
        1..=86_400_000 => Ok(Duration::from_millis(value)),
        _ => Err((key, "must be between 1 ms and a day (86400000)")),
    };
    let more_than_none =
        |key, value: usize| if value > 0 { Ok(value) } else { Err((key, "must be at least 1")) };

    if control.id == 0 {
        return Err(("control.id", "must be 1 or more, and must never have been used before"));
    }
    if metrics.listen.is_some_and(|at| !at.ip().is_loopback()) {
        return Err((
            "metrics.listen",
            "must be a loopback address such as 127.0.0.1:9464, because it has no TLS",
        ));
    }
    traces.ca = traces.ca.map(at);
    let mut peers = BTreeMap::new();
    for voter in control.peers {
        let endpoint: Endpoint = voter.at.parse().map_err(|_| ("control.peers.at", "must be host:port"))?;
        let member = Member::new(PeerKind::Region(Region(voter.region)), endpoint);
        if voter.id == control.id {
            return Err(("control.peers.id", "must not be the router's own control.id"));
        }
        if peers.insert(NodeId(voter.id), member).is_some() {
            return Err(("control.peers.id", "must be there once only"));
        }
    }
    let header_bytes = more_than_none("limits.header_bytes", limits.header_bytes)?;
    if !(1_024..=65_536).contains(&header_bytes) {
        return Err(("limits.header_bytes", "must be between 1024 and 65536"));
    }
    if !(64..=32_768).contains(&limits.uri_bytes) {
        return Err(("limits.uri_bytes", "must be between 64 and 32768"));
    }
    if limits.streams == 0 {
        return Err(("limits.streams", "must be at least 1"));
    }

    let bounds = Bounds {
        limits: Limits {
            connections: more_than_none("limits.connections", limits.connections)?,
            handshake: ms("timeouts.handshake_ms", timeouts.handshake_ms)?,
            header_read: ms("timeouts.headers_ms", timeouts.headers_ms)?,
            idle: ms("timeouts.idle_ms", timeouts.idle_ms)?,
            header_bytes,
            uri_bytes: limits.uri_bytes,
            body_bytes: limits.body_bytes,
            streams: limits.streams,
            ..Limits::default()
        },
        in_flight: more_than_none("limits.in_flight", limits.in_flight)?,
        in_flight_per_home: more_than_none("limits.in_flight_per_home", limits.in_flight_per_home)?,
        answer: ms("timeouts.answer_ms", timeouts.answer_ms)?,
        hold: match timeouts.hold_ms {
            held if held <= timeouts.answer_ms => Duration::from_millis(held),
            _ => {
                return Err((
                    "timeouts.hold_ms",
                    "must not be longer than timeouts.answer_ms; 0 holds nothing",
                ));
            }
        },
        view_age_max: ms("control.view_age_max_ms", control.view_age_max_ms)?,
    };
    Ok(Config {
        listen,
        ingress: Ingress(ingress),
        tls: PublicFiles { cert: at(tls.cert), key: at(tls.key) },
        peer_listen: peer.listen,
        peer: PeerPaths { ca: at(peer.ca), cert: at(peer.cert), key: at(peer.key) },
        id: NodeId(control.id),
        dir: at(control.dir),
        peers,
        timings: control.timings,
        rules: Rules { file: at(rules.file), verify_key: at(rules.verify_key) },
        bounds,
        rates,
        drain: ms("timeouts.drain_ms", timeouts.drain_ms)?,
        metrics_listen: metrics.listen,
        traces,
        level: log.level,
    })
}
