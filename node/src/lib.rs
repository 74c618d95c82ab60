//! One regional node, and the tools that run a cluster of them: everything behind the `domicile` binary.
//!
//! This is the only crate that chooses adapters and reads configuration. What must stay true:
//! - vendors, keys, pool, clock and control plane are joined in [`wiring`] and nowhere else;
//! - what a router forwarded is believed only from a certificate that says it is a router ([`listeners`]);
//! - nothing is served before every part is proven to be the right one, and each refusal to start has an exit
//!   code and a sentence on how to mend it ([`exit`]).

pub mod certificate;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod dev;
pub mod doctor;
pub mod exit;
pub mod hardening;
pub mod lifecycle;
pub mod listeners;
pub mod operate;
pub mod policy;
pub mod tasks;
pub mod telemetry;
pub mod tell;
pub mod wiring;

/// A request allocates some hundred times, much of it on one thread to be let go of on another: the system's own
/// allocator was a sixth of what a read cost a node.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
