//! Who a peer is: the one SPIFFE id in its certificate.

use std::fmt;
use std::str::FromStr;

use residency_policy::{Ingress, Jurisdiction, NodeId, Region};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerKind {
    /// A node of a region.
    Region(Region),
    /// A router with its declared place.
    Router(Ingress),
}

/// Who a peer is, as its certificate says:
/// `spiffe://domicile/region/us-tx/node/3` or `spiffe://domicile/router/us-ca/node/10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId {
    /// What it is.
    pub kind: PeerKind,
    /// Which member of the control plane it is.
    pub node: NodeId,
}

/// The certificate names no peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPeer {
    /// There is no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The certificate cannot be read.
    #[error("the peer's certificate cannot be read")]
    Malformed,
    /// There is not exactly one URI among the subject's alternative names.
    #[error("the peer's certificate must hold exactly one URI name")]
    NotOneUri,
    /// The URI is of another form.
    #[error(
        "the URI in the peer's certificate must look like spiffe://domicile/region/us-tx/node/3 \
         or spiffe://domicile/router/us-ca/node/10"
    )]
    NotSpiffe,
}

impl PeerId {
    /// The peer that a certificate (DER) names.
    pub fn from_certificate(der: &[u8]) -> Result<Self, NotAPeer> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| NotAPeer::Malformed)?;
        if !rest.is_empty() {
            return Err(NotAPeer::Malformed);
        }
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| NotAPeer::Malformed)?
            .ok_or(NotAPeer::NotOneUri)?;
        let mut uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        match (uris.next(), uris.next()) {
            (Some(uri), None) => uri.parse(),
            _ => Err(NotAPeer::NotOneUri),
        }
    }

    /// The peer that a chain's leaf names.
    pub fn from_chain(chain: Option<&[CertificateDer<'_>]>) -> Result<Self, NotAPeer> {
        let leaf = chain.and_then(<[_]>::first).ok_or(NotAPeer::NoCertificate)?;
        Self::from_certificate(leaf)
    }
}

impl FromStr for PeerId {
    type Err = NotAPeer;

    fn from_str(uri: &str) -> Result<Self, NotAPeer> {
        let path = uri.strip_prefix("spiffe://domicile/").ok_or(NotAPeer::NotSpiffe)?;
        let mut parts = path.split('/');
        let (kind, place, word, node) = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(kind), Some(place), Some("node"), Some(node), None) = (kind, place, word, node, parts.next())
        else {
            return Err(NotAPeer::NotSpiffe);
        };
        let place =
            Jurisdiction::all().find(|j| j.code().to_ascii_lowercase() == place).ok_or(NotAPeer::NotSpiffe)?;
        let kind = match kind {
            "region" => PeerKind::Region(Region(place)),
            "router" => PeerKind::Router(Ingress(place)),
            _ => return Err(NotAPeer::NotSpiffe),
        };
        let id = Self { kind, node: NodeId(node.parse().map_err(|_| NotAPeer::NotSpiffe)?) };
        // One peer must not have several spellings: no `+3`, no `03`.
        if id.to_string() == uri { Ok(id) } else { Err(NotAPeer::NotSpiffe) }
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, place) = match self.kind {
            PeerKind::Region(region) => ("region", region.0),
            PeerKind::Router(ingress) => ("router", ingress.0),
        };
        write!(f, "spiffe://domicile/{word}/{}/node/{}", place.code().to_ascii_lowercase(), self.node)
    }
}

/// Who is at the other end of an accepted connection, after its handshake.
pub fn peer_of(connection: &rustls::ServerConnection) -> Result<PeerId, NotAPeer> {
    PeerId::from_chain(connection.peer_certificates())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_has_one_form() {
        for text in ["spiffe://domicile/region/us-tx/node/3", "spiffe://domicile/router/us-ca/node/10"] {
            assert_eq!(text.parse::<PeerId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "spiffe://other/region/us-tx/node/3",
            "spiffe://domicile/region/US-TX/node/3",
            "spiffe://domicile/region/us-zz/node/3",
            "spiffe://domicile/region/us-tx/node/03",
            "spiffe://domicile/region/us-tx/node/+3",
            "spiffe://domicile/region/us-tx/node/3/",
            "spiffe://domicile/admin/us-tx/node/3",
            "https://domicile/region/us-tx/node/3",
        ] {
            assert_eq!(text.parse::<PeerId>(), Err(NotAPeer::NotSpiffe), "{text:?}");
        }
    }
}
