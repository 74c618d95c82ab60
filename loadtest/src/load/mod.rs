//! Load on a running cluster, and a verdict on what came back.
//!
//! The load is open: requests are sent when they are due, whether earlier ones were answered or not, and each is
//! measured from the moment it was due. A client that waits for an answer before it sends the next request stops
//! sending just when the server is slow, and then reports that it was fast ("coordinated omission").

pub mod act;
pub mod book;
pub mod fault;
pub mod judge;
pub mod pace;
pub mod people;
pub mod progress;
pub mod run;
pub mod scenarios;
pub mod stage;
pub mod tally;
pub mod verdict;
