//! Where people sign in, joined.

use std::sync::Arc;

use node_access::Here;
use node_signin::{Desk, Hashing, Issuer};

use crate::config::Config;
use crate::exit::{Cause, Stop};

/// How many passwords are hashed at once: each takes one processor and 19 MiB for a twentieth of a second.
const HASHING_THREADS: usize = 2;

/// This node's signing keys. They lie beside its member's log: both are this node's alone.
pub fn issuer(config: &Config) -> Result<Issuer, Stop> {
    let dir = config.control.dir.join("signing");
    let region = config.region.region();
    Issuer::open(format!("domicile:{}", config.region.cluster), region, &dir).map_err(|e| {
        Stop::new(Cause::Control, e.to_string(), "see [control] dir; tokens that the key signed end with it")
    })
}

/// The desk of this node.
pub fn desk(here: &Here, issuer: Arc<Issuer>) -> Desk {
    Desk {
        directory: Arc::clone(&here.directory),
        changes: Arc::clone(&here.changes),
        clock: Arc::clone(&here.clock),
        entropy: Arc::clone(&here.entropy),
        hashing: Hashing::new(HASHING_THREADS),
        issuer,
    }
}
