//! The certificate of a public listener: read from files, replaced while connections live on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use residency_control::peer::Validity;
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::ProducesTickets;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Gives the TLS configuration for the next connection. Asked once per accepted connection, so that a new
/// certificate, or a new trust root, holds from the next handshake on.
pub type TlsSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// The certificate and key of a public listener. TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, no client certificate.
pub struct PublicTls {
    cert: PathBuf,
    key: PathBuf,
    // One for the life of the process: a ticket from before a reload still resumes after it.
    tickets: Arc<dyn ProducesTickets>,
    current: ArcSwap<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    validity: Validity,
}

/// Why a certificate and key are not usable. Says which file, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file is not there or is no PEM.
    #[error("cannot read the certificate {path}: {source}; expected a PEM file, leaf first")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in {0}; expected a PEM file, leaf first")]
    Empty(PathBuf),
    /// The leaf cannot be read.
    #[error("the first certificate in {0} is not an X.509 certificate")]
    NotX509(PathBuf),
    /// The leaf is not valid now.
    #[error("the certificate {path} is valid from {from} until {until} and it is now {now}; install a new one")]
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
    /// The key file is not there or is no PEM.
    #[error(
        "cannot read the private key {path}: {source}; expected a PEM file with one PKCS#8, SEC1 or PKCS#1 key"
    )]
    Key {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate and the key do not fit, or use an algorithm that is not taken.
    #[error("the certificate {cert} cannot be used with the key {key}: {source}")]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
}

impl PublicTls {
    /// Reads the files. The certificate must be valid at `now`.
    pub fn load(cert: &Path, key: &Path, now: Timestamp) -> Result<Self, TlsError> {
        let tickets = Ticketer::new().map_err(|source| pair(cert, key, source))?;
        let loaded = read(cert, key, &tickets, now)?;
        Ok(Self { cert: cert.into(), key: key.into(), tickets, current: ArcSwap::from_pointee(loaded) })
    }

    /// Reads the files again. What was in use stays in use when they are not usable.
    pub fn reload(&self, now: Timestamp) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(&self.cert, &self.key, &self.tickets, now)?));
        Ok(())
    }

    /// The configuration for the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// When the certificate in use holds.
    pub fn validity(&self) -> Validity {
        self.current.load().validity
    }

    /// The files: certificate and key.
    pub(crate) fn files(&self) -> [&Path; 2] {
        [&self.cert, &self.key]
    }

    /// What a [`crate::listen::Listener`] asks.
    pub fn source(self: &Arc<Self>) -> TlsSource {
        let tls = Arc::clone(self);
        Arc::new(move || tls.config())
    }
}

impl std::fmt::Debug for PublicTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicTls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

fn read(
    cert: &Path,
    key: &Path,
    tickets: &Arc<dyn ProducesTickets>,
    now: Timestamp,
) -> Result<Loaded, TlsError> {
    let certificate = |source| TlsError::Certificate { path: cert.into(), source };
    let chain = CertificateDer::pem_file_iter(cert)
        .map_err(certificate)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(certificate)?;
    let leaf = chain.first().ok_or_else(|| TlsError::Empty(cert.into()))?;
    let validity = valid_now(cert, leaf, now)?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key { path: key.into(), source })?;

    // The provider is named: a process-wide default would depend on what else is linked.
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| pair(cert, key, source))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|source| pair(cert, key, source))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(tickets);
    Ok(Loaded { config: Arc::new(config), validity })
}

fn valid_now(path: &Path, leaf: &CertificateDer<'_>, now: Timestamp) -> Result<Validity, TlsError> {
    let validity = Validity::of(leaf).ok_or_else(|| TlsError::NotX509(path.into()))?;
    let Validity { from, until } = validity;
    if validity.holds(now) {
        Ok(validity)
    } else {
        Err(TlsError::NotValidNow { path: path.into(), from, until, now })
    }
}

fn pair(cert: &Path, key: &Path, source: rustls::Error) -> TlsError {
    TlsError::Pair { cert: cert.into(), key: key.into(), source }
}
