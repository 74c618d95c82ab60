//! What those who run it look at.

mod metrics;
mod traces;
