//! One binary for every test that reads the whole house or needs a running cluster.

mod audit;
mod control;
mod dev;
mod faults;
mod histories;
mod house;
mod journeys;
mod links;
mod load;
mod operations;
mod residency;
mod schemathesis;
mod security;
