//! How a Postgres server is connected to: TLS that verifies the server, SCRAM bound to the TLS channel.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// A text that is never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text from being printed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One database on one server, and who connects.
#[derive(Debug, Clone)]
pub struct Server {
    /// The server's name or address, as in its certificate.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub dbname: String,
    /// The role.
    pub user: String,
    /// The role's password.
    pub password: Secret,
    /// The certificate (PEM) of the authority that signed the server's.
    pub ca_cert: PathBuf,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
}

/// Why no connection came about, in words for an operator.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The authority's certificate cannot be used.
    #[error("the certificate of the database's authority {path}: {why}")]
    CaCert {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Nobody answers there, or not in time, or not with the right certificate.
    #[error("no connection to {server}: {why}")]
    Unreachable {
        /// Which server.
        server: String,
        /// What happened.
        why: String,
    },
    /// The server answered and refused.
    #[error("{server} refuses {user}: {why}")]
    Refused {
        /// Which server and database.
        server: String,
        /// Which role.
        user: String,
        /// What to look at.
        why: &'static str,
    },
}

impl ConnectError {
    /// Whether trying again later may help without anyone changing a setting.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl Server {
    /// Where it is, for messages.
    pub fn place(&self) -> String {
        format!("Postgres at {}:{}/{}", self.host, self.port, self.dbname)
    }

    /// The driver's settings. `options` are given to the server as in `-c name=value`.
    pub fn config(&self, application: &str, options: &str) -> Config {
        let mut config = Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .dbname(&self.dbname)
            .user(&self.user)
            .password(self.password.reveal())
            .application_name(application)
            .options(options)
            .ssl_mode(SslMode::Require)
            // The password's proof is bound to this TLS channel: a server in the middle cannot pass it on.
            .channel_binding(ChannelBinding::Require)
            .connect_timeout(self.connect_timeout)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        config
    }

    /// TLS that trusts the one authority and verifies the server's name.
    pub fn tls(&self) -> Result<MakeRustlsConnect, ConnectError> {
        let wrong =
            |why: &dyn fmt::Display| ConnectError::CaCert { path: self.ca_cert.clone(), why: why.to_string() };
        let roots = read_roots(&self.ca_cert).map_err(|why| wrong(&why))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(tls))
    }

    /// One connection, driven by a task that ends with it.
    pub async fn connect(&self, application: &str, options: &str) -> Result<Client, ConnectError> {
        let connecting = self.config(application, options);
        let connected = tokio::time::timeout(self.connect_timeout, connecting.connect(self.tls()?)).await;
        let (client, connection) = connected
            .map_err(|_| ConnectError::Unreachable {
                server: self.place(),
                why: "it did not answer in time".into(),
            })?
            .map_err(|error| self.explain(&error))?;
        tokio::spawn(async move {
            // Whoever uses the client sees the loss of the connection too, and reports it.
            drop(connection.await);
        });
        Ok(client)
    }

    /// Puts a failure to connect in words.
    pub fn explain(&self, error: &tokio_postgres::Error) -> ConnectError {
        let refused = |why| ConnectError::Refused { server: self.place(), user: self.user.clone(), why };
        match error.code() {
            Some(&SqlState::INVALID_PASSWORD) => refused("the password is wrong, or the role does not exist"),
            Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                refused("pg_hba.conf has no line that lets this role in over TLS, or the role does not exist")
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => refused("there is no such database: provision it first"),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => refused("the role may not connect to this database"),
            Some(code) => ConnectError::Unreachable {
                server: self.place(),
                why: format!("the server says SQLSTATE {}", code.code()),
            },
            None => ConnectError::Unreachable { server: self.place(), why: chain(error) },
        }
    }
}

/// What an input/output or TLS error says, down to its cause. Such errors hold addresses and certificate faults only.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("it holds no certificate".into()) } else { Ok(roots) }
}
