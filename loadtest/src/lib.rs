//! The load test: it makes load, judges what came back, and measures against what else one could have used.
//!
//! It is a stranger to the system. Scenarios speak HTTPS to a running cluster, and what they know of it stands in
//! its `cluster.json`. Only the benchmarks link our own crates, because some figures are about a library.

pub mod bench;
pub mod check;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod history;
pub mod load;
pub mod report;
pub mod simulate;
pub mod tell;
