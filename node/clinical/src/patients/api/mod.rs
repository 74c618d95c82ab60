//! What can be done with patients over HTTP.

pub mod create;
pub mod list;
pub mod read;
pub mod remove;
pub mod search;
pub mod update;
pub mod view;

/// What the access log calls a patient.
pub(super) const ENTITY: &str = "patient";
