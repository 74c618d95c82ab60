//! What can be done with audit events over HTTP.

mod fhir;
mod filter;
pub mod list;
pub mod view;

/// What the access log calls a look at itself.
pub(super) const ENTITY: &str = "audit_event";
