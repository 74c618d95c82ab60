//! A throw-away authority and the certificates it signs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use residency_control::peer::{PeerPaths, PeerTls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

pub(crate) struct Authority {
    pub(crate) dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, names: Vec<SanType>) {
        self.sign_until(name, names, None);
    }

    fn sign_until(&self, name: &str, names: Vec<SanType>, until: Option<jiff::civil::Date>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        if let Some(until) = until {
            let positive = |number: i8| u8::try_from(number).unwrap();
            params.not_after =
                rcgen::date_time_ymd(until.year().into(), positive(until.month()), positive(until.day()));
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key_file = self.dir.path().join(format!("{name}.key"));
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(self.dir.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
    }

    /// Makes both certificates of a process anew, which hold until a day.
    pub(crate) fn renew(&self, name: &str, spiffe: &str, until: jiff::civil::Date) {
        self.sign_until(name, vec![SanType::DnsName("localhost".try_into().unwrap())], Some(until));
        self.sign_until(&format!("{name}-peer"), vec![SanType::URI(spiffe.try_into().unwrap())], Some(until));
    }

    pub(crate) fn peer(&self, spiffe: &str, name: &str) -> PeerTls {
        let name = format!("{name}-peer");
        let names =
            vec![SanType::URI(spiffe.try_into().unwrap()), SanType::DnsName("localhost".try_into().unwrap())];
        self.sign(&name, names);
        let at = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        PeerTls::load(PeerPaths { ca: self.dir.path().join("ca.pem"), cert: at("pem"), key: at("key") })
            .unwrap()
    }

    /// Makes a public certificate, or another one in its place.
    pub(crate) fn public(&self, name: &str) {
        self.sign(name, vec![SanType::DnsName("localhost".try_into().unwrap())]);
    }

    pub(crate) fn public_paths(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.dir.path().join(format!("{name}.pem")), self.dir.path().join(format!("{name}.key")))
    }

    pub(crate) fn client_config(
        &self,
        alpn: &[&[u8]],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.dir.path().join("ca.pem")).unwrap()).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}
