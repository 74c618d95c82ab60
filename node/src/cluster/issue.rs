//! The certificate of a new member: made here with the authority's key, or checked as it was issued elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use residency_control::peer::PeerId;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate;
use crate::dev::keep::{self, Readers};

/// An authority's certificate and key.
pub(super) struct Authority<'a> {
    pub(super) certificate: &'a Path,
    pub(super) key: &'a Path,
}

/// Where a new certificate lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) until: Timestamp,
}

/// Makes a key and a certificate for `id` in `dir`. What is there and good is kept; what is another's is not touched.
pub(super) fn issue(
    authority: &Authority<'_>,
    id: &PeerId,
    dir: &Path,
    days: u16,
    now: Timestamp,
) -> Result<Issued> {
    let (cert_path, key_path) = (dir.join("peer.pem"), dir.join("peer.key"));
    if cert_path.exists() || key_path.exists() {
        check(&cert_path, id, authority.certificate, now)
            .with_context(|| format!("{} is there already and is not what is needed", cert_path.display()))?;
        certificate::is_pair(&cert_path, &key_path)?;
        let until = certificate::read(&cert_path)?.until;
        return Ok(Issued { certificate: cert_path, key: key_path, until });
    }
    certificate::is_pair(authority.certificate, authority.key)?;
    let pem = read(authority.certificate)?;
    let signer = KeyPair::from_pem(&read(authority.key)?).context("the authority's key cannot be read")?;
    let issuer =
        Issuer::from_ca_cert_pem(&pem, signer).context("the authority's certificate cannot be read")?;
    let key = KeyPair::generate()?;
    let leaf = params(id, days, now)?.signed_by(&key, &issuer)?;
    keep::folder(dir, Readers::Owner)?;
    keep::write(&key_path, Readers::Owner, key.serialize_pem().as_bytes())?;
    keep::write(&cert_path, Readers::All, leaf.pem().as_bytes())?;
    let until = certificate::read(&cert_path)?.until;
    Ok(Issued { certificate: cert_path, key: key_path, until })
}

/// Checks that a certificate is `id`'s, valid now, and signed by an authority that the members believe.
pub(super) fn check(path: &Path, id: &PeerId, believed: &Path, now: Timestamp) -> Result<()> {
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| anyhow::anyhow!("{} cannot be read: {e}", path.display()))?;
    let Some((leaf, rest)) = chain.split_first() else { bail!("{} holds no certificate", path.display()) };
    let found = PeerId::from_chain(Some(&chain)).with_context(|| path.display().to_string())?;
    ensure!(found == *id, "{} is of {found}, not of {id}", path.display());
    let mut roots = RootCertStore::empty();
    for root in
        CertificateDer::pem_file_iter(believed).map_err(|e| anyhow::anyhow!("{}: {e}", believed.display()))?
    {
        roots.add(root.map_err(|e| anyhow::anyhow!("{}: {e}", believed.display()))?)?;
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build()?;
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    verifier.verify_client_cert(leaf, rest, now).map_err(|error| {
        anyhow::anyhow!(
            "{} would not be let in by the members, who believe {}: {error}",
            path.display(),
            believed.display()
        )
    })?;
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Names are not identity between members: the one URI is, so there is nothing else in it.
fn params(id: &PeerId, days: u16, now: Timestamp) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.subject_alt_names.push(SanType::URI(id.to_string().as_str().try_into()?));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("domicile node {}", id.node));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    // Whole days, from yesterday on: a machine whose clock is a little behind must not refuse it.
    let day = |days: i64| -> Result<_> {
        let date = now.checked_add(SignedDuration::from_hours(24 * days))?.to_zoned(TimeZone::UTC).date();
        Ok(date_time_ymd(i32::from(date.year()), u8::try_from(date.month())?, u8::try_from(date.day())?))
    };
    params.not_before = day(-1)?;
    params.not_after = day(i64::from(days) + 1)?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::authority;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn what_is_issued_is_what_the_members_let_in_and_nobody_elses() {
        let dir = tempfile::tempdir().expect("a folder");
        let now = at("2026-11-22T10:00:00Z");
        let (home, other) = (dir.path().join("ca"), dir.path().join("other"));
        authority::Authority::open_or_create(&home, now).expect("an authority");
        authority::Authority::open_or_create(&other, now).expect("another");
        let (ca, ca_key) = (home.join("ca.pem"), home.join("ca.key"));
        let ours = Authority { certificate: &ca, key: &ca_key };
        let id: PeerId = "spiffe://domicile/region/us-wa/node/7".parse().expect("an id");
        let into = dir.path().join("wa");
        let issued = issue(&ours, &id, &into, 90, now).expect("issues");
        assert!(issued.until > at("2027-02-19T00:00:00Z") && issued.until < at("2027-02-23T00:00:00Z"));
        assert_eq!(issue(&ours, &id, &into, 90, now).expect("is kept"), issued, "done twice is done once");
        check(&issued.certificate, &id, &ca, now).expect("is let in");

        // Another authority, another identity, another time.
        let says = |error: anyhow::Error| format!("{error:#}");
        let stranger = check(&issued.certificate, &id, &other.join("ca.pem"), now).expect_err("is refused");
        assert!(says(stranger).contains("would not be let in"));
        let eight: PeerId = "spiffe://domicile/region/us-wa/node/8".parse().expect("an id");
        assert!(says(check(&issued.certificate, &eight, &ca, now).expect_err("is refused")).contains("not of"));
        assert!(check(&issued.certificate, &id, &ca, at("2028-01-01T00:00:00Z")).is_err());
        assert!(
            says(issue(&ours, &eight, &into, 90, now).expect_err("is refused")).contains("is there already")
        );
        let key = other.join("ca.key");
        let mixed = Authority { certificate: &ca, key: &key };
        assert!(issue(&mixed, &eight, &dir.path().join("x"), 90, now).is_err());
        assert!(!dir.path().join("x").exists(), "nothing is left of it");
    }
}
