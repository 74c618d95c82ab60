//! Storage against a real Postgres. Every check has a control: a planted fault that it must catch.

mod access_log;
mod catalog;
mod events;
mod faults;
mod fence;
mod idempotency;
mod isolation;
mod opening;
mod quiet;
mod round_trips;
mod sealing;
mod support;
