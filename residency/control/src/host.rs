//! Where a machine is reached: bounded network names, and nothing else that could be mistaken for text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A DNS name or an IP address: 1 to 253 characters of `[a-z0-9.:-]` (RFC 1035 section 2.3.4).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(Box<str>);

/// The text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host: expected 1 to 253 characters of a-z, 0-9, `.`, `:` and `-`")]
pub struct NotAHost;

impl Host {
    /// The longest host, in bytes.
    pub const LEN_MAX: usize = 253;

    /// The host as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b':' | b'-');
        if text.is_empty() || text.len() > Self::LEN_MAX || !text.bytes().all(allowed) {
            return Err(NotAHost);
        }
        Ok(Self(text.into()))
    }
}

residency_policy::spelt!(Host, NotAHost);

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// The machine.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
}

impl Endpoint {
    /// A host and a port.
    pub fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }
}

/// `host:port`, with brackets around an IPv6 address, as in the authority of a URL.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.as_str().contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The text is not an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an endpoint: expected host:port, such as tx.example.com:7443 or [::1]:7443")]
pub struct NotAnEndpoint;

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAnEndpoint)?;
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or(NotAnEndpoint)?,
            None if host.contains(':') => return Err(NotAnEndpoint),
            None => host,
        };
        Ok(Self {
            host: bare.parse().map_err(|_| NotAnEndpoint)?,
            port: port.parse().map_err(|_| NotAnEndpoint)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_network_name_and_nothing_else() {
        for text in ["localhost", "tx.example.com", "10.0.0.1", "::1", "fe80::1"] {
            assert_eq!(text.parse::<Host>().map(|h| h.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "Ana Garcia", "TX.example.com", "a/b", "user@host", "é", &"a".repeat(254)] {
            assert_eq!(text.parse::<Host>(), Err(NotAHost), "{text:?}");
        }
    }

    #[test]
    fn an_endpoint_survives_text() {
        for text in ["localhost:7443", "[::1]:7443", "10.0.0.1:1"] {
            assert_eq!(text.parse::<Endpoint>().map(|e| e.to_string()), Ok(text.to_owned()));
        }
        for text in ["localhost", "::1:7443", "[::1:7443", "localhost:99999", ":1"] {
            assert_eq!(text.parse::<Endpoint>(), Err(NotAnEndpoint), "{text:?}");
        }
    }
}
