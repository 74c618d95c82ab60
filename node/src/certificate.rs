//! What a certificate file says: whom it names and when it holds. Used to renew in time and by the doctor.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The facts of one certificate that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Not valid before.
    pub from: Timestamp,
    /// Not valid after.
    pub until: Timestamp,
    /// The DNS names it stands for.
    pub dns: Vec<String>,
    /// The addresses it stands for.
    pub ips: Vec<IpAddr>,
    /// The identities it stands for, such as `spiffe://domicile/region/us-tx/node/3`.
    pub uris: Vec<String>,
}

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("{0} cannot be read")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The file holds no certificate.
    #[error("{0} holds no certificate in PEM form")]
    NoCertificate(PathBuf),
    /// The file holds no private key.
    #[error("{0} holds no private key in PEM form")]
    NoKey(PathBuf),
    /// The key is another certificate's.
    #[error("{0} is not the key of {1}")]
    NotAPair(PathBuf, PathBuf),
}

/// Reads the first certificate of a PEM file.
pub fn read(path: &Path) -> Result<Facts, CertificateError> {
    let pem = fs::read(path).map_err(|e| CertificateError::Unreadable(path.into(), e))?;
    let nothing = || CertificateError::NoCertificate(path.into());
    let der = CertificateDer::from_pem_slice(&pem).map_err(|_| nothing())?;
    facts(&der).ok_or_else(nothing)
}

fn facts(der: &CertificateDer<'_>) -> Option<Facts> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let second = |t: x509_parser::time::ASN1Time| Timestamp::from_second(t.timestamp()).ok();
    let mut facts = Facts {
        from: second(parsed.validity.not_before)?,
        until: second(parsed.validity.not_after)?,
        dns: Vec::new(),
        ips: Vec::new(),
        uris: Vec::new(),
    };
    let names = parsed.subject_alternative_name().ok()?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => facts.dns.push((*name).to_owned()),
            GeneralName::URI(uri) => facts.uris.push((*uri).to_owned()),
            GeneralName::IPAddress(bytes) => facts.ips.extend(address(bytes)),
            _ => {}
        }
    }
    Some(facts)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Checks that a key file is the key of a certificate file.
pub fn is_pair(certificate: &Path, key: &Path) -> Result<(), CertificateError> {
    let read = |path: &Path| fs::read(path).map_err(|e| CertificateError::Unreadable(path.into(), e));
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| CertificateError::NoCertificate(certificate.into()))?;
    let der = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| CertificateError::NoKey(key.into()))?;
    CertifiedKey::from_der(chain, der, &rustls::crypto::ring::default_provider())
        .map(|_| ())
        .map_err(|_| CertificateError::NotAPair(key.into(), certificate.into()))
}
