//! One binary for every test that reads the whole house or needs a running cluster.

mod control;
mod dev;
mod house;
mod journeys;
mod residency;
mod schemathesis;
mod security;
