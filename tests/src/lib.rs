//! The harness: starts a real cluster through the real binary, speaks to it as a stranger would, breaks it, and
//! looks for what must not be there.
//!
//! - [`cluster`] starts and stops clusters; nothing survives the test process, however it ends.
//! - [`client`] speaks HTTPS, [`postgres`] reads a region's database, [`faults`] kills and pauses processes.
//! - [`clinic`] does what clinicians do; [`operate`] asks a node what only its own key may ask.
//! - [`namespaces`] says whether links between network namespaces can be tested here, and steers those of a cluster.
//! - [`steady`] is a clinic that goes on working and writes down every request that failed.
//! - [`canaries`] are people whose every field is a marker; [`scan`] finds a marker in any coding.
//! - [`collector`] takes the spans of a cluster.
//! - [`rust_source`] and [`workspace`] let the house tests read the code they check.

pub mod calendars;
pub mod canaries;
pub mod client;
pub mod clinic;
pub mod cluster;
pub mod collector;
pub mod faults;
pub mod namespaces;
pub mod operate;
pub mod postgres;
pub mod rust_source;
pub mod scan;
pub mod steady;
pub mod tools;
pub mod walls;
pub mod workspace;
