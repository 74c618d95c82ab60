//! Where people sign in, joined.

use std::sync::Arc;

use node_access::Here;
use node_signin::hashing::places;
use node_signin::{Desk, Federated, Hashing, Issuer, Passkeys, SealingKeys};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::config::Config;
use crate::config::signin::SealingKeyEntry;
use crate::exit::{Cause, Stop};

/// How many passwords are hashed at once: each takes one processor and 19 MiB for a twentieth of a second.
const HASHING_THREADS: usize = 2;
// One address has a quarter of the room at most, so that nobody takes all of it from one place.
const _: () = assert!(4 * rates::SIGN_INS_AT_ONCE <= places(HASHING_THREADS));

/// This node's signing keys. They lie beside its member's log: both are this node's alone.
pub fn issuer(config: &Config) -> Result<Issuer, Stop> {
    let dir = config.control.dir.join("signing");
    let region = config.region.region();
    Issuer::open(residency_tokens::name_of(config.region.cluster.as_str()), region, &dir).map_err(|e| {
        Stop::new(Cause::Control, e.to_string(), "see [control] dir; tokens that the key signed end with it")
    })
}

/// The keys that seal authenticators.
pub fn sealing_keys(config: &Config) -> Result<SealingKeys, Stop> {
    let read = |key: &SealingKeyEntry| key.read().map(|bytes| (key.number, bytes));
    let keys: Result<Vec<(u32, [u8; 32])>, String> = config.signin.sealing_keys.iter().map(read).collect();
    keys.map(|keys| SealingKeys::new(&keys)).map_err(|what| {
        Stop::new(Cause::Config, what, "see [[signin.sealing_keys]]; `openssl rand -hex 32` makes one")
    })
}

/// What lets people in through identity providers.
pub fn federated(config: &Config) -> Result<Federated, Stop> {
    let signin = &config.signin;
    let origins: Vec<String> = signin.origins.iter().map(ToString::to_string).collect();
    let mut roots = RootCertStore::empty();
    if let Some(file) = &signin.issuers_ca {
        let wrong = |what: String| {
            let what = format!("{}: {what}", file.display());
            Stop::new(Cause::Config, what, "see [signin] issuers_ca: it holds certificates in PEM")
        };
        for certificate in CertificateDer::pem_file_iter(file).map_err(|e| wrong(e.to_string()))? {
            let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
            roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
    } else if !origins.is_empty() {
        // A certificate of the system's that cannot be read is one authority less.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            tracing::warn!(
                "the system has no authorities: no identity provider can be asked; see [signin] issuers_ca"
            );
        }
    }
    let private = signin.private_issuers.iter().map(ToString::to_string).collect();
    Ok(Federated::new(origins, roots, private))
}

/// What verifies passkeys.
pub fn passkeys(config: &Config) -> Result<Passkeys, Stop> {
    let Some(section) = &config.signin.passkeys else { return Ok(Passkeys::none()) };
    let origins = section.origins.as_ref().unwrap_or(&config.signin.origins);
    let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
    Passkeys::new(section.rp_id.as_str(), &origins)
        .map_err(|e| Stop::new(Cause::Config, e.to_string(), "see [signin.passkeys] rp_id and origins"))
}

/// The desk of this node.
pub fn desk(
    here: &Here,
    issuer: Arc<Issuer>,
    keys: SealingKeys,
    federated: Federated,
    passkeys: Passkeys,
) -> Desk {
    Desk {
        directory: Arc::clone(&here.directory),
        changes: Arc::clone(&here.changes),
        clock: Arc::clone(&here.clock),
        entropy: Arc::clone(&here.entropy),
        hashing: Hashing::new(HASHING_THREADS),
        issuer,
        keys,
        federated,
        passkeys,
    }
}
