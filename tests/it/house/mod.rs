//! The rules of the house, each as a test with a seeded violation that it must catch.

mod audited;
mod compliance;
mod config_samples;
mod documents;
mod floors;
mod openapi;
mod phi_free;
mod registry;
mod scoped;
mod terraform;
mod tidy;
mod walls;
