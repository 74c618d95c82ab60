//! Sections `[tls]` and `[peer]`: certificates. Both are read again when their files change.

use std::path::PathBuf;

use serde::Deserialize;

/// What callers see.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The certificate and its intermediates, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key, PEM, readable by the node's user only.
    pub key: PathBuf,
}

/// What peers see: this node's identity, and whom it believes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSection {
    /// The authority that signs the members' certificates.
    pub ca: PathBuf,
    /// This node's certificate. Its one URI name is `spiffe://domicile/region/<us-xx>/node/<n>`.
    pub certificate: PathBuf,
    /// Its private key, PEM, readable by the node's user only.
    pub key: PathBuf,
}
