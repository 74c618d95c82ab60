//! A throw-away certificate authority.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use residency_control::peer::{PeerPaths, PeerTls};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// Writes the files of one node whose certificate holds these URIs.
    pub(crate) fn issue(&self, dir: &Path, uris: &[&str]) -> PeerPaths {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        for uri in uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into().expect("ASCII")));
        }
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::create_dir_all(dir).expect("a folder");
        let paths = PeerPaths { ca: dir.join("ca.pem"), cert: dir.join("cert.pem"), key: dir.join("key.pem") };
        fs::write(&paths.ca, self.issuer.pem()).expect("writes");
        fs::write(&paths.cert, leaf.pem()).expect("writes");
        fs::write(&paths.key, key.serialize_pem()).expect("writes");
        paths
    }

    pub(crate) fn tls(&self, dir: &Path, uri: &str) -> PeerTls {
        PeerTls::load(self.issue(dir, &[uri])).expect("loads")
    }
}
