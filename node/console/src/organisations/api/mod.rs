//! What can be done with organisations over HTTP.

pub mod create;
pub mod list;
pub mod read;
