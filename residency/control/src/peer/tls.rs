//! The certificates of mutual TLS, and their replacement while running.
//!
//! Names are not identity here: a peer is who the one URI in its certificate says, and the authority's signature is
//! what makes that true. So the caller's side checks the chain without a host name, and [`super::PeerPool`] compares
//! the identity with the one it means to call before it sends anything.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{NotAPeer, PeerId};

/// Where the certificates lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPaths {
    /// The authority's certificates, PEM.
    pub ca: PathBuf,
    /// This node's chain, PEM, leaf first.
    pub cert: PathBuf,
    /// This node's private key, PEM.
    pub key: PathBuf,
}

/// What is wrong with the certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// The authority's file holds no certificate.
    #[error("{path} holds no certificate", path = _0.display())]
    Empty(PathBuf),
    /// The node's own certificate names no peer.
    #[error("this node's certificate: {0}")]
    Identity(#[from] NotAPeer),
    /// A new certificate names another node.
    #[error("the new certificate is for {found}, this node is {expected}")]
    OtherIdentity {
        /// Who the new certificate names.
        found: PeerId,
        /// Who this node is.
        expected: PeerId,
    },
    /// A new certificate has ended, or has not begun.
    #[error("{path} holds from {from} until {until}, and it is now {now}", path = path.display())]
    NotValidNow {
        /// Which file.
        path: PathBuf,
        /// The first instant.
        from: Timestamp,
        /// The last instant.
        until: Timestamp,
        /// The present instant.
        now: Timestamp,
    },
    /// Certificate and key do not fit, or the authority's certificate is unusable.
    #[error("the certificates cannot be used: {0}")]
    Unusable(String),
}

/// When a certificate holds (RFC 5280 section 4.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first instant.
    pub from: Timestamp,
    /// The last instant.
    pub until: Timestamp,
}

impl Validity {
    /// The validity of a certificate, if it is one.
    pub fn of(leaf: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        let instant = |seconds| Timestamp::from_second(seconds).ok();
        let (from, until) = (parsed.validity().not_before, parsed.validity().not_after);
        Some(Self { from: instant(from.timestamp())?, until: instant(until.timestamp())? })
    }

    /// Whether it holds at an instant.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now <= self.until
    }
}

struct Loaded {
    own: PeerId,
    validity: Validity,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// The certificates. Cheap to clone; every clone sees a reload.
#[derive(Clone)]
pub struct PeerTls {
    inner: Arc<Inner>,
}

struct Inner {
    paths: PeerPaths,
    loaded: ArcSwap<Loaded>,
    generation: AtomicU64,
}

impl PeerTls {
    /// Reads the certificates.
    pub fn load(paths: PeerPaths) -> Result<Self, TlsError> {
        let loaded = ArcSwap::from_pointee(read(&paths)?);
        Ok(Self { inner: Arc::new(Inner { paths, loaded, generation: AtomicU64::new(1) }) })
    }

    /// Reads them again. On an error the old ones stay in use, and so they do where the new one does not hold at `now`:
    /// nobody would believe it. Connections made from now on use the new ones, and the pool replaces its connections as
    /// they are asked for.
    pub fn reload(&self, now: Timestamp) -> Result<(), TlsError> {
        let loaded = read(&self.inner.paths)?;
        let Validity { from, until } = loaded.validity;
        if !loaded.validity.holds(now) {
            return Err(TlsError::NotValidNow { path: self.inner.paths.cert.clone(), from, until, now });
        }
        let expected = self.own_id();
        if loaded.own != expected {
            return Err(TlsError::OtherIdentity { found: loaded.own, expected });
        }
        self.inner.loaded.store(Arc::new(loaded));
        self.inner.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Who this node's own certificate says that it is.
    pub fn own_id(&self) -> PeerId {
        self.inner.loaded.load().own
    }

    /// When this node's own certificate holds.
    pub fn own_validity(&self) -> Validity {
        self.inner.loaded.load().validity
    }

    /// Where the certificates lie.
    pub fn paths(&self) -> &PeerPaths {
        &self.inner.paths
    }

    /// For accepting peers: a client certificate is required, ALPN is h2. Ask for it for every connection.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.inner.loaded.load().server.clone()
    }

    /// For calling peers. It checks the chain and that the certificate names a peer; which peer is for the caller
    /// to compare, as [`super::PeerPool`] does.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.inner.loaded.load().client.clone()
    }

    /// Raised by every reload.
    pub(crate) fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }
}

impl fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerTls").field("own", &self.own_id()).finish_non_exhaustive()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    let read: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if read.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(read) }
}

fn read(paths: &PeerPaths) -> Result<Loaded, TlsError> {
    let unusable = |e: &dyn fmt::Display| TlsError::Unusable(e.to_string());
    let chain = certificates(&paths.cert)?;
    let own = PeerId::from_chain(Some(&chain))?;
    let leaf = chain.first().ok_or(NotAPeer::NoCertificate)?;
    let validity = Validity::of(leaf).ok_or(NotAPeer::Malformed)?;
    let key = PrivateKeyDer::from_pem_file(&paths.key)
        .map_err(|source| TlsError::File { path: paths.key.clone(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&paths.ca)? {
        roots.add(certificate).map_err(|e| unusable(&e))?;
    }
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::ring::default_provider());

    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|e| unusable(&e))?;
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| unusable(&e))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(|e| unusable(&e))?;
    server.alpn_protocols = vec![b"h2".to_vec()];

    let servers = Arc::new(ChainOfAPeer { roots, provider: provider.clone() });
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| unusable(&e))?
        .dangerous()
        .with_custom_certificate_verifier(servers)
        .with_client_auth_cert(chain, key)
        .map_err(|e| unusable(&e))?;
    client.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Loaded { own, validity, server: Arc::new(server), client: Arc::new(client) })
}

/// Accepts a certificate that the authority signed, that is valid now, and that names exactly one peer.
#[derive(Debug)]
struct ChainOfAPeer {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ChainOfAPeer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        PeerId::from_certificate(end_entity)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
