//! The throw-away certificate authority of a development cluster.
//!
//! Leaves live 89 days, a day at either end included, and are issued again when fewer than 30 are left, so that a
//! cluster that is started now and then never meets an expired one, while a forgotten copy of a key dies by itself.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use super::keep::{self, Readers};
use crate::certificate;

const CA_DAYS: i64 = 3_650;
/// With a day at either end for clocks that differ: 89, and Mozilla's modern settings want fewer than 90.
const LEAF_DAYS: i64 = 87;
const RENEW_DAYS: i64 = 30;

/// Issues certificates for one home folder.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    /// A new authority makes every leaf of the old one worthless.
    is_new: bool,
    now: Timestamp,
}

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A server that callers reach under `localhost`.
    Server,
    /// A member of the cluster, known by its identity.
    Peer(String),
}

/// Where a certificate and its key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, readable by the owner only.
    pub key: PathBuf,
}

impl Authority {
    /// The authority of this folder, made at first and again when it ends within a leaf's life.
    pub fn open_or_create(dir: &Path, now: Timestamp) -> Result<Self> {
        keep::folder(dir, Readers::All)?;
        let (cert_path, key_path) = (dir.join("ca.pem"), dir.join("ca.key"));
        let good =
            certificate::read(&cert_path).is_ok_and(|facts| facts.until > days_after(now, LEAF_DAYS + 1));
        if good && certificate::is_pair(&cert_path, &key_path).is_ok() {
            let pem = fs::read_to_string(&cert_path)?;
            let key = KeyPair::from_pem(&fs::read_to_string(&key_path)?)?;
            return Ok(Self { issuer: Issuer::from_ca_cert_pem(&pem, key)?, pem, is_new: false, now });
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        // The date tells two authorities of one folder apart: a client must not take one for the other.
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Domicile development CA {}", now.as_second()));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        hold(&mut params, now, CA_DAYS);
        let pem = params.self_signed(&key)?.pem();
        keep::write(&key_path, Readers::Owner, key.serialize_pem().as_bytes())?;
        keep::write(&cert_path, Readers::All, pem.as_bytes())?;
        Ok(Self { issuer: Issuer::new(params, key), pem, is_new: true, now })
    }

    /// The authority's certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate `name` in `dir`: the one that is there while it is good, or a new one.
    pub fn leaf(&self, dir: &Path, name: &str, subject: &Subject) -> Result<Leaf> {
        keep::folder(dir, Readers::Owner)?;
        let leaf = Leaf { certificate: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}.key")) };
        if self.is_good(&leaf, subject) {
            return Ok(leaf);
        }
        let issue = || -> Result<()> {
            let key = KeyPair::generate()?;
            let certificate = self.params(name, subject)?.signed_by(&key, &self.issuer)?;
            keep::write(&leaf.key, Readers::Owner, key.serialize_pem().as_bytes())?;
            keep::write(&leaf.certificate, Readers::All, certificate.pem().as_bytes())
        };
        issue().with_context(|| format!("cannot issue the certificate {}", leaf.certificate.display()))?;
        Ok(leaf)
    }

    fn is_good(&self, leaf: &Leaf, subject: &Subject) -> bool {
        let uris = match subject {
            Subject::Server => vec![],
            Subject::Peer(identity) => vec![identity.clone()],
        };
        !self.is_new
            && certificate::is_pair(&leaf.certificate, &leaf.key).is_ok()
            && certificate::read(&leaf.certificate).is_ok_and(|facts| {
                facts.from <= self.now && facts.until > days_after(self.now, RENEW_DAYS) && facts.uris == uris
            })
    }

    fn params(&self, name: &str, subject: &Subject) -> Result<CertificateParams> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if let Subject::Peer(identity) = subject {
            params.subject_alt_names.push(SanType::URI(identity.as_str().try_into()?));
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        params.use_authority_key_identifier_extension = true;
        hold(&mut params, self.now, LEAF_DAYS);
        Ok(params)
    }
}

fn days_after(now: Timestamp, days: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
}

/// Whole days, from yesterday on: a machine whose clock is a little behind must not refuse a fresh certificate.
fn hold(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let day = |t: Timestamp| {
        let date = t.to_zoned(TimeZone::UTC).date();
        let positive = |n: i8| u8::try_from(n).unwrap_or(1);
        date_time_ymd(i32::from(date.year()), positive(date.month()), positive(date.day()))
    };
    params.not_before = day(days_after(now, -1));
    params.not_after = day(days_after(now, days + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "spiffe://domicile/region/us-tx/node/3";

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_peer_has_exactly_one_identity_and_a_server_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let authority =
            Authority::open_or_create(dir.path(), at("2026-11-22T10:00:00Z")).expect("an authority");
        let peer = authority.leaf(dir.path(), "peer", &Subject::Peer(ID.into())).expect("issues");
        let server = authority.leaf(dir.path(), "public", &Subject::Server).expect("issues");
        assert_eq!(certificate::read(&peer.certificate).expect("reads").uris, [ID]);
        let facts = certificate::read(&server.certificate).expect("reads");
        assert!(facts.uris.is_empty());
        assert_eq!(facts.dns, ["localhost"]);
        assert!(facts.ips.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(certificate::is_pair(&server.certificate, &server.key).is_ok());
        assert!(certificate::is_pair(&server.certificate, &peer.key).is_err(), "the check can fail");
    }

    #[test]
    fn a_leaf_is_kept_while_it_is_good_and_issued_again_near_its_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let on = |day: &str| {
            let authority = Authority::open_or_create(dir.path(), at(day)).expect("an authority");
            let leaf = authority.leaf(dir.path(), "peer", &Subject::Peer(ID.into())).expect("issues");
            (authority.pem().to_owned(), fs::read(&leaf.certificate).expect("reads"))
        };
        let first = on("2026-11-22T10:00:00Z");
        assert_eq!(first, on("2026-12-22T10:00:00Z"), "57 days are left");
        let renewed = on("2027-02-01T10:00:00Z");
        assert_eq!(first.0, renewed.0, "the authority stays");
        assert_ne!(first.1, renewed.1, "the leaf does not");
        let replaced = on("2036-10-01T10:00:00Z");
        assert_ne!(first.0, replaced.0, "an authority that ends soon is replaced, with its leaves");
        assert_ne!(renewed.1, replaced.1);
    }

    #[test]
    fn another_identity_needs_another_certificate() {
        let dir = tempfile::tempdir().expect("a folder");
        let now = at("2026-11-22T10:00:00Z");
        for id in [ID, "spiffe://domicile/region/us-tx/node/4"] {
            let authority = Authority::open_or_create(dir.path(), now).expect("an authority");
            let leaf = authority.leaf(dir.path(), "peer", &Subject::Peer(id.into())).expect("issues");
            assert_eq!(certificate::read(&leaf.certificate).expect("reads").uris, [id]);
        }
    }
}
