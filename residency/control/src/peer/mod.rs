//! Mutual TLS between members: who a peer is, the certificates, and pooled connections.

mod identity;
mod pool;
mod tls;

pub use identity::{NotAPeer, PeerId, PeerKind, peer_of};
pub use pool::{PeerError, PeerExpect, PeerPool};
pub use tls::{PeerPaths, PeerTls, TlsError, Validity};
