//! What can be done with the accounting of disclosures over HTTP.

pub mod list;
pub mod view;

/// What the access log calls a look at itself.
pub(super) const ENTITY: &str = "audit_event";
