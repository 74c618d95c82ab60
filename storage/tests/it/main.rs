//! Storage against a real Postgres. Every check has a control: a planted fault that it must catch.

mod access_log;
mod audit_tree;
mod catalog;
mod consents;
mod events;
mod faults;
mod fence;
mod group_commit;
mod idempotency;
mod isolation;
mod opening;
mod quiet;
mod reads;
mod round_trips;
mod sealing;
mod support;
mod way_back;
