//! A throw-away certificate authority for what a benchmark starts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::peers::Pem;

/// Signs certificates for `localhost`.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With the name that a certificate has by default, OpenSSL takes what it signs for self-signed.
        params.distinguished_name.push(DnType::CommonName, "benchmark authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// Writes a certificate for server and client, which also holds this URI if there is one.
    pub(crate) fn issue(&self, folder: &Path, uri: Option<&str>) -> anyhow::Result<Pem> {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        if let Some(uri) = uri {
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let pem = Pem { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        fs::write(&pem.ca, self.issuer.pem())?;
        fs::write(&pem.cert, leaf.pem())?;
        fs::write(&pem.key, key.serialize_pem())?;
        // A router refuses a key that others may read.
        fs::set_permissions(&pem.key, fs::Permissions::from_mode(0o600))?;
        Ok(pem)
    }
}
