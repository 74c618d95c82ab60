//! A throw-away Postgres server and a region on it, for the tests of this crate and of those above it.

mod process;
mod region;
mod server;
mod tls;

pub use region::{SetClock, TestEntropy, TestRegion, permit, region_permit, scope};
pub use server::PostgresServer;
pub use tls::stranger;
