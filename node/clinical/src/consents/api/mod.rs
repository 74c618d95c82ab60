//! What can be done with consents over HTTP.

pub mod grant;
pub mod list;
pub mod read;
pub mod revoke;
pub mod view;

/// What the access log calls a consent.
pub(super) const ENTITY: &str = "consent";
