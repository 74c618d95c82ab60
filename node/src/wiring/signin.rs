//! Where people sign in, joined.

use std::sync::Arc;

use node_access::Here;
use node_signin::{Desk, Hashing, Issuer, TotpKeys};

use crate::config::Config;
use crate::config::signin::TotpKeyEntry;
use crate::exit::{Cause, Stop};

/// How many passwords are hashed at once: each takes one processor and 19 MiB for a twentieth of a second.
const HASHING_THREADS: usize = 2;

/// This node's signing keys. They lie beside its member's log: both are this node's alone.
pub fn issuer(config: &Config) -> Result<Issuer, Stop> {
    let dir = config.control.dir.join("signing");
    let region = config.region.region();
    Issuer::open(residency_tokens::name_of(config.region.cluster.as_str()), region, &dir).map_err(|e| {
        Stop::new(Cause::Control, e.to_string(), "see [control] dir; tokens that the key signed end with it")
    })
}

/// The keys that seal authenticators.
pub fn totp_keys(config: &Config) -> Result<TotpKeys, Stop> {
    let read = |key: &TotpKeyEntry| key.read().map(|bytes| (key.number, bytes));
    let keys: Result<Vec<(u32, [u8; 32])>, String> = config.signin.totp_keys.iter().map(read).collect();
    keys.map(|keys| TotpKeys::new(&keys)).map_err(|what| {
        Stop::new(Cause::Config, what, "see [[signin.totp_keys]]; `openssl rand -hex 32` makes one")
    })
}

/// The desk of this node.
pub fn desk(here: &Here, issuer: Arc<Issuer>, totp: TotpKeys) -> Desk {
    Desk {
        directory: Arc::clone(&here.directory),
        changes: Arc::clone(&here.changes),
        clock: Arc::clone(&here.clock),
        entropy: Arc::clone(&here.entropy),
        hashing: Hashing::new(HASHING_THREADS),
        issuer,
        totp,
    }
}
