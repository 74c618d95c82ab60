//! What can be done with appointments over HTTP.

pub mod cancel;
pub mod create;
pub mod list;
pub mod read;
pub mod reschedule;
pub mod view;

/// What the access log calls an appointment.
pub(super) const ENTITY: &str = "appointment";
