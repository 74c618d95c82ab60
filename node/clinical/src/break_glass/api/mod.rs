//! What can be done with break-glass grants over HTTP.

pub mod grant;
pub mod list;
pub mod review;
pub mod view;

/// What the access log calls a grant.
pub(super) const ENTITY: &str = "break-glass";
