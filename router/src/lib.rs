//! The residency router: the stages of a request on its way to the home that it names.
//!
//! What must stay true:
//! - The router never parses a body, and routes by method, path, query and headers alone ([`identify`]).
//! - It holds no key and no connection to a database: this crate may import `residency-policy` and
//!   `residency-control`, and nothing else of ours.
//! - Where it cannot prove a placement or a rule it refuses; there is no default region ([`decide`]).
//!
//! [`life_of_a_request`] reads from top to bottom. [`listen`] is used by nodes as well.

mod ahead;
mod ask_around;
mod at_work;
mod carry;
pub mod certificates;
pub mod config;
mod connection;
pub mod count;
pub mod decide;
pub mod drain;
mod forward;
mod framing;
pub mod health;
mod hold_back;
pub mod identify;
pub mod known;
mod lent;
pub mod life_of_a_request;
pub mod limits;
pub mod lines;
pub mod listen;
pub mod metrics;
pub mod panics;
pub mod passing;
mod recognise;
pub mod reload;
pub mod respond;
mod room;
mod run;
pub mod telemetry;
pub mod tls;
pub mod traces;
mod when_woken;

pub use run::{Read, RunError, Running, read_files, run, serve_callers, start};
