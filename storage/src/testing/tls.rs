//! A throw-away authority and a certificate of it for the server.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// PEM texts.
pub(super) struct Pem {
    pub(super) ca: String,
    pub(super) cert: String,
    pub(super) key: String,
}

pub(super) fn make() -> Pem {
    let ca_key = KeyPair::generate().expect("a key pair");
    let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().expect("a key pair");
    let leaf = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).expect("parameters");
    let cert = leaf.signed_by(&key, &issuer).expect("a certificate");
    Pem { ca: ca_cert.pem(), cert: cert.pem(), key: key.serialize_pem() }
}

/// The certificate (PEM) of an authority that signed nothing here.
pub fn stranger() -> String {
    make().ca
}
