//! Section `[listen]`: where this node listens and what it tells others.

use std::net::SocketAddr;

use residency_control::Endpoint;
use serde::Deserialize;

use super::from_text;

/// Where this node listens and what it tells others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenSection {
    /// The address for callers.
    pub public: SocketAddr,
    /// The address for routers and other nodes, over mutual TLS.
    pub peer: SocketAddr,
    /// How callers reach `public`, as `host:port`: it is in redirects and in `/v1/regions`.
    #[serde(deserialize_with = "from_text")]
    pub advertise_public: Endpoint,
    /// How peers reach `peer`, as `host:port`.
    #[serde(deserialize_with = "from_text")]
    pub advertise_peer: Endpoint,
}
