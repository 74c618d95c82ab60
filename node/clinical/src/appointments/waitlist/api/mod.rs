//! What can be done with wishes over HTTP.

pub mod join;
pub mod list;
pub mod remove;
pub mod view;

/// What the access log calls a wish.
pub(super) const ENTITY: &str = "waitlist";
