//! What can be done with organisations over HTTP.

pub mod close;
pub mod create;
pub mod legal_basis;
pub mod list;
pub mod read;
pub mod update;
