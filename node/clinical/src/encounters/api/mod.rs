//! What can be done with encounters over HTTP.

pub mod add_addendum;
pub mod amend;
pub mod list;
pub mod open;
pub mod read;
pub mod sign;
pub mod view;

/// What the access log calls an encounter.
pub(super) const ENTITY: &str = "encounter";
